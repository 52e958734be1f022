//! Odd events of API Gateway, handed to the functions directly.

use muster_service::http::Deps;
use serde_json::{Value, json};

use super::{
    MAX_BODY, assert_malformed, clients_with_contract, team_id_of, team_name, unique_text,
};
use crate::support::{
    Client, Organization, Response, Stack,
    response_shape::{ErrorFormat, assert_response},
};

/// Returns an event of API Gateway, payload format 2.0.
fn gateway_event(method: &str, path: &str, token: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "cookies": ["a=b"],
        "headers": {
            "accept": "*/*",
            "authorization": format!("Bearer {token}"),
            "content-length": body.map_or(0, str::len).to_string(),
            "content-type": "application/json",
            "host": "abc123.execute-api.eu-central-1.amazonaws.com",
            "x-amzn-trace-id": "Root=1-65d86e2e-6e2f5d3f0a3c1d2e3f4a5b6c",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "pathParameters": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "ThEgAtEwAy=",
            "routeKey": format!("{method} {path}"),
            "stage": "$default",
            "time": "23/Feb/2024:10:00:00 +0000",
            "timeEpoch": 1_708_682_400_000_i64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Invokes a function with an event, like its `main`.
async fn invoke_function(org: &Organization, event: &Value) -> Response {
    let request =
        muster_service::lambda::request(&event.to_string()).expect("an event of the gateway");
    let deps = Deps::new(org.stack.table());
    let response = match event["rawPath"].as_str().unwrap_or_default() {
        path if path.contains("/members") => Box::pin(muster_members::handle(request, &deps)).await,
        path if path.ends_with("/workload") => {
            Box::pin(muster_workload::handle(request, &deps)).await
        }
        _ => Box::pin(muster_teams::handle(request, &deps)).await,
    };
    let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
    let text = String::from_utf8(body.as_ref().to_vec()).expect("the response is text");
    let json = serde_json::from_str(&text).unwrap_or_default();
    Response {
        status: parts.status,
        headers: parts.headers,
        text,
        json,
    }
}

#[tokio::test]
async fn gateway_events_are_served() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let token = client.token();
        let name = format!("{} 🦀", unique_text());
        let body = json!({ "name": name }).to_string();
        let created = invoke_function(
            &org,
            &gateway_event("POST", "/v1/teams", token, Some(&body)),
        )
        .await;
        assert_response(&created, error_format, "POST");
        assert_eq!(
            (created.status.as_u16(), team_name(&created)),
            (201, &*name),
            "{created}"
        );
        assert_eq!(created.header("x-request-id"), "req_ThEgAtEwAy=");

        let path = format!("/v1/teams/{}", team_id_of(&created));
        let user = json!({ "user_id": org.users[0].id.uuid().to_string() }).to_string();
        for (method, path, body, expected) in [
            ("GET", path.clone(), None, 200),
            ("PATCH", path.clone(), Some("{\"description\":\"d\"}"), 200),
            ("POST", format!("{path}/members"), Some(&*user), 201),
            (
                "DELETE",
                format!("{path}/members/{}", org.users[0].id.uuid()),
                None,
                204,
            ),
            (
                "GET",
                format!("{path}/workload"),
                None,
                if error_format == ErrorFormat::Itsm {
                    200
                } else {
                    404
                },
            ),
            ("PUT", path.clone(), None, 405),
            ("GET", "/v1/nothing".to_owned(), None, 404),
            ("DELETE", path.clone(), None, 204),
            ("GET", path.clone(), None, 404),
        ] {
            let response = invoke_function(&org, &gateway_event(method, &path, token, body)).await;
            assert_response(&response, error_format, format!("{method} {path}"));
            assert_eq!(response.status, expected, "{method} {path}: {response}");
        }
    }
}

/// Posts a body to `/v1/teams`, as base64 if `encoded`, and asserts the form of the response.
async fn post_body(
    org: &Organization,
    (client, error_format): (&Client, ErrorFormat),
    body: Value,
    encoded: bool,
) -> Response {
    let mut event = gateway_event("POST", "/v1/teams", client.token(), None);
    event["body"] = body;
    event["isBase64Encoded"] = encoded.into();
    let response = invoke_function(org, &event).await;
    let shown: String = event["body"].to_string().chars().take(80).collect();
    assert_response(&response, error_format, shown);
    response
}

#[tokio::test]
async fn event_body_may_be_base64() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let post = async |body: Value, encoded: bool| {
            post_body(&org, (client, error_format), body, encoded).await
        };
        let name = format!("{} 🦀", unique_text());
        let body = json!({ "name": name }).to_string();
        let response = post(BASE64_STANDARD.encode(&body).into(), true).await;
        assert_eq!(
            (response.status.as_u16(), team_name(&response)),
            (201, &*name),
            "{response}"
        );

        assert_malformed(
            &post(BASE64_STANDARD.encode(&body).into(), false).await,
            error_format,
            "base64 without its flag",
        );
        for bytes in [&b"\xff"[..], b"{\"name\":\"\xed\xa0\x80\"}", b"", b"\0"] {
            assert_malformed(
                &post(BASE64_STANDARD.encode(bytes).into(), true).await,
                error_format,
                "base64 of invalid JSON",
            );
        }
        assert_malformed(&post(Value::Null, false).await, error_format, "no body");
        assert_malformed(
            &post(Value::Null, true).await,
            error_format,
            "no body, encoded",
        );
        assert_malformed(&post("".into(), false).await, error_format, "an empty body");
    }
}

#[tokio::test]
async fn event_body_limit_applies_after_decoding() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let post = async |body: Value, encoded: bool| {
            post_body(&org, (client, error_format), body, encoded).await
        };
        // The limit applies to the decoded body.
        let padded = format!(
            "{{\"name\":\"{}\",\"more\":\"{}\"}}",
            unique_text(),
            "x".repeat(MAX_BODY)
        );
        assert_eq!(
            post(BASE64_STANDARD.encode(&padded).into(), true)
                .await
                .status,
            413
        );
        let fits = format!(
            "{{\"name\":\"{}\",\"more\":\"{}\"}}",
            unique_text(),
            "x".repeat(MAX_BODY - 100)
        );
        assert_eq!(
            post(BASE64_STANDARD.encode(&fits).into(), true)
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn event_without_optional_fields_is_served() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let list = || gateway_event("GET", "/v1/teams", token, None);
    for missing in [
        "version",
        "routeKey",
        "rawQueryString",
        "cookies",
        "pathParameters",
        "body",
        "isBase64Encoded",
    ] {
        let mut event = list();
        event.as_object_mut().unwrap().remove(missing);
        let response = invoke_function(&org, &event).await;
        assert_eq!(response.status, 200, "without {missing}: {response}");
    }
    for null in [
        "version",
        "routeKey",
        "rawQueryString",
        "cookies",
        "pathParameters",
        "body",
    ] {
        let mut event = list();
        event[null] = Value::Null;
        assert_eq!(
            invoke_function(&org, &event).await.status,
            200,
            "{null} is null"
        );
    }
    for missing in [
        "accountId",
        "apiId",
        "domainName",
        "domainPrefix",
        "requestId",
        "routeKey",
        "time",
        "timeEpoch",
    ] {
        let mut event = list();
        event["requestContext"]
            .as_object_mut()
            .unwrap()
            .remove(missing);
        let response = invoke_function(&org, &event).await;
        assert_eq!(response.status, 200, "without {missing}: {response}");
        assert_response(&response, ErrorFormat::Itsm, missing);
    }
}

#[tokio::test]
async fn event_with_any_route_key_or_header_case_is_served() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let list = || gateway_event("GET", "/v1/teams", token, None);
    for key in [
        "$default",
        "GET /v1/teams",
        "ANY /{proxy+}",
        "POST /v1/teams/{team_id}/members",
    ] {
        let mut event = list();
        event["routeKey"] = key.into();
        event["requestContext"]["routeKey"] = key.into();
        assert_eq!(
            invoke_function(&org, &event).await.status,
            200,
            "routed by {key}"
        );
    }

    let mut no_headers = list();
    no_headers["headers"] = json!({});
    let response = invoke_function(&org, &no_headers).await;
    assert_response(&response, ErrorFormat::Either, "no headers");
    assert_eq!(response.status, 401, "{response}");
    no_headers.as_object_mut().unwrap().remove("headers");
    assert_eq!(invoke_function(&org, &no_headers).await.status, 401);

    let minimal = json!({
        "version": "2.0",
        "rawPath": "/v1/teams",
        "headers": { "Authorization": format!("Bearer {token}") },
        "requestContext": { "http": { "method": "GET" } },
    });
    assert_eq!(
        invoke_function(&org, &minimal).await.status,
        200,
        "header names in any letter case"
    );
}

#[tokio::test]
async fn event_with_odd_path_or_query_gets_a_response() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    for path in [
        "",
        "/",
        "//",
        "/v1/teams/%",
        "/v1/teams/%ff",
        "/v1/teams/a b",
        "/v1/teams/é☃",
        "/v1/teams/\"<>\\^`{|}",
        "/v1/../x",
        "/v1/teams/\t",
        "/v1/teams/\u{0}",
        "/v1/teams/a?b",
        "/v1/teams/a#b",
        "/v1/teams/@:x",
    ] {
        let response = invoke_function(&org, &gateway_event("GET", path, token, None)).await;
        assert_response(&response, ErrorFormat::Itsm, path);
        assert_eq!(
            (response.status.as_u16(), &response.json["error"]["path"]),
            (404, &json!(path)),
            "{response}"
        );
    }
    for query in [
        "limit=1",
        "limit=%31&x=%ff",
        "a=b=c&&&",
        "search=a+b%2B",
        "search={}|^`[]'()!*;:@$,/?~",
    ] {
        let mut event = gateway_event("GET", "/v1/teams", token, None);
        event["rawQueryString"] = query.into();
        let response = invoke_function(&org, &event).await;
        assert_response(&response, ErrorFormat::Itsm, query);
        assert_eq!(response.status, 200, "{query}: {response}");
    }
}

//! Errors of routes, methods, body sizes and failures of the service.

use aws_sdk_dynamodb::types::AttributeValue;
use muster_cli::emulator;
use muster_domain::KeyKind;
use muster_service::store::Table;
use reqwest::Method;
use serde_json::json;

use super::{assert_rejected, error_text, send_body, unknown_id};
use crate::{
    api::{ClockedStack, assert_common_headers, assert_error_headers, itsm_error},
    support::{Response, Stack, bare, unknown_key},
};

#[tokio::test]
async fn error_timestamp_has_whole_seconds() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let client = clocked.stack.client(&unknown_key(KeyKind::Itsm));
    let response = client.get("/v1/teams").await;
    assert_eq!(
        response.json["error"]["timestamp"], "2025-01-05T08:00:00Z",
        "{response}"
    );
}

#[tokio::test]
async fn unknown_route_or_trailing_slash_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for path in [
        "/v1",
        "/v2/teams",
        "/V1/teams",
        "/v1/teams/",
        "/v1/teams/?limit=1",
        "/v1//teams",
        "/v1/teams//workload",
        "/v1/team",
        &format!("{team}/"),
        &format!("{team}/tickets"),
        &format!("{team}/workload/"),
        &format!("{team}/members/{}/tickets", unknown_id()),
        "/v1/assignments/",
        "/v1/assignments/TKT-1/",
        &format!("{team}/assignments/"),
        &format!("{team}/assignments/TKT-1"),
    ] {
        assert_rejected(
            &org,
            &Method::GET,
            path,
            "",
            ["404 Not Found", "404 NOT_FOUND"],
        )
        .await;
    }
    assert_rejected(
        &org,
        &Method::POST,
        &format!("{team}/members/"),
        "{}",
        ["404 Not Found", "404 NOT_FOUND"],
    )
    .await;
}

#[tokio::test]
async fn unsupported_method_lists_the_allowed_methods() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", unknown_id());
    for (method, path, allowed) in [
        (Method::PUT, "/v1/teams", "GET, POST"),
        (Method::DELETE, "/v1/teams", "GET, POST"),
        (Method::PATCH, "/v1/teams", "GET, POST"),
        (Method::POST, &*team, "GET, PATCH, DELETE"),
        (Method::PUT, "/v1/teams/not-an-id", "GET, PATCH, DELETE"),
    ] {
        assert_rejected(
            &org,
            &method,
            path,
            "",
            ["405 Method Not Allowed", "405 METHOD_NOT_ALLOWED"],
        )
        .await;
        for client in org.clients() {
            assert_eq!(
                send_body(client, &method, path, "").await.header("allow"),
                allowed,
                "{method} {path}"
            );
        }
    }
    for (path, allowed) in [
        (format!("{team}/members"), "GET, POST"),
        (format!("{team}/members/{}", unknown_id()), "PATCH, DELETE"),
        (format!("{team}/assignments"), "GET"),
        ("/v1/assignments".to_owned(), "GET"),
        ("/v1/assignments/TKT-1".to_owned(), "GET"),
    ] {
        assert_rejected(
            &org,
            &Method::PUT,
            &path,
            "",
            ["405 Method Not Allowed", "405 METHOD_NOT_ALLOWED"],
        )
        .await;
        assert_eq!(
            send_body(&org.itsm, &Method::PUT, &path, "")
                .await
                .header("allow"),
            allowed,
            "{path}"
        );
    }
    let workload = format!("{team}/workload");
    let response = send_body(&org.itsm, &Method::POST, &workload, "").await;
    assert_eq!(
        error_text(&org.itsm, &workload, &response),
        "405 METHOD_NOT_ALLOWED"
    );
    assert_eq!(response.header("allow"), "GET");
}

#[tokio::test]
async fn head_request_is_not_allowed() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for client in org.clients() {
        for path in ["/v1/teams", &format!("/v1/teams/{team}")] {
            let response = send_body(client, &Method::HEAD, path, "").await;
            // HTTP allows no body in a response to HEAD, so only the headers describe the error.
            assert_eq!(
                (response.status.as_u16(), response.text.as_str()),
                (405, ""),
                "{path}"
            );
            assert_error_headers(&response);
        }
    }
}

#[tokio::test]
async fn workload_under_toptickets_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for path in [
        format!("/v1/teams/{team}/workload"),
        "/v1/teams/not-an-id/workload".to_owned(),
    ] {
        for method in [Method::GET, Method::POST] {
            let response = send_body(&org.toptickets, &method, &path, "").await;
            assert_eq!(
                error_text(&org.toptickets, &path, &response),
                "404 Not Found",
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn error_path_is_decoded_without_the_query() {
    let org = Stack::shared().organization().await;
    // API Gateway decodes a path before a function receives it.
    for (sent, received) in [
        ("/v1/teams/X-y_z", "/v1/teams/X-y_z"),
        ("/v1/teams/%20x%2F", "/v1/teams/ x/"),
        ("/v1/teams/TEAM_%C3%A9", "/v1/teams/TEAM_é"),
        ("/no%zzwhere", "/no%zzwhere"),
    ] {
        let response = org.itsm.get(&format!("{sent}?page=2&secret=1")).await;
        assert_eq!(itsm_error(&response, received).0, 404);
    }
}

#[tokio::test]
async fn body_over_256_kib_is_too_large() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let members = format!("{team}/members");
    let sized = |size: usize, fields: &str| {
        let empty = format!(r#"{{{fields}, "pad": ""}}"#);
        empty.replace(
            r#""pad": ""#,
            &format!(r#""pad": "{}"#, "x".repeat(size - empty.len())),
        )
    };
    for (number, client) in org.clients().into_iter().enumerate() {
        let (name, user) = (
            format!(r#""name": "Big {number}""#),
            bare(&org.users[number]),
        );
        let user = format!(r#""user_id": "{user}""#);
        for (method, path, fields) in [
            (Method::POST, "/v1/teams", &name),
            (Method::PATCH, &*team, &r#""description": "d""#.to_owned()),
            (Method::POST, &*members, &user),
        ] {
            let (fits, large) = (sized(256 * 1024, fields), sized(256 * 1024 + 1, fields));
            assert_eq!((fits.len(), large.len()), (262_144, 262_145));
            let response = send_body(client, &method, path, large).await;
            let expected = ["413 Request body too large", "413 PAYLOAD_TOO_LARGE"][number];
            assert_eq!(
                error_text(client, path, &response),
                expected,
                "{method} {path}"
            );
            let response = send_body(client, &method, path, fits).await;
            assert!(response.status.is_success(), "{method} {path}: {response}");
        }
    }
}

#[tokio::test]
async fn body_of_get_or_delete_is_ignored() {
    let org = Stack::shared().organization().await;
    for (client, name) in org.clients().into_iter().zip(["One", "Two"]) {
        let path = format!("/v1/teams/{}", org.team(name).await);
        let large = "{".repeat(300_000);
        assert_eq!(
            send_body(client, &Method::GET, "/v1/teams", large.clone())
                .await
                .status,
            200
        );
        assert_eq!(
            send_body(client, &Method::GET, &path, large.clone())
                .await
                .status,
            200
        );
        assert_eq!(
            send_body(client, &Method::DELETE, &path, large)
                .await
                .status,
            204
        );
    }
}

#[tokio::test]
async fn success_has_the_common_headers() {
    let org = Stack::shared().organization().await;
    let user = bare(&org.users[0]);
    for (client, name) in org.clients().into_iter().zip(["One", "Two"]) {
        let created = client.post("/v1/teams", json!({ "name": name })).await;
        let id = created.json["id"]
            .as_str()
            .or_else(|| created.json["data"]["id"].as_str())
            .expect("an id");
        let team = format!("/v1/teams/{id}");
        let with_body = [
            client.get("/v1/teams").await,
            client.get(&team).await,
            client.patch(&team, json!({})).await,
            client
                .post(&format!("{team}/members"), json!({ "user_id": user }))
                .await,
        ];
        for (response, status) in std::iter::once(&created)
            .chain(&with_body)
            .zip([201, 200, 200, 200, 201])
        {
            assert_eq!(
                (response.status.as_u16(), response.header("content-type")),
                (status, "application/json")
            );
            assert_common_headers(response);
        }
        for path in [format!("{team}/members/{user}"), team] {
            let response = client.delete(&path).await;
            assert_eq!(
                (response.status.as_u16(), response.text.as_str()),
                (204, ""),
                "{path}"
            );
            assert!(!response.headers.contains_key("content-type"), "{path}");
            assert_common_headers(&response);
        }
    }
}

/// Starts a stack with functions that use another table or endpoint.
async fn stack_over_table(dynamodb_url: String, table: &'static str) -> Stack {
    Stack::with(move |deps| deps.table = Table::new(emulator::client(&dynamodb_url), table)).await
}

/// Asserts that an error reveals no internals.
#[track_caller]
fn assert_no_internals(response: &Response) {
    let text = response.text.to_lowercase();
    for internal in [
        "dynamo",
        "table",
        "exception",
        "muster",
        "missing",
        "connect",
        "127.0.0.1",
        "queue_strategy",
    ] {
        assert!(!text.contains(internal), "{internal} is in {response}");
    }
}

#[tokio::test]
async fn missing_table_is_500_without_internals() {
    let stack = stack_over_table(Stack::shared().dynamodb_url, "missing").await;
    for (kind, expected) in [
        (KeyKind::TtAdmin, "500 "),
        (KeyKind::Itsm, "500 INTERNAL_ERROR"),
    ] {
        let client = stack.client(&unknown_key(kind));
        let response = client.get("/v1/teams").await;
        assert!(
            error_text(&client, "/v1/teams", &response).starts_with(expected),
            "{response}"
        );
        assert_no_internals(&response);
    }
    let response = stack.anonymous().get("/v1/teams").await;
    assert_eq!(response.status, 401, "a missing credential causes no read");
}

#[tokio::test]
async fn unreadable_item_is_500_without_internals() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.set_team(
        &team,
        &[("queue_strategy", AttributeValue::S("by_lot".to_owned()))],
    )
    .await;
    let path = format!("/v1/teams/{team}");
    for (client, expected) in org
        .clients()
        .into_iter()
        .zip(["500 ", "500 INTERNAL_ERROR"])
    {
        let response = client.get(&path).await;
        assert!(
            error_text(client, &path, &response).starts_with(expected),
            "{response}"
        );
        assert_no_internals(&response);
    }
}

#[tokio::test]
async fn unreachable_table_is_503_with_retry_after() {
    // No process listens on port 1, and the operating system never assigns it to a test.
    let stack = stack_over_table("http://127.0.0.1:1".to_owned(), "muster").await;
    let [toptickets, itsm] =
        [KeyKind::TtAdmin, KeyKind::Itsm].map(|kind| stack.client(&unknown_key(kind)));
    // The store retries until the deadline of the function.
    let (first, second) = tokio::join!(toptickets.get("/v1/teams"), itsm.get("/v1/teams"));
    assert!(
        error_text(&toptickets, "/v1/teams", &first).starts_with("503 "),
        "{first}"
    );
    assert_eq!(
        error_text(&itsm, "/v1/teams", &second),
        "503 SERVICE_UNAVAILABLE"
    );
    for response in [first, second] {
        assert!(
            response
                .header("retry-after")
                .parse::<u32>()
                .is_ok_and(|secs| secs > 0),
            "{response}"
        );
        assert_no_internals(&response);
    }
}

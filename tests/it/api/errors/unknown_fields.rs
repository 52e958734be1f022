//! Fields of a body that have no effect: named in `X-Ignored-Fields`, or rejected with
//! `strict=true`.

use muster_domain::KeyKind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{error_text, send_body, unknown_id};
use crate::support::{Client, Response, Stack, bare, unknown_key};

/// The fields of a body that no endpoint knows. Half of them must not be repeated.
fn odd_fields() -> String {
    let key = unknown_key(KeyKind::TtAdmin);
    format!(r#""b.2": [{{"x": 1}}], "{key}": 1, "caf\u00e9": 2, "": 3, "a-1": null, "b.2": 4"#)
}

/// The header that names [`odd_fields`].
const ODD_HEADER: &str = "b.2, a-1, +3";

async fn replayed(client: &Client, path: &str, body: &str) -> [Response; 2] {
    let key = unknown_id();
    let send = async || {
        let request = client.request(Method::POST, path);
        Client::send(
            request
                .header("idempotency-key", &key)
                .body(body.to_owned()),
        )
        .await
    };
    [send().await, send().await]
}

#[tokio::test]
async fn ignored_fields_are_named_in_a_header() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let odd = odd_fields();
        let body = format!(r#"{{{odd}, "name": "Team {number}", "id": 5, "created_at": "x"}}"#);
        for response in replayed(client, "/v1/teams", &body).await {
            assert_eq!(response.status, 201, "{response}");
            assert_eq!(response.header("x-ignored-fields"), ODD_HEADER);
        }
        let team = org.team(&format!("Other {number}")).await;
        let members = format!("/v1/teams/{team}/members");
        let user = bare(&org.users[number]);
        let body = format!(r#"{{"user_id": "{user}", "skills": ["VPN"], {odd}}}"#);
        let expected = if number == 0 {
            "skills, b.2, a-1, +3"
        } else {
            ODD_HEADER
        };
        for response in replayed(client, &members, &body).await {
            assert_eq!(response.status, 201, "{response}");
            assert_eq!(response.header("x-ignored-fields"), expected);
        }
        for path in [format!("/v1/teams/{team}"), format!("{members}/{user}")] {
            let response = send_body(client, &Method::PATCH, &path, format!("{{{odd}}}")).await;
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(response.header("x-ignored-fields"), ODD_HEADER, "{path}");
            let response = send_body(client, &Method::PATCH, &path, "{}").await;
            assert!(!response.headers.contains_key("x-ignored-fields"), "{path}");
        }
        // An error does not name them.
        let body = format!(r#"{{{odd}, "name": 5}}"#);
        let response = send_body(client, &Method::POST, "/v1/teams", body).await;
        assert_eq!(response.status, 400, "{response}");
        assert!(!response.headers.contains_key("x-ignored-fields"));
    }
}

#[tokio::test]
async fn toptickets_names_the_settings_of_itsm() {
    let org = Stack::shared().organization().await;
    let settings = r#"{"name": "Network", "queue_strategy": "least_busy", "specializations": [], "lead_id": null}"#;
    let [toptickets, itsm] = org.clients();
    let response = send_body(toptickets, &Method::POST, "/v1/teams", settings).await;
    assert_eq!(response.status, 201, "{response}");
    assert_eq!(
        response.header("x-ignored-fields"),
        "queue_strategy, specializations, lead_id"
    );
    let team = response.json["id"].as_str().expect("an id");
    let path = format!("/v1/teams/{team}");
    let response = send_body(itsm, &Method::PATCH, &path, settings).await;
    assert_eq!(
        (
            response.status.as_u16(),
            response.header("x-ignored-fields")
        ),
        (200, "")
    );
    // A client can send back the object that it read.
    let path = format!("/v1/teams/{team}?strict=true");
    let object = itsm.get(&path).await.json["data"].clone();
    assert_eq!(itsm.patch(&path, object).await.status, 200);
}

/// Returns the items of a TopTickets error in full.
fn items(response: &Response) -> Vec<Value> {
    response.json["detail"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn strict_request_rejects_unknown_fields() {
    let org = Stack::shared().organization().await;
    let [toptickets, itsm] = org.clients();
    let odd = odd_fields();
    let no_team = format!("/v1/teams/{}", unknown_id());
    let member = format!("{no_team}/members/{}", unknown_id());
    let user = unknown_id();
    for (method, path, body) in [
        (
            Method::POST,
            "/v1/teams".to_owned(),
            format!(r#"{{{odd}, "name": "Strict"}}"#),
        ),
        (Method::PATCH, no_team.clone(), format!("{{{odd}}}")),
        (
            Method::POST,
            format!("{no_team}/members"),
            format!(r#"{{{odd}, "user_id": "{user}"}}"#),
        ),
        (Method::PATCH, member, format!("{{{odd}}}")),
    ] {
        // The team does not exist: the body is checked first.
        let strict = format!("{path}?strict=true");
        let response = send_body(toptickets, &method, &strict, body.clone()).await;
        let extra = |loc: &[&str], msg: &str| json!({ "loc": loc, "msg": msg, "type": "value_error.extra" });
        let expected = [
            extra(&["body", "b.2"], "b.2 is not a field of this request"),
            extra(&["body", "a-1"], "a-1 is not a field of this request"),
            extra(
                &["body"],
                "the body has 3 unknown fields that are not named here",
            ),
        ];
        assert_eq!(
            (response.status.as_u16(), items(&response)),
            (422, expected.to_vec()),
            "{response}"
        );
        let response = send_body(itsm, &method, &strict, body).await;
        let expected = "400 VALIDATION_ERROR b.2 whitelistValidation";
        assert_eq!(error_text(itsm, &strict, &response), expected);
    }
    // Only a name that must not be repeated.
    let hidden = format!(
        r#"{{"name": "Strict", "{}": 1}}"#,
        unknown_key(KeyKind::Itsm)
    );
    let response = send_body(itsm, &Method::POST, "/v1/teams?strict=true", hidden).await;
    let error = &response.json["error"];
    assert_eq!(
        error["details"],
        json!({ "constraint": "whitelistValidation" }),
        "{response}"
    );
    assert_eq!(
        error["message"],
        "the body has 1 unknown field that is not named here; see /docs"
    );
}

#[tokio::test]
async fn strict_request_reports_other_rules_first() {
    let org = Stack::shared().organization().await;
    let [toptickets, itsm] = org.clients();
    let strict = "/v1/teams?strict=true";
    for (body, expected) in [
        (
            r#"{"x": 1, "name": 5}"#,
            [
                "400 body.name: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
        (
            r#"{"x": 1, "name": ""}"#,
            [
                "422 body.name: value_error.any_str.min_length\nbody.x: value_error.extra",
                "400 VALIDATION_ERROR name isNotEmpty",
            ],
        ),
        (
            r#"{"x": 1, "id": 2, "name": "Fine"}"#,
            [
                "422 body.x: value_error.extra",
                "400 VALIDATION_ERROR x whitelistValidation",
            ],
        ),
        (
            "{",
            ["400 body: value_error.jsondecode", "400 VALIDATION_ERROR"],
        ),
    ] {
        for (client, expected) in [toptickets, itsm].into_iter().zip(expected) {
            let response = send_body(client, &Method::POST, strict, body).await;
            assert_eq!(error_text(client, strict, &response), expected, "{body}");
        }
    }
    for text in ["", "1", "yes", "TRUE", "%ff", "false&strict=no"] {
        let path = format!("/v1/teams?strict={text}");
        for (client, expected) in [toptickets, itsm].into_iter().zip([
            "400 query.strict: type_error.enum",
            "400 VALIDATION_ERROR strict isEnum",
        ]) {
            let response = send_body(client, &Method::POST, &path, "{").await;
            assert_eq!(error_text(client, &path, &response), expected, "{path}");
        }
    }
    // Other methods have no such parameter.
    for client in org.clients() {
        assert_eq!(client.get("/v1/teams?strict=yes").await.status, 200);
    }
}

#[tokio::test]
async fn strict_is_no_part_of_an_idempotent_request() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let key = unknown_id();
        let body = format!(r#"{{"name": "Team {number}", "x": 1}}"#);
        let send = async |path: &str| {
            let request = client.request(Method::POST, path);
            Client::send(request.header("idempotency-key", &key).body(body.clone())).await
        };
        let first = send("/v1/teams").await;
        assert_eq!(first.status, 201, "{first}");
        // The body is validated before the saved response is found.
        let rejected = send("/v1/teams?strict=true").await;
        assert!(rejected.status.is_client_error(), "{rejected}");
        let replay = send("/v1/teams?strict=false").await;
        assert_eq!((replay.status.as_u16(), replay.text), (201, first.text));
        assert_eq!(replay.headers["x-ignored-fields"], "x");
    }
}

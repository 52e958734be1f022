//! Errors that state the fix: the place of a JSON fault, ids of another kind, and the link to the
//! documentation page.

use muster_domain::{KeyKind, Scope};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{error_text, send_body, unknown_id};
use crate::{
    api::{itsm_error, toptickets_error},
    support::{Client, Response, Stack, bare},
};

/// Returns the sentence of an error: the message of ITSM, or the first `msg` or the detail of
/// TopTickets.
fn sentence(response: &Response) -> &str {
    let detail = &response.json["detail"];
    [
        &response.json["error"]["message"],
        &detail[0]["msg"],
        detail,
    ]
    .into_iter()
    .find_map(Value::as_str)
    .expect("a sentence")
}

async fn post_as(client: &Client, content_type: Option<&str>, body: &str) -> Response {
    let mut request = client
        .request(Method::POST, "/v1/teams")
        .body(body.to_owned());
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    Client::send(request).await
}

#[tokio::test]
async fn malformed_json_is_located_with_the_content_type() {
    let org = Stack::shared().organization().await;
    for client in org.clients() {
        let secret = format!("text/plain; x={}", client.token());
        let long = format!("application/{}", "x".repeat(100));
        for (content_type, body, expected) in [
            (
                Some("application/json"),
                "{\n  \"name\": \"Network\",\n}",
                "trailing comma at line 3, column 1 (Content-Type: application/json)".to_owned(),
            ),
            (
                Some("application/x-www-form-urlencoded"),
                "[\"name\"]",
                "another JSON value at line 1, column 1 (Content-Type: application/x-www-form-urlencoded)"
                    .to_owned(),
            ),
            (
                None,
                "",
                "EOF while parsing a value at line 1, column 1 (no Content-Type)".to_owned(),
            ),
            (
                Some(&secret),
                "{",
                "EOF while parsing an object at line 1, column 1 (Content-Type: text/plain; x=)"
                    .to_owned(),
            ),
            (
                Some(&long),
                "{",
                format!(
                    "EOF while parsing an object at line 1, column 1 (Content-Type: application/{})",
                    "x".repeat(48)
                ),
            ),
        ] {
            let response = post_as(client, content_type, body).await;
            let expected = if client.token().starts_with("tt_") {
                format!("the body must be a JSON object: {expected}")
            } else {
                format!("The request body must be a JSON object: {expected}; see /docs")
            };
            assert_eq!(sentence(&response), expected, "{response}");
            error_text(client, "/v1/teams", &response);
        }
    }
}

#[tokio::test]
async fn id_of_the_other_kind_is_named() {
    let org = Stack::shared().organization().await;
    let team = format!("team_{}", org.team("Team").await);
    let user = format!("usr_{}", bare(&org.users[0]));
    let user_as_team = "Team not found: the path has the id of a user (usr_...) in the place of a team's id; see /docs";
    let team_as_user = "Member not found: the path has the id of a team (team_...) in the place of a user's id; see /docs";
    let swapped =
        "Team not found: the ids of the team and of the user are swapped in the path; see /docs";
    for (method, path, detail, message, link) in [
        (
            Method::GET,
            format!("/v1/teams/{user}"),
            "Team not found",
            user_as_team,
            "<../../docs>",
        ),
        (
            Method::POST,
            format!("/v1/teams/{user}/members"),
            "Team not found",
            user_as_team,
            "<../../../docs>",
        ),
        (
            Method::PATCH,
            format!("/v1/teams/{team}/members/{team}"),
            "Member not found",
            team_as_user,
            "<../../../../docs>",
        ),
        (
            Method::DELETE,
            format!("/v1/teams/{user}/members/{team}"),
            "Team not found",
            swapped,
            "<../../../../docs>",
        ),
    ] {
        let [toptickets, itsm] = org.clients();
        let response = send_body(toptickets, &method, &path, "{}").await;
        assert_eq!(toptickets_error(&response), (404, detail.to_owned()));
        let link = format!(r#"{link}; rel="help""#);
        assert_eq!(response.header("link"), link, "{path}");
        let response = send_body(itsm, &method, &path, "{}").await;
        let not_found = (404, "NOT_FOUND".to_owned(), json!(null));
        assert_eq!(itsm_error(&response, &path), not_found);
        assert_eq!(sentence(&response), message, "{path}");
        assert_eq!(response.header("link"), link, "{path}");
    }
    let body = json!({ "user_id": team });
    for (client, expected) in org.clients().into_iter().zip([
        "user_id must be the id of a user, and is the id of a team",
        "user_id must be the id of a user, and is the id of a team; see /docs",
    ]) {
        let response = client
            .post(&format!("/v1/teams/{team}/members"), body.clone())
            .await;
        assert_eq!(sentence(&response), expected, "{response}");
    }
}

/// Asserts that an error has this relative reference in its `Link`, and the pointer in ITSM's
/// message; or neither of them, if `reference` is empty.
fn assert_help(response: &Response, reference: &str) {
    assert!(response.status.is_client_error(), "{response}");
    let link = match reference {
        "" => String::new(),
        reference => format!(r#"<{reference}>; rel="help""#),
    };
    assert_eq!(response.header("link"), link, "{response}");
    if let Some(message) = response.json["error"]["message"].as_str() {
        let has_pointer = message.ends_with("; see /docs");
        assert_eq!(has_pointer, !reference.is_empty(), "{response}");
    }
}

#[tokio::test]
async fn error_that_the_page_explains_links_to_it() {
    let org = Stack::shared().organization().await;
    org.team("Taken").await;
    let unknown_team = format!("/v1/teams/{}", unknown_id());
    let large = "x".repeat(256 * 1024 + 1);
    let readers = [
        org.key(KeyKind::TtLive, &[Scope::TeamsRead]).await,
        org.key(KeyKind::Itsm, &[Scope::TeamsRead]).await,
    ];
    let anonymous = org.stack.anonymous();
    let (clients, no_scope, none) = (
        org.clients(),
        [&readers[0], &readers[1]],
        [&anonymous, &anonymous],
    );
    for (clients, method, path, body, expected) in [
        (clients, Method::GET, "/nowhere", "", "docs"),
        (clients, Method::PUT, "/v1/teams", "", "../docs"),
        (none, Method::GET, "/v1/teams", "", "../docs"),
        (no_scope, Method::DELETE, &*unknown_team, "", "../../docs"),
        (clients, Method::GET, "/v1/teams?limit=0", "", "../docs"),
        (clients, Method::POST, "/v1/teams", "{}", "../docs"),
        (clients, Method::GET, &*unknown_team, "", ""),
        (
            clients,
            Method::POST,
            "/v1/teams",
            r#"{"name": "Taken"}"#,
            "",
        ),
        (clients, Method::POST, "/v1/teams", &*large, ""),
    ] {
        for client in clients {
            let response = send_body(client, &method, path, body.to_owned()).await;
            assert_help(&response, expected);
        }
    }
}

//! API keys.

mod credentials;
mod lifetime;
mod scopes;
mod secrecy;

use std::fmt::Write;

use muster_contracts::UnauthorizedReason;
use muster_domain::KeyKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Response, Stack,
    response_shape::{ErrorFormat, assert_response},
};

/// Each kind of key: its prefix, its contract, and `true` if it is read-only.
const KINDS: [(KeyKind, &str, ErrorFormat, bool); 5] = [
    (
        KeyKind::TtAdmin,
        "tt_admin_",
        ErrorFormat::Toptickets,
        false,
    ),
    (KeyKind::TtLive, "tt_live_", ErrorFormat::Toptickets, false),
    (KeyKind::TtAgent, "tt_agent_", ErrorFormat::Toptickets, true),
    (KeyKind::TtReadOnly, "tt_ro_", ErrorFormat::Toptickets, true),
    (KeyKind::Itsm, "itsm_", ErrorFormat::Itsm, false),
];

/// Returns every endpoint with a valid body and its required scope, in an order in which each
/// request can succeed: `user` joins before their membership is changed and removed.
pub fn endpoints(
    team: &str,
    user: &str,
    fresh_name: &str,
) -> [(Method, String, Option<Value>, &'static str); 13] {
    let path = format!("/v1/teams/{team}");
    [
        (Method::GET, "/v1/teams".to_owned(), None, "teams:read"),
        (Method::GET, path.clone(), None, "teams:read"),
        (Method::GET, format!("{path}/workload"), None, "teams:read"),
        (Method::GET, format!("{path}/members"), None, "teams:read"),
        (
            Method::GET,
            format!("{path}/assignments"),
            None,
            "teams:read",
        ),
        (
            Method::GET,
            "/v1/assignments?state=unrouted".to_owned(),
            None,
            "teams:read",
        ),
        (
            Method::GET,
            "/v1/assignments/TKT-1".to_owned(),
            None,
            "teams:read",
        ),
        (
            Method::POST,
            "/v1/teams".to_owned(),
            Some(json!({ "name": fresh_name })),
            "teams:write",
        ),
        (
            Method::PATCH,
            path.clone(),
            Some(json!({ "description": "new" })),
            "teams:write",
        ),
        (
            Method::POST,
            format!("{path}/members"),
            Some(json!({ "user_id": user })),
            "teams:write",
        ),
        (
            Method::PATCH,
            format!("{path}/members/{user}"),
            Some(json!({ "skills": ["VPN"] })),
            "teams:write",
        ),
        (
            Method::DELETE,
            format!("{path}/members/{user}"),
            None,
            "teams:write",
        ),
        (Method::DELETE, path, None, "teams:delete"),
    ]
}

/// Returns the client's status for the list of teams, which shows if its key is valid.
pub async fn status(client: &Client) -> u16 {
    client.get("/v1/teams").await.status.as_u16()
}

fn has_path(path: &str, error_format: ErrorFormat) -> bool {
    error_format != ErrorFormat::Toptickets || !path.ends_with("/workload")
}

#[track_caller]
pub fn assert_forbidden(
    response: &Response,
    error_format: ErrorFormat,
    scope: &str,
    context: &str,
) {
    assert_eq!(response.status, 403, "{context}: {response}");
    if error_format == ErrorFormat::Toptickets {
        let expected =
            json!({ "detail": format!("Insufficient permissions. Required scope: {scope}") });
        assert_eq!(response.json, expected, "{context}");
    } else {
        let error = &response.json["error"];
        assert_eq!(error["code"], "FORBIDDEN", "{context}");
        assert_eq!(
            error["details"],
            json!({ "requiredScope": scope }),
            "{context}"
        );
    }
    assert_eq!(
        response.header("www-authenticate"),
        "",
        "{context}: the credential is valid"
    );
}

/// Asserts a 401 with the texts of both documents, for a credential that is not known.
#[track_caller]
pub fn assert_unauthorized(response: &Response, error_format: ErrorFormat, context: &str) {
    let reason = UnauthorizedReason::InvalidCredential;
    assert_unauthorized_for(response, error_format, reason, context);
}

/// Asserts a 401 with the texts of both documents, for a reason.
#[track_caller]
pub fn assert_unauthorized_for(
    response: &Response,
    error_format: ErrorFormat,
    reason: UnauthorizedReason,
    context: &str,
) {
    assert_response(response, error_format, context);
    assert_eq!(response.status, 401, "{context}: {response}");
    let (challenge, message) = reason_texts(reason);
    assert_eq!(response.header("www-authenticate"), challenge, "{context}");
    let link = response.header("link");
    assert!(
        link.starts_with("<../") && link.ends_with(r#"docs>; rel="help""#),
        "{context}: {link}"
    );
    if error_format != ErrorFormat::Itsm {
        assert_eq!(response.json["detail"], "Invalid API key", "{context}");
    }
    if error_format != ErrorFormat::Toptickets {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("UNAUTHORIZED"), &Value::Null),
            "{context}"
        );
        assert_eq!(error["message"], message, "{context}");
    }
}

/// Returns the challenge and the ITSM message of a reason.
fn reason_texts(reason: UnauthorizedReason) -> (&'static str, &'static str) {
    match reason {
        UnauthorizedReason::NoCredential => (
            "Bearer",
            "The request has no credential: send the header Authorization: Bearer <credential>; see /docs",
        ),
        UnauthorizedReason::OtherScheme => (
            "Bearer",
            "The authorization scheme is not Bearer: send the header Authorization: Bearer <credential>; see /docs",
        ),
        UnauthorizedReason::InvalidCredential => (
            r#"Bearer error="invalid_token", error_description="The credential is unknown or malformed""#,
            "The credential is unknown or malformed; see /docs",
        ),
        UnauthorizedReason::KeyExpired => (
            r#"Bearer error="invalid_token", error_description="The API key has expired""#,
            "The API key has expired; see /docs",
        ),
        UnauthorizedReason::KeyRevoked => (
            r#"Bearer error="invalid_token", error_description="The API key was revoked""#,
            "The API key was revoked; see /docs",
        ),
        UnauthorizedReason::TokenExpired => (
            r#"Bearer error="invalid_token", error_description="The token has expired""#,
            "The token has expired; see /docs",
        ),
    }
}

pub const SECOND: i64 = 1000;

/// Calls every endpoint with valid and invalid requests. Returns all headers and bodies of the
/// responses.
pub async fn all_responses(client: &Client, team: &str, user: &str) -> String {
    let mut reported = String::new();
    let unknown_user = uuid::Uuid::new_v4().to_string();
    for id in [&unknown_user, "nonsense", team] {
        for (method, path, body, _) in endpoints(id, user, "Said") {
            for query in ["", "?limit=x&page=x&skip=x"] {
                let response = client
                    .call(&method, &format!("{path}{query}"), body.as_ref())
                    .await;
                writeln!(reported, "{:?} {}", response.headers, response.text)
                    .expect("writing to a string cannot fail");
            }
        }
        let response = client
            .call(&Method::PUT, &format!("/v1/teams/{id}"), None)
            .await;
        writeln!(reported, "{:?} {}", response.headers, response.text)
            .expect("writing to a string cannot fail");
    }
    reported
}

/// Returns every attribute of every item.
pub async fn table_dump(stack: &Stack) -> String {
    let mut pages = stack
        .dynamodb()
        .scan()
        .table_name(&stack.table)
        .into_paginator()
        .send();
    let mut stored = String::new();
    while let Some(page) = pages.next().await {
        write!(
            stored,
            "{:?}",
            page.expect("the table can be scanned").items()
        )
        .expect("writing to a string cannot fail");
    }
    stored
}

//! Errors of credentials and scopes.

use std::time::Duration;

use muster_domain::{KeyKind, Scope, Timestamp};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::json;

use super::{error_text, send_body, unknown_id};
use crate::{
    api::{itsm_error, itsm_error_with_suffix, toptickets_error},
    support::{Client, Stack, bare, unknown_key},
};

#[tokio::test]
async fn bad_credential_is_rejected_in_its_contract() {
    let org = Stack::shared().organization().await;
    let mut bad: Vec<Client> = KeyKind::ALL
        .map(|kind| org.stack.client(&unknown_key(kind)))
        .into();
    let malformed = [
        "tt_",
        "tt_nonsense",
        "tt_admin_short",
        "itsm_",
        "itsm_short",
        "eyJh.eyJz.c2ln",
    ];
    bad.extend(malformed.map(|token| org.stack.client(token)));
    for kind in [
        KeyKind::TtAdmin,
        KeyKind::TtLive,
        KeyKind::TtAgent,
        KeyKind::Itsm,
    ] {
        let past = |key: &mut muster_domain::ApiKey| key.expires_at = Some(Timestamp::from_secs(1));
        bad.push(org.key_with(kind, &Scope::ALL, past).await.0);
        bad.push(
            org.key_with(kind, &Scope::ALL, |key| {
                key.revoked_at = Some(Timestamp::now());
            })
            .await
            .0,
        );
    }
    let old = |key: &mut muster_domain::ApiKey| {
        let age = i64::try_from(Duration::from_hours(73).as_millis()).expect("short");
        key.created_at = Timestamp::from_millis(key.created_at.millis() - age);
        key.expires_at = Some(Timestamp::now().plus(Duration::from_hours(1)));
    };
    bad.push(
        org.key_with(KeyKind::TtReadOnly, &[Scope::TeamsRead], old)
            .await
            .0,
    );
    for client in bad {
        let expected = if client.token().starts_with("tt_") {
            "401 Invalid API key"
        } else {
            "401 UNAUTHORIZED"
        };
        for (method, path) in [(Method::GET, "/v1/teams"), (Method::DELETE, "/v1/teams/x")] {
            let response = send_body(&client, &method, path, "").await;
            assert_eq!(
                error_text(&client, path, &response),
                expected,
                "{}",
                client.token()
            );
        }
    }
}

#[tokio::test]
async fn unknown_credential_gets_combined_error_body() {
    let stack = Stack::shared();
    let beside = r#","detail":"Invalid API key""#;
    let unauthorized = (401, "UNAUTHORIZED".to_owned(), json!(null));
    let response = stack.anonymous().get("/v1/teams?limit=1").await;
    assert_eq!(
        itsm_error_with_suffix(&response, "/v1/teams", beside),
        unauthorized
    );
    let with = async |header: &str| {
        Client::send(
            stack
                .anonymous()
                .request(Method::GET, "/v1/teams")
                .header(AUTHORIZATION, header),
        )
        .await
    };
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk_live_1",
        "Bearer a.b",
        "Basic dXNlcjpwYXNz",
    ] {
        assert_eq!(
            itsm_error_with_suffix(&with(header).await, "/v1/teams", beside),
            unauthorized,
            "{header:?}"
        );
    }
    // The form of a key is recognized after any scheme, or without one.
    let basic = format!("Basic {}", unknown_key(KeyKind::Itsm));
    assert_eq!(itsm_error(&with(&basic).await, "/v1/teams"), unauthorized);
    assert_eq!(
        toptickets_error(&with(&unknown_key(KeyKind::TtAdmin)).await),
        (401, "Invalid API key".to_owned())
    );
    // Errors that are detected before the credential is read have the bodies of both contracts.
    let large = vec![b' '; 256 * 1024 + 1];
    for (method, path, body, code, detail) in [
        (Method::GET, "/nowhere", vec![], "NOT_FOUND", "Not Found"),
        (
            Method::PUT,
            "/v1/teams",
            vec![],
            "METHOD_NOT_ALLOWED",
            "Method Not Allowed",
        ),
        (
            Method::POST,
            "/v1/teams",
            large,
            "PAYLOAD_TOO_LARGE",
            "Request body too large",
        ),
    ] {
        let response = send_body(&stack.anonymous(), &method, path, body).await;
        let (_, reported, details) =
            itsm_error_with_suffix(&response, path, &format!(r#","detail":"{detail}""#));
        assert_eq!(
            (reported.as_str(), details),
            (code, json!(null)),
            "{method} {path}"
        );
    }
}

/// Every endpoint with the scope that it requires.
const ENDPOINTS: [(Method, &str, Scope); 13] = [
    (Method::GET, "/v1/teams", Scope::TeamsRead),
    (Method::POST, "/v1/teams", Scope::TeamsWrite),
    (Method::GET, "/v1/teams/{team}", Scope::TeamsRead),
    (Method::PATCH, "/v1/teams/{team}", Scope::TeamsWrite),
    (Method::DELETE, "/v1/teams/{team}", Scope::TeamsDelete),
    (Method::GET, "/v1/teams/{team}/members", Scope::TeamsRead),
    (Method::POST, "/v1/teams/{team}/members", Scope::TeamsWrite),
    (
        Method::PATCH,
        "/v1/teams/{team}/members/{user}",
        Scope::TeamsWrite,
    ),
    (
        Method::DELETE,
        "/v1/teams/{team}/members/{user}",
        Scope::TeamsWrite,
    ),
    (Method::GET, "/v1/teams/{team}/workload", Scope::TeamsRead),
    (
        Method::GET,
        "/v1/teams/{team}/assignments",
        Scope::TeamsRead,
    ),
    (Method::GET, "/v1/assignments", Scope::TeamsRead),
    (Method::GET, "/v1/assignments/TKT-1", Scope::TeamsRead),
];

#[tokio::test]
async fn missing_scope_is_named_in_the_error() {
    let org = Stack::shared().organization().await;
    let (team, user) = (org.team("Team").await, bare(&org.users[0]));
    for needed in Scope::ALL {
        let others: Vec<_> = Scope::ALL
            .into_iter()
            .filter(|scope| *scope != needed)
            .collect();
        let toptickets = org.key(KeyKind::TtLive, &others).await;
        let itsm = org.key(KeyKind::Itsm, &others).await;
        let scope = needed.as_str();
        for (method, path, _) in ENDPOINTS
            .into_iter()
            .filter(|(_, _, scope)| *scope == needed)
        {
            let path = path.replace("{team}", &team).replace("{user}", &user);
            let response = send_body(&itsm, &method, &path, "").await;
            let expected = format!(r#"403 FORBIDDEN {{"requiredScope":"{scope}"}}"#);
            assert_eq!(
                error_text(&itsm, &path, &response),
                expected,
                "{method} {path}"
            );
            if !path.ends_with("/workload") {
                let response = send_body(&toptickets, &method, &path, "").await;
                let expected = format!("403 Insufficient permissions. Required scope: {scope}");
                assert_eq!(
                    error_text(&toptickets, &path, &response),
                    expected,
                    "{method} {path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn single_scope_allows_its_endpoints() {
    let org = Stack::shared().organization().await;
    let (team, user) = (org.team("Team").await, bare(&org.users[0]));
    for scope in Scope::ALL {
        let clients = [
            org.key(KeyKind::TtLive, &[scope]).await,
            org.key(KeyKind::Itsm, &[scope]).await,
        ];
        for (method, path, _) in ENDPOINTS
            .into_iter()
            .filter(|(_, _, needed)| *needed == scope)
        {
            let path = path.replace("{team}", &team).replace("{user}", &user);
            for client in &clients {
                let response = send_body(client, &method, &path, "").await;
                assert!(
                    ![401, 403].contains(&response.status.as_u16()),
                    "{method} {path}: {response}"
                );
            }
        }
    }
}

#[tokio::test]
async fn read_only_key_with_write_scopes_cannot_write() {
    let org = Stack::shared().organization().await;
    for kind in [KeyKind::TtAgent, KeyKind::TtReadOnly] {
        let client = org.key(kind, &Scope::ALL).await;
        assert_eq!(client.get("/v1/teams").await.status, 200);
        let response = client.post("/v1/teams", json!({ "name": "Team" })).await;
        let expected = "403 Insufficient permissions. Required scope: teams:write";
        assert_eq!(error_text(&client, "/v1/teams", &response), expected);
        let path = format!("/v1/teams/{}", unknown_id());
        let expected = "403 Insufficient permissions. Required scope: teams:delete";
        assert_eq!(
            error_text(&client, &path, &client.delete(&path).await),
            expected
        );
    }
}

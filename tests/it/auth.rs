//! API keys: whom they speak for, what each kind may do, when they end, and that nobody ever sees
//! one again.

use std::{fmt::Write, sync::atomic::Ordering};

use muster_cli::commands::keys::issue;
use muster_domain::{KeyKind, Scope, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    shapes::{Speaks, assert_response},
    support::{Client, Organization, Response, Stack, ticket_items::assigned, unknown_key},
};

/// Each kind of key by what it begins with, what it speaks, and whether it can do no more than
/// read.
const KINDS: [(KeyKind, &str, Speaks, bool); 5] = [
    (KeyKind::TtAdmin, "tt_admin_", Speaks::Toptickets, false),
    (KeyKind::TtLive, "tt_live_", Speaks::Toptickets, false),
    (KeyKind::TtAgent, "tt_agent_", Speaks::Toptickets, true),
    (KeyKind::TtReadOnly, "tt_ro_", Speaks::Toptickets, true),
    (KeyKind::Itsm, "itsm_", Speaks::Itsm, false),
];

/// Every endpoint of a team, with the scope it needs and a body that it takes; `{user}` is not a
/// member yet where it is added, and one where it is removed. In an order that lets each of them
/// succeed.
pub fn endpoints(
    team: &str,
    user: &str,
    fresh_name: &str,
) -> [(Method, String, Option<Value>, &'static str); 12] {
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

/// The client's status for the list of teams: whether its key is good.
pub async fn status(client: &Client) -> u16 {
    client.get("/v1/teams").await.status.as_u16()
}

fn is_in(path: &str, speaks: Speaks) -> bool {
    speaks != Speaks::Toptickets || !path.ends_with("/workload")
}

#[tokio::test]
async fn a_key_may_do_what_its_kind_and_its_scopes_both_allow() {
    let org = Stack::shared().organization().await;
    let user = org.users[0].id.uuid().to_string();
    let scope_sets: [&[Scope]; 5] = [
        &[],
        &[Scope::TeamsRead],
        &[Scope::TeamsWrite],
        &[Scope::TeamsDelete],
        &Scope::ALL,
    ];
    for (kind, prefix, speaks, reads_only) in KINDS {
        for scopes in scope_sets {
            let client = org.key(kind, scopes).await;
            assert!(client.token().starts_with(prefix));
            let what = format!("{prefix} {scopes:?}");
            let team = org.team(&what).await;
            org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
                .await;
            if reads_only || !scopes.contains(&Scope::TeamsWrite) {
                org.member(&team, &org.users[0]).await;
            }
            for (method, path, body, needed) in endpoints(&team, &user, &format!("{what} too")) {
                let what = format!("{what}: {method} {path}");
                let response = client.call(&method, &path, body.as_ref()).await;
                assert_response(&response, speaks, &what);
                let carried = scopes.iter().any(|scope| scope.as_str() == needed);
                if !is_in(&path, speaks) {
                    assert_eq!(
                        (response.status.as_u16(), &response.json["detail"]),
                        (404, &json!("Not Found")),
                        "{what}"
                    );
                } else if carried && (!reads_only || needed == "teams:read") {
                    assert!(response.status.is_success(), "{what}: {response}");
                } else {
                    assert_forbidden(&response, speaks, needed, &what);
                }
            }
        }
    }
}

#[track_caller]
pub fn assert_forbidden(response: &Response, speaks: Speaks, scope: &str, what: &str) {
    assert_eq!(response.status, 403, "{what}: {response}");
    if speaks == Speaks::Toptickets {
        let expected =
            json!({ "detail": format!("Insufficient permissions. Required scope: {scope}") });
        assert_eq!(response.json, expected, "{what}");
    } else {
        let error = &response.json["error"];
        assert_eq!(error["code"], "FORBIDDEN", "{what}");
        assert_eq!(
            error["details"],
            json!({ "requiredScope": scope }),
            "{what}"
        );
    }
    assert_eq!(
        response.header("www-authenticate"),
        "",
        "{what}: the credential is good"
    );
}

#[tokio::test]
async fn what_is_refused_for_its_scope_changes_nothing_and_tells_nothing() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let (user, nobody) = (
        org.users[0].id.uuid().to_string(),
        uuid::Uuid::new_v4().to_string(),
    );
    let before = org.itsm.get(&format!("/v1/teams/{team}")).await.text;
    for (kind, _, speaks, _) in KINDS {
        let client = org.key(kind, &[]).await;
        // The scope comes before the id, the parameters, the body and the team.
        for id in [&team, &nobody, "nonsense"] {
            for (method, path, _, needed) in endpoints(id, &user, "x")
                .into_iter()
                .filter(|e| is_in(&e.1, speaks))
            {
                let body = json!({ "name": 7, "user_id": 7, "skills": 7 });
                let response = client
                    .call(&method, &format!("{path}?limit=x"), Some(&body))
                    .await;
                assert_forbidden(&response, speaks, needed, &format!("{method} {path}"));
            }
        }
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.text,
        before
    );
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1
    );
}

/// A 401 by the words of both documents.
#[track_caller]
pub fn assert_unauthorized(response: &Response, speaks: Speaks, what: &str) {
    assert_response(response, speaks, what);
    assert_eq!(response.status, 401, "{what}: {response}");
    assert_eq!(response.header("www-authenticate"), "Bearer", "{what}");
    if speaks != Speaks::Itsm {
        assert_eq!(response.json["detail"], "Invalid API key", "{what}");
    }
    if speaks != Speaks::Toptickets {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("UNAUTHORIZED"), &Value::Null),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_in_the_shape_of_its_form() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let mut tokens: Vec<(String, Speaks)> = Vec::new();
    for (kind, prefix, speaks, _) in KINDS {
        let good = org.key(kind, &Scope::ALL).await.token().to_owned();
        let random = &good[prefix.len()..];
        tokens.extend(
            [
                unknown_key(kind),
                prefix.to_owned(),
                format!("{prefix}short"),
                format!("{prefix}{}", "x".repeat(500)),
                format!("{good}x"),
                good[..good.len() - 1].to_owned(),
                format!("{prefix}{}", random.chars().rev().collect::<String>()),
                format!("{good}!"),
                format!("{good},{good}"),
            ]
            .map(|token| (token, speaks)),
        );
        // The prefix is a part of the key.
        for (_, other, speaks, _) in KINDS.into_iter().filter(|other| other.1 != prefix) {
            tokens.push((format!("{other}{random}"), speaks));
        }
        tokens.push((random.to_owned(), Speaks::Either));
        tokens.push((good.to_uppercase(), Speaks::Either));
    }
    tokens.extend(
        [
            ("tt_", Speaks::Toptickets),
            ("tt_nonsense", Speaks::Toptickets),
            ("tt_a.b.c", Speaks::Toptickets),
            ("itsm_", Speaks::Itsm),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln", Speaks::Itsm),
            ("a.b", Speaks::Either),
            ("x", Speaks::Either),
            ("null", Speaks::Either),
        ]
        .map(|(token, speaks)| (token.to_owned(), speaks)),
    );
    for (token, speaks) in tokens {
        let response = stack.client(&token).get("/v1/teams").await;
        assert_unauthorized(&response, speaks, &token);
    }
}

#[tokio::test]
async fn only_a_bearer_token_is_a_credential() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let send = async |header: &str| {
        let request = stack
            .anonymous()
            .request(Method::GET, "/v1/teams")
            .header("authorization", header);
        Client::send(request).await
    };
    for client in org.clients() {
        let token = client.token();
        for good in [
            format!("bearer {token}"),
            format!("BEARER {token}"),
            format!("bEaReR {token}"),
        ] {
            assert_eq!(send(&good).await.status, 200, "{good}");
        }
        for bad in [
            token.to_owned(),
            format!("Basic {token}"),
            format!("Token {token}"),
            format!("Bearer{token}"),
            format!("Bearer:{token}"),
            format!("Bearer, Bearer {token}"),
            format!("\"Bearer {token}\""),
        ] {
            let response = send(&bad).await;
            assert_eq!(response.status, 401, "{bad}: {response}");
            assert_eq!(response.header("www-authenticate"), "Bearer", "{bad}");
        }
        let elsewhere = stack
            .anonymous()
            .request(Method::GET, &format!("/v1/teams?access_token={token}"));
        assert_unauthorized(
            &Client::send(elsewhere.header("x-api-key", token)).await,
            Speaks::Either,
            "elsewhere",
        );
    }
    for nothing in [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer    ",
        "Basic dXNlcjpwYXNz",
    ] {
        assert_unauthorized(&send(nothing).await, Speaks::Either, nothing);
    }
}

#[tokio::test]
async fn every_endpoint_wants_a_credential() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let team = org.team("Support").await;
    let user = org.users[0].id.uuid().to_string();
    let before = org.itsm.get(&format!("/v1/teams/{team}")).await.text;
    let clients = [
        (stack.anonymous(), Speaks::Either),
        (
            stack.client(&unknown_key(KeyKind::TtAdmin)),
            Speaks::Toptickets,
        ),
        (stack.client(&unknown_key(KeyKind::Itsm)), Speaks::Itsm),
    ];
    for (client, speaks) in &clients {
        for id in [&team, "nonsense"] {
            for (method, path, body, _) in endpoints(id, &user, "x")
                .into_iter()
                .filter(|e| is_in(&e.1, *speaks))
            {
                let response = client.call(&method, &path, body.as_ref()).await;
                assert_unauthorized(&response, *speaks, &format!("{method} {path}"));
            }
        }
        // The route is found first.
        assert_eq!(client.get("/v1/nothing").await.status, 404);
        let response = client.call(&Method::PUT, "/v1/teams", None).await;
        assert_response(&response, *speaks, "PUT");
        assert_eq!(response.status, 405);
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.text,
        before
    );
}

#[tokio::test]
async fn new_key_works_at_once() {
    let org = Stack::shared().organization().await;
    for (kind, ..) in KINDS {
        assert_eq!(
            status(&org.key(kind, &Scope::ALL).await).await,
            200,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn unknown_key_is_remembered_for_five_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let (secret, issued) = issue(
        KeyKind::TtLive,
        org.id.clone(),
        Scope::ALL.to_vec(),
        Timestamp::now(),
    );
    let early = stack.client(secret.reveal());
    for _ in 0..3 {
        assert_eq!(status(&early).await, 401);
    }
    stack.store().put_api_key(&issued).await.unwrap();
    // A request does not extend the time.
    for (later, expected) in [
        (0, 401),
        (4 * SECOND, 401),
        (5 * SECOND - 1, 401),
        (5 * SECOND, 200),
        (6 * SECOND, 200),
    ] {
        clock.store(start + later, Ordering::SeqCst);
        assert_eq!(status(&early).await, expected, "{later} ms later");
        assert_eq!(
            status(&org.toptickets).await,
            200,
            "other keys are not concerned"
        );
    }
}

pub const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;

#[tokio::test]
async fn a_key_ends_when_it_says_even_while_it_is_remembered() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let end = Timestamp::from_millis(start + 30 * SECOND);
    for (kind, _, speaks, _) in KINDS {
        clock.store(start, Ordering::SeqCst);
        let (client, _) = org
            .key_with(kind, &Scope::ALL, |key| key.expires_at = Some(end))
            .await;
        assert_eq!(status(&client).await, 200);
        clock.store(end.millis() - 1, Ordering::SeqCst);
        assert_eq!(status(&client).await, 200, "{kind:?}");
        clock.store(end.millis(), Ordering::SeqCst);
        assert_unauthorized(&client.get("/v1/teams").await, speaks, "expired");
    }
}

#[tokio::test]
async fn a_read_only_key_ends_after_72_hours_whatever_is_stored() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let in_a_year = Some(Timestamp::from_millis(start + 365 * 24 * HOUR));
    for stored in [None, in_a_year] {
        clock.store(start, Ordering::SeqCst);
        let issue = async |kind: KeyKind| {
            let change = |key: &mut muster_domain::ApiKey| {
                (key.created_at, key.expires_at) = (Timestamp::from_millis(start), stored);
            };
            org.key_with(kind, &Scope::ALL, change).await.0
        };
        let (read_only, admin) = (
            issue(KeyKind::TtReadOnly).await,
            issue(KeyKind::TtAdmin).await,
        );
        for (hours, expected) in [(0, 200), (71, 200), (72, 401), (73, 401)] {
            clock.store(start + hours * HOUR, Ordering::SeqCst);
            assert_eq!(
                (status(&read_only).await, status(&admin).await),
                (expected, 200),
                "after {hours} h"
            );
        }
        clock.store(start + 72 * HOUR - 1, Ordering::SeqCst);
        assert_eq!(status(&read_only).await, 200);
    }
    clock.store(start, Ordering::SeqCst);
    let shorter = Some(Timestamp::from_millis(start + HOUR));
    let (client, _) = org
        .key_with(KeyKind::TtReadOnly, &Scope::ALL, |key| {
            key.expires_at = shorter
        })
        .await;
    clock.store(start + HOUR, Ordering::SeqCst);
    assert_eq!(
        status(&client).await,
        401,
        "what is stored can end it earlier"
    );
}

#[tokio::test]
async fn a_revocation_bites_within_60_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let team = org.team("Support").await;
    for (kind, _, speaks, _) in KINDS {
        let start = clock.load(Ordering::SeqCst);
        let (client, key) = org.key_with(kind, &Scope::ALL, |_| {}).await;
        assert_eq!(status(&client).await, 200);
        assert!(
            stack
                .store()
                .revoke_api_key(key.hash, Timestamp::from_millis(start))
                .await
                .unwrap()
        );
        if speaks == Speaks::Itsm {
            let response = client.get(&format!("/v1/teams/{team}/workload")).await;
            assert_eq!(
                response.status, 401,
                "a function that never saw the key does not take it: {response}"
            );
        }
        clock.store(start + 60 * SECOND, Ordering::SeqCst);
        assert_unauthorized(&client.get("/v1/teams").await, speaks, "revoked");
        // It stays so, also when it is used all the time.
        for seconds in [61, 90, 119, 150] {
            clock.store(start + seconds * SECOND, Ordering::SeqCst);
            assert_eq!(status(&client).await, 401);
        }
    }
}

#[tokio::test]
async fn use_does_not_keep_a_revoked_key_alive() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (client, key) = org.key_with(KeyKind::Itsm, &Scope::ALL, |_| {}).await;
    let start = clock.load(Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    stack
        .store()
        .revoke_api_key(key.hash, Timestamp::from_millis(start))
        .await
        .unwrap();
    for seconds in (10..60).step_by(10) {
        clock.store(start + seconds * SECOND, Ordering::SeqCst);
        status(&client).await;
    }
    clock.store(start + 60 * SECOND, Ordering::SeqCst);
    assert_eq!(status(&client).await, 401);
}

#[tokio::test]
async fn a_key_that_was_looked_up_is_remembered_for_a_minute() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (client, key) = org.key_with(KeyKind::TtLive, &Scope::ALL, |_| {}).await;
    let start = clock.load(Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    // Without its item the key can only be known from memory.
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let deletion = stack.dynamodb().delete_item().table_name(&stack.table);
    deletion
        .key("pk", text(format!("KEY#{}", key.hash)))
        .key("sk", text("KEY".to_owned()))
        .send()
        .await
        .unwrap();
    clock.store(start + 60 * SECOND - 1, Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    clock.store(start + 60 * SECOND, Ordering::SeqCst);
    assert_eq!(status(&client).await, 401);
}

/// Asks every endpoint with a client, in ways that succeed and that fail, and gives every byte of
/// the answers.
pub async fn everything_said(client: &Client, team: &str, user: &str) -> String {
    let mut said = String::new();
    let nobody = uuid::Uuid::new_v4().to_string();
    for id in [&nobody, "nonsense", team] {
        for (method, path, body, _) in endpoints(id, user, "Said") {
            for query in ["", "?limit=x&page=x&skip=x"] {
                let response = client
                    .call(&method, &format!("{path}{query}"), body.as_ref())
                    .await;
                writeln!(said, "{:?} {}", response.headers, response.text)
                    .expect("a text takes all");
            }
        }
        let response = client
            .call(&Method::PUT, &format!("/v1/teams/{id}"), None)
            .await;
        writeln!(said, "{:?} {}", response.headers, response.text).expect("a text takes all");
    }
    said
}

#[tokio::test]
async fn no_answer_ever_holds_a_key() {
    let stack = Stack::shared();
    for (kind, prefix, ..) in KINDS {
        let org = stack.organization().await;
        let user = org.users[0].id.uuid().to_string();
        let revoked = |key: &mut muster_domain::ApiKey| key.revoked_at = Some(Timestamp::now());
        for client in [
            org.key(kind, &Scope::ALL).await,
            org.key(kind, &[]).await,
            org.key_with(kind, &Scope::ALL, revoked).await.0,
            stack.client(&unknown_key(kind)),
            stack.client(&format!("{prefix}not-a-key-at-all-but-somebodys-secret")),
        ] {
            let team = org.team(client.token()[..20].trim()).await;
            let said = everything_said(&client, &team, &user).await;
            let random = &client.token()[prefix.len()..];
            assert!(!said.contains(random), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn of_a_key_only_its_hash_is_stored() {
    let stack = Stack::with(|_| {}).await;
    let org = stack.organization().await;
    let team = org.team("Support").await;
    let user = org.users[0].id.uuid().to_string();
    let mut keys = Vec::new();
    for (kind, prefix, ..) in KINDS {
        let (client, key) = org
            .key_with(kind, &Scope::ALL, |key| {
                key.name = Some("a name".to_owned())
            })
            .await;
        everything_said(&client, &team, &user).await;
        keys.push((
            client.token()[prefix.len()..].to_owned(),
            client.token().to_owned(),
            key.hash.to_string(),
        ));
        let unknown = stack.client(&unknown_key(kind));
        everything_said(&unknown, &team, &user).await;
        keys.push((
            unknown.token()[prefix.len()..].to_owned(),
            unknown.token().to_owned(),
            String::new(),
        ));
    }
    let table = everything_stored(&stack).await;
    for (random, token, hash) in keys {
        assert!(
            !table.contains(&token) && !table.contains(&random),
            "the table holds a key in the clear"
        );
        assert!(
            table.contains(&hash),
            "of a key that was issued the hash is there"
        );
    }
}

/// Every attribute of every item.
pub async fn everything_stored(stack: &Stack) -> String {
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
        .expect("a text takes all");
    }
    stored
}

#[tokio::test]
async fn a_key_speaks_one_contract_and_for_one_organization() {
    let stack = Stack::shared();
    let (org, other) = (stack.organization().await, stack.organization().await);
    org.team("Ours").await;
    for (kind, _, speaks, _) in KINDS {
        let response = org
            .key(kind, &[Scope::TeamsRead])
            .await
            .get("/v1/teams")
            .await;
        let teams = if speaks == Speaks::Itsm {
            &response.json["data"]
        } else {
            &response.json
        };
        assert_eq!(
            teams.as_array().map(Vec::len),
            Some(1),
            "{kind:?}: {response}"
        );
        let response = other
            .key(kind, &[Scope::TeamsRead])
            .await
            .get("/v1/teams")
            .await;
        let teams = if speaks == Speaks::Itsm {
            &response.json["data"]
        } else {
            &response.json
        };
        assert_eq!(teams, &json!([]), "{kind:?}: {response}");
    }
    assert_same_contract(&org).await;
}

/// Nothing that a client says beside its key changes the contract.
async fn assert_same_contract(org: &Organization) {
    for (client, is_array) in [(&org.toptickets, true), (&org.itsm, false)] {
        for accept in [
            "application/vnd.itsm+json",
            "application/vnd.toptickets+json",
            "text/html",
        ] {
            let request =
                client.request(Method::GET, "/v1/teams?contract=itsm&contract=toptickets");
            let response = Client::send(
                request
                    .header("accept", accept)
                    .header("x-contract", accept),
            )
            .await;
            assert_eq!(response.json.is_array(), is_array, "{accept}: {response}");
        }
    }
}

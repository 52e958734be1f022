//! The form and the scope of a key.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use muster_domain::{KeyKind, OrganizationId, Scope, Timestamp, UserStatus};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    IDEMPOTENCY_KEY, KEY_REUSED, NAME_TAKEN, assert_same_response, created_team_id, member_body,
    members_path, new_key, post_with_key, saved_items, team_count,
};
use crate::{
    api::errors::error_text,
    support::{Client, Stack, bare, jwt, table::OrgTable, user},
};

#[tokio::test]
async fn key_reused_for_other_request_is_rejected() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let body = json!({ "name": format!("Team {number}") });
        let (creation, addition) = (new_key(), new_key());
        let first = post_with_key(client, "/v1/teams", &creation, &body).await;
        let team = created_team_id(&first);
        let (path, adding) = (members_path(&team), member_body(&org.users[0]));
        let joined = post_with_key(client, &path, &addition, &adding).await;
        assert_eq!(joined.status, 201, "{joined}");
        let before = OrgTable::of(&org).contents().await.teams;

        let upper_case = members_path(&team.to_uppercase());
        for (client, path, key, body) in [
            (
                client,
                "/v1/teams",
                &creation,
                json!({ "name": format!("Team {number}"), "description": null }),
            ),
            (
                client,
                "/v1/teams",
                &creation,
                json!({ "name": format!("Team {number} ") }),
            ),
            (client, "/v1/teams", &creation, json!({ "name": "Another" })),
            (client, "/v1/teams", &addition, json!({ "name": "Another" })),
            (client, &path, &creation, adding.clone()),
            (
                client,
                &path,
                &addition,
                json!({ "user_id": bare(&org.users[1]) }),
            ),
            (client, &path, &addition, json!({ "user_id": new_key() })),
            (client, &members_path(&new_key()), &addition, adding.clone()),
            // The same team, with its id in upper case.
            (client, &upper_case, &addition, adding.clone()),
        ] {
            let response = post_with_key(client, path, key, &body).await;
            let contract = usize::from(client.token().starts_with("itsm_"));
            assert_eq!(
                error_text(client, path, &response),
                KEY_REUSED[contract],
                "{path} {body}"
            );
        }
        // The same JSON with another byte sequence is another body.
        let spaced = client
            .request(Method::POST, "/v1/teams")
            .header(IDEMPOTENCY_KEY, &creation)
            .body(format!(" {body}"));
        assert_eq!(
            error_text(client, "/v1/teams", &Client::send(spaced).await),
            KEY_REUSED[number]
        );

        assert_eq!(OrgTable::of(&org).contents().await.teams, before);
        assert_same_response(
            &first,
            &post_with_key(client, "/v1/teams", &creation, &body).await,
        );
        assert_same_response(
            &joined,
            &post_with_key(client, &path, &addition, &adding).await,
        );
    }
}

#[tokio::test]
async fn key_must_be_1_to_255_visible_ascii_characters() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let (members, long) = (members_path(&team), "x".repeat(256));
    let keys: [(&[u8], &str); 10] = [
        (b"", "isNotEmpty"),
        (long.as_bytes(), "maxLength"),
        (b"a b", "isPrintable"),
        (b"a\tb", "isPrintable"),
        (b"caf\xc3\xa9", "isPrintable"),
        (b"\xff", "isPrintable"),
        ("\u{ad}".as_bytes(), "isPrintable"),
        ("\u{ff21}".as_bytes(), "isPrintable"),
        (b"a, b", "isPrintable"),
        (&[b'x', 0xa0], "isPrintable"),
    ];
    for client in org.clients() {
        for (path, body) in [
            ("/v1/teams", json!({ "name": "New" })),
            (&*members, member_body(&org.users[0])),
        ] {
            for (key, constraint) in keys {
                let key = HeaderValue::from_bytes(key).expect("a header's value");
                let response = Client::send(
                    client
                        .request(Method::POST, path)
                        .header(IDEMPOTENCY_KEY, &key)
                        .json(&body),
                )
                .await;
                let expected = if client.token().starts_with("tt_") {
                    "400 header.Idempotency-Key: type_error.string".to_owned()
                } else {
                    format!("400 VALIDATION_ERROR Idempotency-Key {constraint}")
                };
                assert_eq!(
                    error_text(client, path, &response),
                    expected,
                    "{path} {key:?}"
                );
            }
        }
    }
    // HTTP joins two headers of one name with a comma.
    let twice = |second| {
        org.itsm
            .request(Method::POST, "/v1/teams")
            .header(IDEMPOTENCY_KEY, "1")
            .header(IDEMPOTENCY_KEY, second)
    };
    let body = json!({ "name": "New" });
    assert_eq!(Client::send(twice("2").json(&body)).await.status, 201);
    assert_eq!(Client::send(twice("2").json(&body)).await.status, 201);
    assert_eq!(Client::send(twice("3").json(&body)).await.status, 409);
    assert_eq!(team_count(&org).await, 2);
}

#[tokio::test]
async fn key_is_checked_between_path_and_body() {
    let org = Stack::shared().organization().await;
    let reader = org.key(KeyKind::TtAgent, &[Scope::TeamsRead]).await;
    let bad_key = [
        "400 header.Idempotency-Key: type_error.string",
        "400 VALIDATION_ERROR Idempotency-Key isPrintable",
    ];
    let response = post_with_key(&reader, "/v1/teams", "a b", &json!({})).await;
    assert_eq!(
        error_text(&reader, "/v1/teams", &response),
        "403 Insufficient permissions. Required scope: teams:write"
    );
    for (number, client) in org.clients().into_iter().enumerate() {
        let not_found = ["404 Team not found", "404 NOT_FOUND"];
        for (path, expected) in [
            (&*members_path("x"), not_found),
            (&members_path(&new_key()), bad_key),
            ("/v1/teams", bad_key),
            ("/v1/teams", bad_key),
        ] {
            let response = post_with_key(client, path, "a b", &json!({ "name": 1 })).await;
            assert_eq!(
                error_text(client, path, &response),
                expected[number],
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn key_on_other_endpoints_is_ignored() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    let team = format!("/v1/teams/{id}");
    let member = format!("{team}/members/{}", bare(&org.users[0]));
    for key in ["", "a b", "the same"] {
        for client in org.clients() {
            for (method, path, body) in [
                (Method::GET, &*team, Value::Null),
                (Method::GET, "/v1/teams", Value::Null),
                (Method::PATCH, &team, json!({ "description": new_key() })),
                (Method::PATCH, &member, json!({ "skills": [new_key()] })),
            ] {
                let response = Client::send(
                    client
                        .request(method.clone(), path)
                        .header(IDEMPOTENCY_KEY, key)
                        .json(&body),
                )
                .await;
                assert_eq!(response.status, 200, "{method} {path}: {response}");
                let shown = response
                    .text
                    .contains(body["description"].as_str().unwrap_or_default());
                assert!(shown, "{method} {path} was done: {response}");
            }
        }
    }
    for (path, status) in [(&member, 204), (&member, 404), (&team, 204), (&team, 404)] {
        let response = Client::send(
            org.toptickets
                .request(Method::DELETE, path)
                .header(IDEMPOTENCY_KEY, "the same"),
        )
        .await;
        assert_eq!(response.status, status, "{path}");
    }
}

#[tokio::test]
async fn key_is_scoped_to_its_organization() {
    let stack = Stack::shared();
    // Without a separator in the item's key, the keys of both organizations would be equal.
    let name = format!("org_{}", Uuid::new_v4().simple());
    let id = |text: &str| OrganizationId::parse(text).expect("the id is valid");
    let orgs = [
        stack
            .organization_of(id(&name), vec![user("Alex", UserStatus::Active)])
            .await,
        stack
            .organization_of(
                id(&format!("{name}_")),
                vec![user("Alex", UserStatus::Active)],
            )
            .await,
    ];
    let key = format!("_#IDEM#{}", new_key());
    let mut created_ids = Vec::new();
    for org in &orgs {
        for client in org.clients() {
            let (key, body) = (
                format!("{key}{}", &client.token()[..3]),
                json!({ "name": client.token()[..3] }),
            );
            let first = post_with_key(client, "/v1/teams", &key, &body).await;
            created_ids.push(created_team_id(&first));
            assert_same_response(
                &first,
                &post_with_key(client, "/v1/teams", &key, &body).await,
            );
        }
        assert_eq!(team_count(org).await, 2);
    }
    created_ids.sort();
    created_ids.dedup();
    assert_eq!(created_ids.len(), 4);
}

#[tokio::test]
async fn equal_keys_of_two_clients_are_independent() {
    let org = Stack::shared().organization().await;
    let tokens = ["usr_1", "usr_2"].map(|sub| {
        let claims = jwt::with(
            jwt::claims(&org.id, Timestamp::now()),
            &json!({ "sub": sub }),
        );
        jwt::SIGNERS[0].sign(&claims)
    });
    org.trust(&[jwt::SIGNERS[0].jwk()]).await;
    let [first_token, second_token] = tokens.map(|token| org.stack.client(&token));
    let colleague = org.key(KeyKind::TtLive, &[Scope::TeamsWrite]).await;
    let clients = [
        &org.toptickets,
        &org.itsm,
        &colleague,
        &first_token,
        &second_token,
    ];
    let mut responses = Vec::new();
    for (n, client) in clients.into_iter().enumerate() {
        let body = json!({ "name": format!("Team {n}") });
        let first = post_with_key(client, "/v1/teams", "1", &body).await;
        created_team_id(&first);
        responses.push((client, body, first));
    }
    for (client, body, first) in &responses {
        assert_same_response(first, &post_with_key(client, "/v1/teams", "1", body).await);
    }
    // A later token of the same subject sends the retry.
    let claims = jwt::with(
        jwt::claims(&org.id, Timestamp::now()),
        &json!({ "sub": "usr_1", "jti": "another" }),
    );
    let renewed = org.stack.client(&jwt::SIGNERS[0].sign(&claims));
    assert_same_response(
        &responses[3].2,
        &post_with_key(&renewed, "/v1/teams", "1", &responses[3].1).await,
    );
    let listed = org.itsm.get("/v1/teams").await;
    assert_eq!(
        listed.json["meta"]["pagination"]["total"],
        clients.len(),
        "{listed}"
    );
    assert_eq!(saved_items(&org, "1").await.len(), clients.len());
}

#[tokio::test]
async fn saved_response_is_returned_to_its_subject_only() {
    let now = Arc::new(AtomicI64::new(Timestamp::now().millis()));
    let stack = Stack::with({
        let now = Arc::clone(&now);
        move |deps| {
            let now = Arc::clone(&now);
            deps.clock = Arc::new(move || Timestamp::from_millis(now.load(SeqCst)));
        }
    })
    .await;
    let org = stack.organization().await;
    let key = new_key();
    let body = json!({ "name": "Team" });
    let first = post_with_key(&org.toptickets, "/v1/teams", &key, &body).await;
    created_team_id(&first);

    let colleague = org.key(KeyKind::TtLive, &[Scope::TeamsWrite]).await;
    let taken = post_with_key(&colleague, "/v1/teams", &key, &body).await;
    assert_eq!(error_text(&colleague, "/v1/teams", &taken), NAME_TAKEN[0]);

    let reader = org
        .key(KeyKind::TtLive, &[Scope::TeamsRead, Scope::TeamsDelete])
        .await;
    let forbidden = post_with_key(&reader, "/v1/teams", &key, &body).await;
    assert_eq!(
        error_text(&reader, "/v1/teams", &forbidden),
        "403 Insufficient permissions. Required scope: teams:write"
    );
    let (revoked, _) = org
        .key_with(KeyKind::TtAdmin, &Scope::ALL, |key| {
            key.revoked_at = Some(key.created_at);
        })
        .await;
    let unauthorized = post_with_key(&revoked, "/v1/teams", &key, &body).await;
    assert_eq!(
        error_text(&revoked, "/v1/teams", &unauthorized),
        "401 Invalid API key"
    );
    let (expiring, _) = org
        .key_with(KeyKind::TtAdmin, &Scope::ALL, |key| {
            key.expires_at = Some(Timestamp::from_millis(now.load(SeqCst) + 3_600_000));
        })
        .await;
    let own = json!({ "name": "Team of the key that expires" });
    let own_first = post_with_key(&expiring, "/v1/teams", &key, &own).await;
    assert_same_response(
        &own_first,
        &post_with_key(&expiring, "/v1/teams", &key, &own).await,
    );
    now.fetch_add(3_600_000, SeqCst);
    assert_eq!(
        post_with_key(&expiring, "/v1/teams", &key, &own)
            .await
            .status,
        401
    );
    assert_eq!(
        post_with_key(&stack.anonymous(), "/v1/teams", &key, &body)
            .await
            .status,
        401
    );
    assert_same_response(
        &first,
        &post_with_key(&org.toptickets, "/v1/teams", &key, &body).await,
    );
    assert_eq!(team_count(&org).await, 2);
}

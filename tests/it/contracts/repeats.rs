//! `Idempotency-Key`: a retry is carried out once, and returns the response of the first request.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::future::join_all;
use muster_domain::{
    Contract, Fingerprint, Idempotency, IdempotencyKey, KeyKind, NewTeam, OrganizationId,
    QueueStrategy, Scope, Subject, Tags, Team, TeamId, TeamName, Timestamp, User, UserStatus,
};
use muster_service::store::RenderedResponse;
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, errors::said};
use crate::support::{
    Client, Organization, Response, Stack, bare, jwt,
    table::{Item, OrgTable, assert_sound, number, text},
    user,
};

const KEY: &str = "idempotency-key";
const REUSED: [&str; 2] = ["422 Idempotency-Key reused", "422 IDEMPOTENCY_KEY_REUSED"];

/// A key that nobody else has.
fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// Posts with a key.
async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Response {
    Client::send(
        client
            .request(Method::POST, path)
            .header(KEY, key)
            .json(body),
    )
    .await
}

/// Asserts that two answers differ in nothing but the ids of their requests.
#[track_caller]
fn assert_same(first: &Response, again: &Response) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for header in ["etag", "content-type", "cache-control"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
}

/// The bare id of the team that was created.
fn created(response: &Response) -> String {
    assert_eq!(response.status, 201, "{response}");
    let id = response.json["id"]
        .as_str()
        .or_else(|| response.json["data"]["id"].as_str());
    id.expect("an id").trim_start_matches("team_").to_owned()
}

fn adding(user: &User) -> Value {
    json!({ "user_id": bare(user) })
}

fn members(team: &str) -> String {
    format!("/v1/teams/{team}/members")
}

async fn teams(org: &Organization) -> usize {
    OrgTable::of(org).contents().await.teams.len()
}

#[tokio::test]
async fn a_team_is_created_once() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let body = json!({ "name": format!("Team {number}"), "description": "\u{1f980} \"quoted\" \n\tnext line" });
        let (key, visible) = (fresh(), ('!'..='~').collect::<String>());
        let first = post(client, "/v1/teams", &key, &body).await;
        created(&first);
        assert_eq!(first.header("etag"), "\"1\"");
        for _ in 0..3 {
            assert_same(&first, &post(client, "/v1/teams", &key, &body).await);
        }
        assert_eq!(teams(&org).await, 2 * number + 1);
        // Any visible characters, as many as 255.
        let (other, long) = (
            json!({ "name": format!("Other {number}") }),
            format!("{number}{}", "x".repeat(254)),
        );
        let first = post(client, "/v1/teams", &format!("{number}{visible}"), &other).await;
        created(&first);
        assert_same(
            &first,
            &post(client, "/v1/teams", &format!("{number}{visible}"), &other).await,
        );
        let taken = post(client, "/v1/teams", &long, &other).await;
        assert_eq!(said(client, "/v1/teams", &taken), TAKEN[number]);
    }
    assert_sound(&org).await;
}

const TAKEN: [&str; 2] = ["422 Team name already exists", "409 CONFLICT"];

#[tokio::test]
async fn a_member_is_added_once() {
    let org = Stack::shared().organization().await;
    for client in org.clients() {
        let team = org.team(&fresh()).await;
        let members = members(&team);
        org.member(&team, &org.users[0]).await;
        for (at, mut body) in [(1, adding(&org.users[1])), (2, adding(&org.users[2]))] {
            body["role"] = json!("lead");
            let key = fresh();
            let first = post(client, &members, &key, &body).await;
            assert_eq!(first.status, 201, "{first}");
            // What happens in between is not in the first response, and not in the next.
            org.member(&team, &org.users[at + 2]).await;
            for _ in 0..3 {
                assert_same(&first, &post(client, &members, &key, &body).await);
            }
        }
        let contents = OrgTable::of(&org).contents().await;
        assert_eq!(
            (
                contents.members(&team).len(),
                number(&contents.teams[&team], "version")
            ),
            (5, 6)
        );
    }
    assert_sound(&org).await;
}

/// Somebody who left is added anew by the next request, and by none that was sent before.
#[tokio::test]
async fn a_member_who_left_does_not_return_by_what_was_sent_before() {
    let org = Stack::shared().organization().await;
    for client in org.clients() {
        let team = org.team(&fresh()).await;
        let (members, body) = (members(&team), adding(&org.users[0]));
        let [key, later] = [fresh(), fresh()];
        let first = post(client, &members, &key, &body).await;
        assert_eq!(first.status, 201, "{first}");
        let member = format!("{members}/{}", bare(&org.users[0]));
        assert_eq!(client.delete(&member).await.status, 204);
        assert_same(&first, &post(client, &members, &key, &body).await);
        assert!(
            OrgTable::of(&org)
                .contents()
                .await
                .members(&team)
                .is_empty()
        );
        assert_eq!(post(client, &members, &later, &body).await.status, 201);
        assert_same(&first, &post(client, &members, &key, &body).await);
        assert_eq!(OrgTable::of(&org).contents().await.members(&team).len(), 1);
    }
}

#[tokio::test]
async fn the_first_answer_stands_whatever_happened_since() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let lead = &org.users[number];
        let new = json!({ "name": format!("Team {number}"), "lead_id": bare(lead) });
        let (creation, addition) = (fresh(), fresh());
        let first = post(client, "/v1/teams", &creation, &new).await;
        let team = created(&first);
        let (path, members, body) = (
            format!("/v1/teams/{team}"),
            members(&team),
            adding(&org.users[2 + number]),
        );
        let joined = post(client, &members, &addition, &body).await;
        assert_eq!(joined.status, 201, "{joined}");
        let repeated = async || {
            assert_same(&first, &post(client, "/v1/teams", &creation, &new).await);
            assert_same(&joined, &post(client, &members, &addition, &body).await);
        };

        repeated().await;
        assert_eq!(
            client
                .patch(&path, json!({ "name": format!("Renamed {number}") }))
                .await
                .status,
            200
        );
        repeated().await;
        // Another team has the name.
        org.team(&format!("Team {number}")).await;
        repeated().await;
        let inactive = |user: &User| User {
            status: UserStatus::Inactive,
            version: 2,
            ..user.clone()
        };
        let users = [inactive(lead), inactive(&org.users[2 + number])];
        org.stack
            .store()
            .put_users(&org.id, &users)
            .await
            .expect("users can be written");
        repeated().await;
        assert_eq!(client.delete(&path).await.status, 204);
        repeated().await;
        assert_eq!(client.get(&path).await.status, 404);
    }
    assert_eq!(assert_sound(&org).await.teams.len(), 2);
}

#[tokio::test]
async fn a_key_is_good_for_one_request() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let body = json!({ "name": format!("Team {number}") });
        let (creation, addition) = (fresh(), fresh());
        let first = post(client, "/v1/teams", &creation, &body).await;
        let team = created(&first);
        let (path, adding) = (members(&team), adding(&org.users[0]));
        let joined = post(client, &path, &addition, &adding).await;
        assert_eq!(joined.status, 201, "{joined}");
        let before = OrgTable::of(&org).contents().await.teams;

        let shouted = path
            .to_uppercase()
            .replace("/V1/TEAMS", "/v1/teams")
            .replace("/MEMBERS", "/members");
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
            (client, &path, &addition, json!({ "user_id": fresh() })),
            (client, &members(&fresh()), &addition, adding.clone()),
            // The same team, said otherwise.
            (client, &shouted, &addition, adding.clone()),
        ] {
            let response = post(client, path, key, &body).await;
            let contract = usize::from(client.token().starts_with("itsm_"));
            assert_eq!(
                said(client, path, &response),
                REUSED[contract],
                "{path} {body}"
            );
        }
        // The same JSON in other bytes is another body.
        let spaced = client
            .request(Method::POST, "/v1/teams")
            .header(KEY, &creation)
            .body(format!(" {body}"));
        assert_eq!(
            said(client, "/v1/teams", &Client::send(spaced).await),
            REUSED[number]
        );

        assert_eq!(OrgTable::of(&org).contents().await.teams, before);
        assert_same(&first, &post(client, "/v1/teams", &creation, &body).await);
        assert_same(&joined, &post(client, &path, &addition, &adding).await);
    }
}

#[tokio::test]
async fn what_was_refused_is_not_kept() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let (creation, addition) = (fresh(), fresh());
        let (name, free) = (
            json!({ "name": format!("Taken {number}") }),
            json!({ "name": format!("Free {number}") }),
        );
        let taken = org.team(&format!("taken {number}")).await;
        for (body, expected) in [
            (
                json!({ "name": 1 }),
                [
                    "400 body.name: type_error.string",
                    "400 VALIDATION_ERROR name isString",
                ],
            ),
            (name.clone(), TAKEN),
            (name.clone(), TAKEN),
        ] {
            let response = post(client, "/v1/teams", &creation, &body).await;
            assert_eq!(said(client, "/v1/teams", &response), expected[number]);
        }
        // Another request, too: nothing was done under the key.
        let first = post(client, "/v1/teams", &creation, &free).await;
        let team = created(&first);
        assert_same(&first, &post(client, "/v1/teams", &creation, &free).await);
        let now_reused = post(client, "/v1/teams", &creation, &name).await;
        assert_eq!(said(client, "/v1/teams", &now_reused), REUSED[number]);
        assert_eq!(
            client.delete(&format!("/v1/teams/{taken}")).await.status,
            204
        );

        let path = members(&team);
        org.member(&team, &org.users[1]).await;
        for (path, user, expected) in [
            (
                &path,
                fresh(),
                ["404 User not found", r#"404 NOT_FOUND {"field":"user_id"}"#],
            ),
            (
                &members(&taken),
                bare(&org.users[0]),
                ["404 Team not found", "404 NOT_FOUND"],
            ),
            (
                &path,
                bare(&org.users[1]),
                ["422 User is already a member", "409 CONFLICT"],
            ),
            (
                &path,
                bare(&org.users[12]),
                [
                    "422 User is not active",
                    r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
                ],
            ),
        ] {
            let response = post(client, path, &addition, &json!({ "user_id": user })).await;
            assert_eq!(said(client, path, &response), expected[number]);
        }
        // The very request that was refused succeeds once nothing is in its way.
        let body = adding(&org.users[1]);
        assert_eq!(
            client
                .delete(&format!("{path}/{}", bare(&org.users[1])))
                .await
                .status,
            204
        );
        let joined = post(client, &path, &addition, &body).await;
        assert_eq!(joined.status, 201, "{joined}");
        assert_same(&joined, &post(client, &path, &addition, &body).await);
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_ascii_characters() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let (members, long) = (members(&team), "x".repeat(256));
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
            (&*members, adding(&org.users[0])),
        ] {
            for (key, constraint) in keys {
                let key = HeaderValue::from_bytes(key).expect("a header's value");
                let response = Client::send(
                    client
                        .request(Method::POST, path)
                        .header(KEY, &key)
                        .json(&body),
                )
                .await;
                let expected = if client.token().starts_with("tt_") {
                    "400 header.Idempotency-Key: type_error.string".to_owned()
                } else {
                    format!("400 VALIDATION_ERROR Idempotency-Key {constraint}")
                };
                assert_eq!(said(client, path, &response), expected, "{path} {key:?}");
            }
        }
    }
    // Two of them are one with a comma.
    let twice = |second| {
        org.itsm
            .request(Method::POST, "/v1/teams")
            .header(KEY, "1")
            .header(KEY, second)
    };
    let body = json!({ "name": "New" });
    assert_eq!(Client::send(twice("2").json(&body)).await.status, 201);
    assert_eq!(Client::send(twice("2").json(&body)).await.status, 201);
    assert_eq!(Client::send(twice("3").json(&body)).await.status, 409);
    assert_eq!(teams(&org).await, 2);
}

#[tokio::test]
async fn a_bad_key_is_said_after_the_credential_and_the_path_and_before_the_body() {
    let org = Stack::shared().organization().await;
    let reader = org.key(KeyKind::TtAgent, &[Scope::TeamsRead]).await;
    let bad_key = [
        "400 header.Idempotency-Key: type_error.string",
        "400 VALIDATION_ERROR Idempotency-Key isPrintable",
    ];
    let response = post(&reader, "/v1/teams", "a b", &json!({})).await;
    assert_eq!(
        said(&reader, "/v1/teams", &response),
        "403 Insufficient permissions. Required scope: teams:write"
    );
    for (number, client) in org.clients().into_iter().enumerate() {
        let not_found = ["404 Team not found", "404 NOT_FOUND"];
        for (path, expected) in [
            (&*members("x"), not_found),
            (&members(&fresh()), bad_key),
            ("/v1/teams", bad_key),
            ("/v1/teams", bad_key),
        ] {
            let response = post(client, path, "a b", &json!({ "name": 1 })).await;
            assert_eq!(said(client, path, &response), expected[number], "{path}");
        }
    }
}

#[tokio::test]
async fn elsewhere_a_key_means_nothing() {
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
                (Method::PATCH, &team, json!({ "description": fresh() })),
                (Method::PATCH, &member, json!({ "skills": [fresh()] })),
            ] {
                let response = Client::send(
                    client
                        .request(method.clone(), path)
                        .header(KEY, key)
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
                .header(KEY, "the same"),
        )
        .await;
        assert_eq!(response.status, status, "{path}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_24_hours() {
    let start = 1_736_064_000;
    let day = 24 * 60 * 60;
    let scene = Scene::at(start).await;
    let org = scene.stack.organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        scene.set(start);
        let body = json!({ "name": format!("Team {number}") });
        let (creation, addition) = (fresh(), fresh());
        let first = post(client, "/v1/teams", &creation, &body).await;
        let team = created(&first);
        let (path, adding) = (members(&team), adding(&org.users[0]));
        let joined = post(client, &path, &addition, &adding).await;
        assert_eq!(joined.status, 201, "{joined}");
        assert_eq!(
            expiry(&org, &creation).await,
            start + day,
            "what the table expires it by, in seconds"
        );

        scene.set(start + day - 1);
        assert_same(&first, &post(client, "/v1/teams", &creation, &body).await);
        assert_same(&joined, &post(client, &path, &addition, &adding).await);
        let other = post(client, "/v1/teams", &addition, &json!({ "name": "Other" })).await;
        assert_eq!(said(client, "/v1/teams", &other), REUSED[number]);

        // From then on they are as if they had not been, though the table still has them.
        scene.set(start + day);
        let taken = post(client, "/v1/teams", &creation, &body).await;
        assert_eq!(said(client, "/v1/teams", &taken), TAKEN[number]);
        let member_already = post(client, &path, &addition, &adding).await;
        let expected = ["422 User is already a member", "409 CONFLICT"];
        assert_eq!(said(client, &path, &member_already), expected[number]);
        assert_eq!(
            expiry(&org, &creation).await,
            start + day,
            "what is refused is not kept"
        );
        let other = json!({ "name": format!("Other {number}") });
        let second = post(client, "/v1/teams", &creation, &other).await;
        created(&second);
        let rejoined = post(
            client,
            &path,
            &addition,
            &json!({ "user_id": bare(&org.users[1]) }),
        )
        .await;
        assert_eq!(rejoined.status, 201, "{rejoined}");
        assert_eq!(expiry(&org, &creation).await, start + 2 * day);

        scene.set(start + 2 * day - 1);
        assert_same(&second, &post(client, "/v1/teams", &creation, &other).await);
    }
}

/// When the table may forget what is kept under a key.
async fn expiry(org: &Organization, key: &str) -> i64 {
    let saved = saved_items(org, key).await;
    assert_eq!(saved.len(), 1, "a small response is one item");
    number(&saved[0], "expires_at")
}

/// The items of the responses that are saved under a key, of any subject.
async fn saved_items(org: &Organization, key: &str) -> Vec<Item> {
    let scan = org
        .stack
        .dynamodb()
        .scan()
        .table_name(&org.stack.table)
        .consistent_read(true);
    let items: Vec<Item> = scan
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the table can be read");
    let (organization, key) = (format!("ORG#{}#IDEM#", org.id), format!("#{key}"));
    let of_key = |item: &Item| {
        text(item, "pk").starts_with(&organization) && text(item, "pk").ends_with(&key)
    };
    items.into_iter().filter(of_key).collect()
}

#[tokio::test]
async fn a_key_is_the_organizations_own() {
    let stack = Stack::shared();
    // The key of one would be that of the other, were their parts not told apart.
    let name = format!("org_{}", Uuid::new_v4().simple());
    let id = |text: &str| OrganizationId::parse(text).expect("of the right form");
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
    let key = format!("_#IDEM#{}", fresh());
    let mut created_ids = Vec::new();
    for org in &orgs {
        for client in org.clients() {
            let (key, body) = (
                format!("{key}{}", &client.token()[..3]),
                json!({ "name": client.token()[..3] }),
            );
            let first = post(client, "/v1/teams", &key, &body).await;
            created_ids.push(created(&first));
            assert_same(&first, &post(client, "/v1/teams", &key, &body).await);
        }
        assert_eq!(teams(org).await, 2);
    }
    created_ids.sort();
    created_ids.dedup();
    assert_eq!(created_ids.len(), 4);
}

#[tokio::test]
async fn equal_keys_of_two_clients_are_apart() {
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
        let first = post(client, "/v1/teams", "1", &body).await;
        created(&first);
        responses.push((client, body, first));
    }
    for (client, body, first) in &responses {
        assert_same(first, &post(client, "/v1/teams", "1", body).await);
    }
    // A later token of the same subject sends the retry.
    let claims = jwt::with(
        jwt::claims(&org.id, Timestamp::now()),
        &json!({ "sub": "usr_1", "jti": "another" }),
    );
    let renewed = org.stack.client(&jwt::SIGNERS[0].sign(&claims));
    assert_same(
        &responses[3].2,
        &post(&renewed, "/v1/teams", "1", &responses[3].1).await,
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
async fn saved_response_goes_to_its_subject_alone() {
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
    let key = fresh();
    let body = json!({ "name": "Team" });
    let first = post(&org.toptickets, "/v1/teams", &key, &body).await;
    created(&first);

    let colleague = org.key(KeyKind::TtLive, &[Scope::TeamsWrite]).await;
    let taken = post(&colleague, "/v1/teams", &key, &body).await;
    assert_eq!(said(&colleague, "/v1/teams", &taken), TAKEN[0]);

    let reader = org
        .key(KeyKind::TtLive, &[Scope::TeamsRead, Scope::TeamsDelete])
        .await;
    let forbidden = post(&reader, "/v1/teams", &key, &body).await;
    assert_eq!(
        said(&reader, "/v1/teams", &forbidden),
        "403 Insufficient permissions. Required scope: teams:write"
    );
    let (revoked, _) = org
        .key_with(KeyKind::TtAdmin, &Scope::ALL, |key| {
            key.revoked_at = Some(key.created_at)
        })
        .await;
    let unauthorized = post(&revoked, "/v1/teams", &key, &body).await;
    assert_eq!(
        said(&revoked, "/v1/teams", &unauthorized),
        "401 Invalid API key"
    );
    let (expiring, _) = org
        .key_with(KeyKind::TtAdmin, &Scope::ALL, |key| {
            key.expires_at = Some(Timestamp::from_millis(now.load(SeqCst) + 3_600_000));
        })
        .await;
    let own = json!({ "name": "Team of the key that expires" });
    let own_first = post(&expiring, "/v1/teams", &key, &own).await;
    assert_same(&own_first, &post(&expiring, "/v1/teams", &key, &own).await);
    now.fetch_add(3_600_000, SeqCst);
    assert_eq!(post(&expiring, "/v1/teams", &key, &own).await.status, 401);
    assert_eq!(
        post(&stack.anonymous(), "/v1/teams", &key, &body)
            .await
            .status,
        401
    );
    assert_same(
        &first,
        &post(&org.toptickets, "/v1/teams", &key, &body).await,
    );
    assert_eq!(teams(&org).await, 2);
}

#[tokio::test]
async fn of_16_of_the_same_at_once_one_is_done_and_all_are_answered_alike() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        for round in 0..4 {
            let before = teams(&org).await;
            let (key, body) = (
                fresh(),
                json!({ "name": format!("Team {number} of round {round}") }),
            );
            let responses =
                join_all((0..16).map(async |_| post(client, "/v1/teams", &key, &body).await)).await;
            let team = created(&responses[0]);
            responses[1..]
                .iter()
                .for_each(|response| assert_same(&responses[0], response));
            assert_eq!(teams(&org).await, before + 1);

            let (path, key) = (members(&team), fresh());
            let mut body = adding(&org.users[round]);
            body["role"] = json!(if round % 2 == 0 { "lead" } else { "member" });
            let responses =
                join_all((0..16).map(async |_| post(client, &path, &key, &body).await)).await;
            assert_eq!(responses[0].status, 201, "{}", responses[0]);
            responses[1..]
                .iter()
                .for_each(|response| assert_same(&responses[0], response));
            let contents = OrgTable::of(&org).contents().await;
            assert_eq!(
                (
                    contents.members(&team).len(),
                    number_of(&contents.teams[&team])
                ),
                (1, 2)
            );
        }
    }
    assert_sound(&org).await;
}

/// The version of a team's item.
fn number_of(team: &crate::support::table::Item) -> i64 {
    number(team, "version")
}

/// Requests that share a key and nothing else: the first to be done has it.
#[tokio::test]
async fn of_different_requests_with_one_key_one_is_done() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for round in 0..4 {
        let (before, key) = (OrgTable::of(&org).contents().await, fresh());
        let responses = join_all((0..16).map(async |n| {
            let (path, body) = match n % 2 {
                0 => (
                    "/v1/teams".to_owned(),
                    json!({ "name": format!("{n} of round {round}") }),
                ),
                _ => (members(&team), adding(&org.users[round])),
            };
            (n, post(org.clients()[round % 2], &path, &key, &body).await)
        }))
        .await;
        // Each creation is sent once, and the addition eight times.
        let done: Vec<_> = responses
            .iter()
            .filter(|(_, response)| response.status == 201)
            .collect();
        let kinds: std::collections::BTreeSet<_> = done.iter().map(|(n, _)| n % 2).collect();
        assert_eq!(kinds.len(), 1, "{done:?}");
        assert_eq!(
            done.len(),
            if done[0].0 % 2 == 0 { 1 } else { 8 },
            "{done:?}"
        );
        for (_, response) in responses
            .iter()
            .filter(|(_, response)| response.status != 201)
        {
            assert_eq!(response.status, 422, "{response}");
        }
        let after = OrgTable::of(&org).contents().await;
        let (joined, made) = (
            after.members(&team).len() - before.members(&team).len(),
            after.teams.len(),
        );
        assert_eq!(joined + made - before.teams.len(), 1, "round {round}");
    }
    assert_sound(&org).await;
}

/// Characters of four bytes each that hardly compress.
fn random_name() -> String {
    let bytes = std::iter::repeat_with(|| Uuid::new_v4().into_bytes()).flatten();
    let bytes: Vec<u8> = bytes.take(2 * 255).collect();
    bytes
        .chunks(2)
        .map(|pair| {
            char::from_u32(0x2_0000 + u32::from(pair[0]) * 256 + u32::from(pair[1]))
                .expect("a character")
        })
        .collect()
}

/// Fills a team that has one member up to `members`, past the API: each is a copy of the first with
/// another user.
async fn fill(org: &Organization, team: &str, members: usize) {
    let first = OrgTable::of(org)
        .contents()
        .await
        .memberships
        .into_iter()
        .find(|membership| membership.team == team);
    let first = first.expect("the team has a member");
    let value = |text: String| AttributeValue::S(text);
    for chunk in (1..members).collect::<Vec<_>>().chunks(25) {
        let requests = chunk.iter().map(|_| {
            let mut item = first.item.clone();
            let id = Uuid::new_v4().to_string();
            for attribute in ["sk", "gsi1pk"] {
                let other = text(&item, attribute).replace(&first.user, &id);
                item.insert(attribute.to_owned(), value(other));
            }
            item.insert("name".to_owned(), value(random_name()));
            item.insert("email".to_owned(), value(random_name()));
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("an item is set");
            WriteRequest::builder().put_request(put).build()
        });
        let write = org
            .stack
            .dynamodb()
            .batch_write_item()
            .request_items(&org.stack.table, requests.collect());
        let output = write.send().await.expect("memberships can be written");
        assert!(output.unprocessed_items.is_none_or(|rest| rest.is_empty()));
    }
    OrgTable::of(org)
        .set_number(team, "member_count", i64::try_from(members).expect("few"))
        .await;
}

/// The TopTickets response shows all 500 members: over a megabyte, which is more than one item when
/// compressed.
#[tokio::test]
async fn response_larger_than_an_item_is_saved() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    fill(&org, &team, 499).await;
    let last = User {
        email: random_name(),
        ..user(&random_name(), UserStatus::Active)
    };
    org.stack
        .store()
        .put_users(&org.id, std::slice::from_ref(&last))
        .await
        .expect("users can be written");

    let (key, path) = (fresh(), members(&team));
    let first = post(&org.toptickets, &path, &key, &adding(&last)).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.json["members"].as_array().map(Vec::len), Some(500));
    assert!(first.text.len() > 1_000_000, "{}", first.text.len());
    let saved = saved_items(&org, &key).await;
    assert!(saved.len() > 1, "the response is spread over several items");
    for item in &saved {
        assert_eq!(
            (text(item, "sk"), number(item, "expires_at")),
            ("IDEM", number(&saved[0], "expires_at"))
        );
    }

    for _ in 0..2 {
        assert_same(
            &first,
            &post(&org.toptickets, &path, &key, &adding(&last)).await,
        );
    }
    let other = post(&org.toptickets, &path, &key, &adding(&org.users[1])).await;
    assert_eq!(said(&org.toptickets, &path, &other), REUSED[0]);
    // An ITSM response shows the one membership.
    let member = format!("{path}/{}", bare(&last));
    assert_eq!(org.itsm.delete(&member).await.status, 204);
    assert_same(
        &first,
        &post(&org.toptickets, &path, &key, &adding(&last)).await,
    );
    let key = fresh();
    let response = post(&org.itsm, &path, &key, &adding(&last)).await;
    assert_eq!(response.status, 201, "{response}");
    assert_same(
        &response,
        &post(&org.itsm, &path, &key, &adding(&last)).await,
    );
}

/// Concurrent duplicates whose response is spread over several items: those that lose read all the
/// parts.
#[tokio::test]
async fn concurrent_duplicates_share_a_spread_response() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    fill(&org, &team, 499).await;
    let (key, path) = (fresh(), members(&team));
    let responses = join_all(
        (0..4).map(async |_| post(&org.toptickets, &path, &key, &adding(&org.users[1])).await),
    )
    .await;
    assert_eq!(responses[0].status, 201);
    responses[1..]
        .iter()
        .for_each(|response| assert_same(&responses[0], response));
    assert_eq!(
        OrgTable::of(&org).contents().await.members(&team).len(),
        500
    );
}

/// No response of today's limits is too large to be saved, so this one is made up.
#[tokio::test]
async fn response_over_the_transaction_limit_fails_no_request() {
    let org = Stack::shared().organization().await;
    let name = |name: &str| TeamName::parse(name).expect("a name");
    let new = |name| NewTeam {
        name,
        description: None,
        lead_id: None,
        queue_strategy: QueueStrategy::RoundRobin,
        specializations: Tags::default(),
    };
    let request = Idempotency {
        subject: Subject::of_token(&org.id, "sub"),
        key: IdempotencyKey::parse(&fresh()).expect("a key"),
        fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
    };
    let large = RenderedResponse::created(
        std::iter::repeat_with(random_name).take(6_500).collect(),
        None,
    );
    let store = org.stack.store();
    for team in ["First", "Second"] {
        let team = Team::create(
            TeamId::new(Uuid::now_v7()),
            org.id.clone(),
            new(name(team)),
            Timestamp::now(),
        );
        store
            .create_team(&team, &large, Some(&request))
            .await
            .expect("the team is created");
    }
    assert_eq!(teams(&org).await, 2, "nothing is saved, so the key is free");
    assert!(saved_items(&org, request.key.as_str()).await.is_empty());
}

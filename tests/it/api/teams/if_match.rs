//! `If-Match`: a client that names the version it read never overwrites a concurrent change.

use futures_util::future::join_all;
use muster_domain::{KeyKind, Scope};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderValue, IF_MATCH},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::errors::error_text;
use crate::{
    api::teams::etag::{etag, new_description},
    support::{Client, Organization, Response, Stack, bare, n, table::assert_sound},
};

const MISMATCH: [&str; 2] = ["412 Precondition failed", "412 PRECONDITION_FAILED"];

/// Builds a request with these `If-Match` headers.
fn conditional_request(
    client: &Client,
    method: Method,
    path: &str,
    conditions: &[&str],
    body: &Value,
) -> RequestBuilder {
    let value = |text: &&str| HeaderValue::from_str(text).expect("a header's value");
    let headers: HeaderMap = conditions
        .iter()
        .map(|text| (IF_MATCH, value(text)))
        .collect();
    let request = client.request(method, path);
    // `headers` replaces the existing headers of a name, and appends the others.
    let request = request.headers(headers);
    if body.is_null() {
        request
    } else {
        request.json(body)
    }
}

async fn send_if_match(
    client: &Client,
    method: Method,
    path: &str,
    conditions: &[&str],
    body: &Value,
) -> Response {
    Client::send(conditional_request(client, method, path, conditions, body)).await
}

/// `If-Match` headers, and `true` if they match. `=` stands for the team's version.
const CONDITIONS: [(&[&str], bool); 24] = [
    (&[], true),
    (&["*"], true),
    (&[" * "], true),
    (&["\"=\""], true),
    (&[" \"=\"\t"], true),
    (&["\"7777\", \"=\""], true),
    (&["\"=\",\"7777\""], true),
    (&[", ,\"=\","], true),
    (&["W/\"7777\", \"a,b\", \"=\", rubbish"], true),
    (&["\"7777\"", "\"=\""], true),
    (&["rubbish", "\"=\"", "\"\""], true),
    (&["\"7777\""], false),
    (&["\"7777\", \"8888\""], false),
    (&["W/\"=\""], false),
    (&["w/\"=\""], false),
    (&["\"0=\""], false),
    (&["\"=.0\""], false),
    (&["\" =\""], false),
    (&["="], false),
    (&["'='"], false),
    (&["\"7777,=\""], false),
    (&["\"7777, \"=\""], false),
    (&[""], false),
    (&["rubbish", "**", "\""], false),
];

/// Returns the headers with the version filled in.
fn if_match_values(conditions: &[&str], etag: &str) -> Vec<String> {
    conditions
        .iter()
        .map(|condition| condition.replace('=', etag.trim_matches('"')))
        .collect()
}

#[tokio::test]
async fn patch_applies_if_the_version_is_listed() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for (conditions, matches) in CONDITIONS {
        for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
            // A plain field, a name, and no field.
            for body in [
                new_description(),
                json!({ "name": Uuid::new_v4().to_string() }),
                json!({}),
            ] {
                let before = etag(&org, &team).await;
                let headers = if_match_values(conditions, &before);
                let headers: Vec<_> = headers.iter().map(String::as_str).collect();
                let response = send_if_match(client, Method::PATCH, &team, &headers, &body).await;
                let after = etag(&org, &team).await;
                if matches {
                    assert_eq!(
                        (response.status.as_u16(), response.header("etag")),
                        (200, &*after),
                        "{headers:?} {response}"
                    );
                    assert_eq!(after == before, body == json!({}), "{headers:?}");
                } else {
                    assert_eq!(
                        error_text(client, &team, &response),
                        mismatch,
                        "{headers:?} on {before}"
                    );
                    assert_eq!(after, before);
                }
            }
        }
    }
}

#[tokio::test]
async fn delete_applies_if_the_version_is_listed() {
    let org = Stack::shared().organization().await;
    for (conditions, matches) in CONDITIONS {
        for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
            let team = format!("/v1/teams/{}", org.team(&Uuid::new_v4().to_string()).await);
            let headers = if_match_values(conditions, &etag(&org, &team).await);
            let headers: Vec<_> = headers.iter().map(String::as_str).collect();
            let response =
                send_if_match(client, Method::DELETE, &team, &headers, &Value::Null).await;
            let left = client.get(&team).await.status.as_u16();
            if matches {
                assert_eq!(
                    (response.status.as_u16(), left),
                    (204, 404),
                    "{headers:?}: {response}"
                );
            } else {
                assert_eq!(
                    (&*error_text(client, &team, &response), left),
                    (mismatch, 200),
                    "{headers:?}"
                );
            }
        }
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn superseded_version_stays_stale() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let team = format!("/v1/teams/{id}");
    for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
        let seen = etag(&org, &team).await;
        // A change of the roster changes the version.
        org.member(&id, &org.users[0]).await;
        for method in [Method::PATCH, Method::DELETE] {
            let body = if method == Method::PATCH {
                new_description()
            } else {
                Value::Null
            };
            let response = send_if_match(client, method, &team, &[&*seen], &body).await;
            assert_eq!(error_text(client, &team, &response), mismatch);
        }
        // The restored roster has a new version.
        let removed = client
            .delete(&format!("{team}/members/{}", bare(&org.users[0])))
            .await;
        assert_eq!(removed.status, 204, "{removed}");
        let response = send_if_match(client, Method::PATCH, &team, &[&*seen], &json!({})).await;
        assert_eq!(error_text(client, &team, &response), mismatch);
        let current = etag(&org, &team).await;
        assert_eq!(
            send_if_match(
                client,
                Method::PATCH,
                &team,
                &[&*current],
                &new_description()
            )
            .await
            .status,
            200
        );
    }
}

#[tokio::test]
async fn version_is_checked_between_team_and_change() {
    let org = Stack::shared().organization().await;
    let (id, other) = (org.team("Team").await, org.team("Other").await);
    org.set_load(&other, &[("open_tickets", n(1))]).await;
    let [team, other] = [id, other].map(|id| format!("/v1/teams/{id}"));
    let missing = format!("/v1/teams/{}", Uuid::new_v4());
    let not_found = ["404 Team not found", "404 NOT_FOUND"];
    let invalid = [
        "400 body.name: type_error.string",
        "400 VALIDATION_ERROR name isString",
    ];
    for (number, client) in org.clients().into_iter().enumerate() {
        for (method, path, condition, body, expected) in [
            (Method::PATCH, &missing, "*", new_description(), not_found),
            (
                Method::PATCH,
                &missing,
                "\"1\"",
                new_description(),
                not_found,
            ),
            (
                Method::PATCH,
                &missing,
                "\"1\"",
                json!({ "name": "New" }),
                not_found,
            ),
            (Method::PATCH, &missing, "", json!({}), not_found),
            (Method::DELETE, &missing, "*", Value::Null, not_found),
            (Method::DELETE, &missing, "\"1\"", Value::Null, not_found),
            (Method::PATCH, &team, "\"9\"", json!({ "name": 1 }), invalid),
            (
                Method::PATCH,
                &team,
                "\"9\"",
                json!({ "name": "Other" }),
                MISMATCH,
            ),
            (
                Method::PATCH,
                &team,
                "\"9\"",
                json!({ "name": "Team" }),
                MISMATCH,
            ),
            (Method::DELETE, &other, "\"9\"", Value::Null, MISMATCH),
        ] {
            let response = send_if_match(client, method.clone(), path, &[condition], &body).await;
            assert_eq!(
                error_text(client, path, &response),
                expected[number],
                "{method} {path} {condition} {body}"
            );
        }
    }
}

#[tokio::test]
async fn other_errors_need_the_current_version() {
    let org = Stack::shared().organization().await;
    let (id, other) = (org.team("Team").await, org.team("Other").await);
    org.set_load(&other, &[("open_tickets", n(1))]).await;
    let [team, other] = [id, other].map(|id| format!("/v1/teams/{id}"));
    let reader = org.key(KeyKind::TtAgent, &[Scope::TeamsRead]).await;
    for lead in [
        Uuid::new_v4().to_string(),
        bare(&org.users[12]),
        bare(&org.users[0]),
    ] {
        let response = send_if_match(
            &org.itsm,
            Method::PATCH,
            &team,
            &["\"9\""],
            &json!({ "lead_id": lead }),
        )
        .await;
        assert_eq!(error_text(&org.itsm, &team, &response), MISMATCH[1]);
    }
    // With the current version, the other errors are reported.
    let response = send_if_match(
        &org.itsm,
        Method::PATCH,
        &team,
        &["\"1\""],
        &json!({ "lead_id": bare(&org.users[12]) }),
    )
    .await;
    assert_eq!(
        error_text(&org.itsm, &team, &response),
        r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#
    );
    let response = send_if_match(
        &org.toptickets,
        Method::PATCH,
        &team,
        &["\"1\""],
        &json!({ "name": "Other" }),
    )
    .await;
    assert_eq!(
        error_text(&org.toptickets, &team, &response),
        "422 Team name already exists"
    );
    let response = send_if_match(&org.itsm, Method::DELETE, &other, &["\"1\""], &Value::Null).await;
    assert_eq!(
        error_text(&org.itsm, &other, &response),
        r#"409 CONFLICT {"openTickets":1}"#
    );
    let response = send_if_match(
        &reader,
        Method::PATCH,
        &team,
        &["\"9\""],
        &new_description(),
    )
    .await;
    assert_eq!(
        error_text(&reader, &team, &response),
        "403 Insufficient permissions. Required scope: teams:write"
    );
}

#[tokio::test]
async fn if_match_on_other_endpoints_is_ignored() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let id = org.team(&format!("Team {number}")).await;
        let (team, members) = (format!("/v1/teams/{id}"), format!("/v1/teams/{id}/members"));
        let member = format!("{members}/{}", bare(&org.users[0]));
        for (method, path, body, status) in [
            (
                Method::POST,
                "/v1/teams",
                json!({ "name": format!("Other {number}") }),
                201,
            ),
            (
                Method::POST,
                &members,
                json!({ "user_id": bare(&org.users[0]) }),
                201,
            ),
            (Method::PATCH, &member, json!({ "role": "lead" }), 200),
            (
                Method::PATCH,
                &member,
                json!({ "role": "member", "skills": ["VPN"] }),
                200,
            ),
            (Method::GET, &team, Value::Null, 200),
            (Method::GET, "/v1/teams", Value::Null, 200),
            (Method::DELETE, &member, Value::Null, 204),
        ] {
            let response = send_if_match(client, method.clone(), path, &["\"7777\""], &body).await;
            assert_eq!(response.status, status, "{method} {path}: {response}");
        }
    }
}

/// Sends 16 concurrent requests, half under each contract. Returns the number that succeeded, and
/// asserts that the others fail with a version mismatch or 404.
async fn send_concurrently(
    org: &Organization,
    request: impl Fn(usize) -> (Method, String, Value),
    condition: &str,
) -> usize {
    let responses = join_all((0..16).map(async |number| {
        let (method, path, body) = request(number);
        let client = org.clients()[number % 2];
        (
            number,
            path.clone(),
            send_if_match(client, method, &path, &[condition], &body).await,
        )
    }))
    .await;
    let lost = responses
        .iter()
        .filter(|(_, _, response)| !response.status.is_success());
    for (number, path, response) in lost.clone() {
        let expected = if response.status == 404 {
            "404"
        } else {
            MISMATCH[number % 2]
        };
        assert!(
            error_text(org.clients()[number % 2], path, response).starts_with(expected),
            "{response}"
        );
    }
    responses.len() - lost.count()
}

#[tokio::test]
async fn concurrent_patches_of_one_version_let_one_succeed() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for round in 0..4 {
        let before = etag(&org, &team).await;
        let body = |number: usize| match round {
            0 => json!({ "description": format!("By {number}") }),
            1 => json!({ "name": format!("Team of {number}") }),
            // The same change by all clients.
            2 => json!({ "description": "Ours" }),
            _ if number.is_multiple_of(2) => json!({ "name": format!("Crew of {number}") }),
            _ => json!({ "description": format!("By {number} again") }),
        };
        let won = send_concurrently(
            &org,
            |number| (Method::PATCH, team.clone(), body(number)),
            &before,
        )
        .await;
        assert_eq!(won, 1, "round {round}");
        let moved = before.trim_matches('"').parse::<u64>().expect("a version") + 1;
        assert_eq!(
            etag(&org, &team).await,
            format!("\"{moved}\""),
            "round {round}"
        );
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn concurrent_patch_and_delete_let_one_succeed() {
    let org = Stack::shared().organization().await;
    for round in 0..4 {
        let team = format!("/v1/teams/{}", org.team(&format!("Team {round}")).await);
        let won = send_concurrently(
            &org,
            |number| {
                if number % 4 < 2 {
                    (Method::DELETE, team.clone(), Value::Null)
                } else {
                    (
                        Method::PATCH,
                        team.clone(),
                        json!({ "description": format!("By {number}") }),
                    )
                }
            },
            "\"1\"",
        )
        .await;
        assert_eq!(won, 1, "round {round}");
    }
    assert_sound(&org).await;
}

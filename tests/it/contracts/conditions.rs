//! `ETag` and `If-Match`: a client that says which version it has seen never overwrites another.

use futures_util::future::join_all;
use muster_domain::{KeyKind, Scope, User, UserStatus};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderValue, IF_MATCH},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::said;
use crate::support::{
    Client, Organization, Response, Stack, bare, n, table::assert_sound, ticket_items::assigned,
};

const MISMATCH: [&str; 2] = ["412 Precondition failed", "412 PRECONDITION_FAILED"];

/// A request with these `If-Match` headers.
fn conditional(
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
    // A map replaces the headers of a name, and appends the further ones.
    let request = request.headers(headers);
    if body.is_null() {
        request
    } else {
        request.json(body)
    }
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    conditions: &[&str],
    body: &Value,
) -> Response {
    Client::send(conditional(client, method, path, conditions, body)).await
}

/// The team's `ETag`, the same under both contracts.
async fn etag(org: &Organization, path: &str) -> String {
    let [bare, itsm] = [org.toptickets.get(path).await, org.itsm.get(path).await];
    assert_eq!(
        (bare.status.as_u16(), itsm.status.as_u16()),
        (200, 200),
        "{bare} {itsm}"
    );
    assert_eq!(bare.header("etag"), itsm.header("etag"));
    let version = itsm.header("etag").trim_matches('"');
    assert_eq!(
        itsm.header("etag"),
        format!("\"{version}\""),
        "quoted, and strong"
    );
    version.parse::<u64>().expect("a number between quotes");
    itsm.header("etag").to_owned()
}

/// A `PATCH` that changes the team, each time.
fn change() -> Value {
    json!({ "description": Uuid::new_v4().to_string() })
}

#[tokio::test]
async fn answers_that_show_one_team_say_its_version() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let shows_team = number == 0;
        let created = client
            .post("/v1/teams", json!({ "name": format!("Team {number}") }))
            .await;
        let id = created.json["id"]
            .as_str()
            .or(created.json["data"]["id"].as_str())
            .expect("an id");
        let team = format!("/v1/teams/{id}");
        let (members, member) = (
            format!("{team}/members"),
            format!("{team}/members/{}", bare(&org.users[0])),
        );
        let adding = json!({ "user_id": bare(&org.users[0]) });
        assert_eq!(
            (created.status.as_u16(), created.header("etag")),
            (201, "\"1\""),
            "{created}"
        );
        for (method, path, body, is_team, moves) in [
            (Method::GET, &team, Value::Null, true, false),
            (Method::PATCH, &team, change(), true, true),
            (
                Method::PATCH,
                &team,
                json!({ "name": format!("Crew {number}") }),
                true,
                true,
            ),
            (Method::PATCH, &team, json!({}), true, false),
            (Method::POST, &members, adding.clone(), shows_team, true),
            (
                Method::PATCH,
                &member,
                json!({ "role": "lead" }),
                shows_team,
                true,
            ),
            (
                Method::PATCH,
                &member,
                json!({ "skills": ["VPN"] }),
                shows_team,
                false,
            ),
            (Method::PATCH, &member, json!({}), shows_team, false),
            (
                Method::PATCH,
                &member,
                json!({ "role": "member" }),
                shows_team,
                true,
            ),
            (Method::DELETE, &member, Value::Null, false, true),
            (Method::POST, &members, adding, shows_team, true),
        ] {
            let before = etag(&org, &team).await;
            let what = format!("{method} {path} {body}");
            let response = client
                .call(&method, path, Some(&body).filter(|body| !body.is_null()))
                .await;
            assert!(response.status.is_success(), "{what}: {response}");
            let after = etag(&org, &team).await;
            assert_eq!(
                response.header("etag"),
                if is_team { &after } else { "" },
                "{what}"
            );
            assert_eq!(after != before, moves, "{what}");
        }
    }
}

#[tokio::test]
async fn other_answers_say_no_version() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
        .await;
    let team = format!("/v1/teams/{team}");
    let (members, assignments) = (format!("{team}/members"), format!("{team}/assignments"));
    for client in org.clients() {
        for path in ["/v1/teams", &members, &assignments, "/v1/assignments/TKT-1"] {
            let response = client.get(path).await;
            assert_eq!(
                (response.status.as_u16(), response.header("etag")),
                (200, ""),
                "{path}"
            );
        }
        for refused in [
            client.get("/v1/teams/x").await,
            client.patch(&team, json!({ "name": 1 })).await,
        ] {
            assert_eq!(
                (refused.status.is_client_error(), refused.header("etag")),
                (true, ""),
                "{refused}"
            );
        }
    }
    assert_eq!(
        org.itsm
            .get(&format!("{team}/workload"))
            .await
            .header("etag"),
        ""
    );
    assert_eq!(org.toptickets.delete(&team).await.header("etag"), "");
}

#[tokio::test]
async fn the_version_moves_with_fields_lead_and_roster_and_with_nothing_else() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let team = format!("/v1/teams/{id}");
    let (members, member) = (
        format!("{team}/members"),
        format!("{team}/members/{}", bare(&org.users[0])),
    );
    let (lead, adding) = (
        json!({ "lead_id": bare(&org.users[1]) }),
        json!({ "user_id": bare(&org.users[0]) }),
    );
    for (method, path, body, moves) in [
        (
            Method::PATCH,
            &team,
            json!({ "description": "What it is for" }),
            1,
        ),
        (
            Method::PATCH,
            &team,
            json!({ "description": "What it is for" }),
            0,
        ),
        (Method::PATCH, &team, json!({ "description": null }), 1),
        (Method::PATCH, &team, json!({ "description": null }), 0),
        (Method::PATCH, &team, json!({ "name": "TEAM" }), 1),
        (Method::PATCH, &team, json!({ "name": " TEAM " }), 0),
        (Method::PATCH, &team, lead.clone(), 1),
        (Method::PATCH, &team, lead, 0),
        (Method::PATCH, &team, json!({ "lead_id": null }), 1),
        (
            Method::PATCH,
            &team,
            json!({ "queue_strategy": "least_busy" }),
            1,
        ),
        (
            Method::PATCH,
            &team,
            json!({ "specializations": ["VPN"] }),
            1,
        ),
        (
            Method::PATCH,
            &team,
            json!({ "specializations": [" VPN", "vpn"], "queue_strategy": "least_busy" }),
            0,
        ),
        (
            Method::PATCH,
            &team,
            json!({ "updated_at": 0, "members": [] }),
            0,
        ),
        (Method::POST, &members, adding.clone(), 1),
        (Method::POST, &members, adding.clone(), 0),
        (Method::PATCH, &member, json!({ "skills": ["VPN"] }), 0),
        (
            Method::PATCH,
            &member,
            json!({ "role": "lead", "skills": [] }),
            1,
        ),
        (Method::PATCH, &member, json!({ "role": "member" }), 1),
        (Method::DELETE, &member, Value::Null, 1),
        (Method::DELETE, &member, Value::Null, 0),
        (Method::POST, &members, adding, 1),
    ] {
        let version = async || {
            etag(&org, &team)
                .await
                .trim_matches('"')
                .parse::<u64>()
                .expect("a version")
        };
        let before = version().await;
        let response = org
            .itsm
            .call(&method, path, Some(&body).filter(|body| !body.is_null()))
            .await;
        assert_eq!(
            version().await,
            before + moves,
            "{method} {path} {body}: {response}"
        );
    }

    let before = etag(&org, &team).await;
    org.put_ticket("TKT-1", &assigned(&id, &org.users[0], 1))
        .await;
    org.set_load(&id, &[("open_tickets", n(1)), ("turn", n(1))])
        .await;
    org.set_membership(
        &id,
        &org.users[0],
        &[("open_tickets", n(1)), ("name", s("Renamed"))],
    )
    .await;
    let user = User {
        status: UserStatus::Suspended,
        version: 9,
        ..org.users[0].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[user])
        .await
        .expect("users can be written");
    assert_eq!(etag(&org, &team).await, before);
}

fn s(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

/// `If-Match` headers, in which `=` stands for the team's version, and whether they match.
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

/// The headers for a version.
fn for_version(conditions: &[&str], etag: &str) -> Vec<String> {
    conditions
        .iter()
        .map(|condition| condition.replace('=', etag.trim_matches('"')))
        .collect()
}

#[tokio::test]
async fn a_change_is_made_if_the_version_is_listed() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for (conditions, matches) in CONDITIONS {
        for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
            // A plain field, a name, and nothing at all.
            for body in [
                change(),
                json!({ "name": Uuid::new_v4().to_string() }),
                json!({}),
            ] {
                let before = etag(&org, &team).await;
                let headers = for_version(conditions, &before);
                let headers: Vec<_> = headers.iter().map(String::as_str).collect();
                let response = send(client, Method::PATCH, &team, &headers, &body).await;
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
                        said(client, &team, &response),
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
async fn a_team_is_deleted_if_the_version_is_listed() {
    let org = Stack::shared().organization().await;
    for (conditions, matches) in CONDITIONS {
        for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
            let team = format!("/v1/teams/{}", org.team(&Uuid::new_v4().to_string()).await);
            let headers = for_version(conditions, &etag(&org, &team).await);
            let headers: Vec<_> = headers.iter().map(String::as_str).collect();
            let response = send(client, Method::DELETE, &team, &headers, &Value::Null).await;
            let left = client.get(&team).await.status.as_u16();
            if matches {
                assert_eq!(
                    (response.status.as_u16(), left),
                    (204, 404),
                    "{headers:?}: {response}"
                );
            } else {
                assert_eq!(
                    (&*said(client, &team, &response), left),
                    (mismatch, 200),
                    "{headers:?}"
                );
            }
        }
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn a_version_that_was_overtaken_is_stale_for_ever() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let team = format!("/v1/teams/{id}");
    for (client, mismatch) in org.clients().into_iter().zip(MISMATCH) {
        let seen = etag(&org, &team).await;
        // The roster is part of what was seen.
        org.member(&id, &org.users[0]).await;
        for method in [Method::PATCH, Method::DELETE] {
            let body = if method == Method::PATCH {
                change()
            } else {
                Value::Null
            };
            let response = send(client, method, &team, &[&*seen], &body).await;
            assert_eq!(said(client, &team, &response), mismatch);
        }
        // Not even by coming back to what it was.
        let removed = client
            .delete(&format!("{team}/members/{}", bare(&org.users[0])))
            .await;
        assert_eq!(removed.status, 204, "{removed}");
        let response = send(client, Method::PATCH, &team, &[&*seen], &json!({})).await;
        assert_eq!(said(client, &team, &response), mismatch);
        let current = etag(&org, &team).await;
        assert_eq!(
            send(client, Method::PATCH, &team, &[&*current], &change())
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn the_version_is_checked_after_the_team_and_before_what_is_asked_for() {
    let org = Stack::shared().organization().await;
    let (id, other) = (org.team("Team").await, org.team("Other").await);
    org.set_load(&other, &[("open_tickets", n(1))]).await;
    let [team, other] = [id, other].map(|id| format!("/v1/teams/{id}"));
    let missing = format!("/v1/teams/{}", Uuid::new_v4());
    let reader = org.key(KeyKind::TtAgent, &[Scope::TeamsRead]).await;
    let not_found = ["404 Team not found", "404 NOT_FOUND"];
    let invalid = [
        "400 body.name: type_error.string",
        "400 VALIDATION_ERROR name isString",
    ];
    for (number, client) in org.clients().into_iter().enumerate() {
        for (method, path, condition, body, expected) in [
            (Method::PATCH, &missing, "*", change(), not_found),
            (Method::PATCH, &missing, "\"1\"", change(), not_found),
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
            let response = send(client, method.clone(), path, &[condition], &body).await;
            assert_eq!(
                said(client, path, &response),
                expected[number],
                "{method} {path} {condition} {body}"
            );
        }
    }
    for lead in [
        Uuid::new_v4().to_string(),
        bare(&org.users[12]),
        bare(&org.users[0]),
    ] {
        let response = send(
            &org.itsm,
            Method::PATCH,
            &team,
            &["\"9\""],
            &json!({ "lead_id": lead }),
        )
        .await;
        assert_eq!(said(&org.itsm, &team, &response), MISMATCH[1]);
    }
    // What else is wrong is said to whoever has seen the present version.
    let response = send(
        &org.itsm,
        Method::PATCH,
        &team,
        &["\"1\""],
        &json!({ "lead_id": bare(&org.users[12]) }),
    )
    .await;
    assert_eq!(
        said(&org.itsm, &team, &response),
        r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#
    );
    let response = send(
        &org.toptickets,
        Method::PATCH,
        &team,
        &["\"1\""],
        &json!({ "name": "Other" }),
    )
    .await;
    assert_eq!(
        said(&org.toptickets, &team, &response),
        "422 Team name already exists"
    );
    let response = send(&org.itsm, Method::DELETE, &other, &["\"1\""], &Value::Null).await;
    assert_eq!(
        said(&org.itsm, &other, &response),
        r#"409 CONFLICT {"openTickets":1}"#
    );
    let response = send(&reader, Method::PATCH, &team, &["\"9\""], &change()).await;
    assert_eq!(
        said(&reader, &team, &response),
        "403 Insufficient permissions. Required scope: teams:write"
    );
}

#[tokio::test]
async fn elsewhere_a_condition_means_nothing() {
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
            let response = send(client, method.clone(), path, &["\"7777\""], &body).await;
            assert_eq!(response.status, status, "{method} {path}: {response}");
        }
    }
}

/// 16 requests at once, half of them under each contract: the number that succeeded, and whether
/// the others were told that they were too late.
async fn at_once(
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
            send(client, method, &path, &[condition], &body).await,
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
            said(org.clients()[number % 2], path, response).starts_with(expected),
            "{response}"
        );
    }
    responses.len() - lost.count()
}

#[tokio::test]
async fn of_changes_at_once_to_one_version_one_is_made() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for round in 0..4 {
        let before = etag(&org, &team).await;
        let body = |number: usize| match round {
            0 => json!({ "description": format!("By {number}") }),
            1 => json!({ "name": format!("Team of {number}") }),
            // The same change, by everybody.
            2 => json!({ "description": "Ours" }),
            _ if number.is_multiple_of(2) => json!({ "name": format!("Crew of {number}") }),
            _ => json!({ "description": format!("By {number} again") }),
        };
        let won = at_once(
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
async fn of_changes_and_deletions_at_once_of_one_version_one_is_made() {
    let org = Stack::shared().organization().await;
    for round in 0..4 {
        let team = format!("/v1/teams/{}", org.team(&format!("Team {round}")).await);
        let won = at_once(
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

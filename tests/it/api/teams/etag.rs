//! `ETag`: the version of a team.

use muster_domain::{User, UserStatus};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, Organization, Stack, bare, n, ticket_items::assigned};

/// Returns the team's `ETag`, which is the same under both contracts.
pub(in crate::api) async fn etag(org: &Organization, path: &str) -> String {
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
        "a strong validator in quotes"
    );
    version.parse::<u64>().expect("a number between quotes");
    itsm.header("etag").to_owned()
}

/// Returns a `PATCH` body that changes the team at each call.
pub(in crate::api) fn new_description() -> Value {
    json!({ "description": Uuid::new_v4().to_string() })
}

/// Creates a team, asserts that it has version 1, and returns its path.
async fn create_first_version(client: &Client, name: &str) -> String {
    let created = client.post("/v1/teams", json!({ "name": name })).await;
    let id = created.json["id"]
        .as_str()
        .or(created.json["data"]["id"].as_str())
        .expect("an id");
    assert_eq!(
        (created.status.as_u16(), created.header("etag")),
        (201, "\"1\""),
        "{created}"
    );
    format!("/v1/teams/{id}")
}

#[tokio::test]
async fn response_with_one_team_has_its_etag() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let shows_team = number == 0;
        let team = create_first_version(client, &format!("Team {number}")).await;
        let (members, member) = (
            format!("{team}/members"),
            format!("{team}/members/{}", bare(&org.users[0])),
        );
        let adding = json!({ "user_id": bare(&org.users[0]) });
        for (method, path, body, is_team, moves) in [
            (Method::GET, &team, Value::Null, true, false),
            (Method::PATCH, &team, new_description(), true, true),
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
            let context = format!("{method} {path} {body}");
            let response = client
                .call(&method, path, Some(&body).filter(|body| !body.is_null()))
                .await;
            assert!(response.status.is_success(), "{context}: {response}");
            let after = etag(&org, &team).await;
            assert_eq!(
                response.header("etag"),
                if is_team { &after } else { "" },
                "{context}"
            );
            assert_eq!(after != before, moves, "{context}");
        }
    }
}

#[tokio::test]
async fn other_responses_have_no_etag() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
        .await;
    let team = format!("/v1/teams/{team}");
    let (members, assignments) = (format!("{team}/members"), format!("{team}/assignments"));
    for client in org.clients() {
        for path in [
            "/v1/teams",
            &members,
            &assignments,
            "/v1/assignments?state=unrouted",
            "/v1/assignments/TKT-1",
        ] {
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

/// Returns changes of a team's fields, each with the number of versions that it adds.
fn field_changes<'p>(org: &Organization, team: &'p str) -> Vec<(Method, &'p str, Value, u64)> {
    let lead = json!({ "lead_id": bare(&org.users[1]) });
    vec![
        (
            Method::PATCH,
            team,
            json!({ "description": "Network issues" }),
            1,
        ),
        (
            Method::PATCH,
            team,
            json!({ "description": "Network issues" }),
            0,
        ),
        (Method::PATCH, team, json!({ "description": null }), 1),
        (Method::PATCH, team, json!({ "description": null }), 0),
        (Method::PATCH, team, json!({ "name": "TEAM" }), 1),
        (Method::PATCH, team, json!({ "name": " TEAM " }), 0),
        (Method::PATCH, team, lead.clone(), 1),
        (Method::PATCH, team, lead, 0),
        (Method::PATCH, team, json!({ "lead_id": null }), 1),
        (
            Method::PATCH,
            team,
            json!({ "queue_strategy": "least_busy" }),
            1,
        ),
        (
            Method::PATCH,
            team,
            json!({ "specializations": ["VPN"] }),
            1,
        ),
        (
            Method::PATCH,
            team,
            json!({ "specializations": [" VPN", "vpn"], "queue_strategy": "least_busy" }),
            0,
        ),
        (
            Method::PATCH,
            team,
            json!({ "updated_at": 0, "members": [] }),
            0,
        ),
    ]
}

/// Returns changes of a team's roster, each with the number of versions that it adds.
fn roster_changes<'p>(
    org: &Organization,
    members: &'p str,
    member: &'p str,
) -> Vec<(Method, &'p str, Value, u64)> {
    let adding = json!({ "user_id": bare(&org.users[0]) });
    vec![
        (Method::POST, members, adding.clone(), 1),
        (Method::POST, members, adding.clone(), 0),
        (Method::PATCH, member, json!({ "skills": ["VPN"] }), 0),
        (
            Method::PATCH,
            member,
            json!({ "role": "lead", "skills": [] }),
            1,
        ),
        (Method::PATCH, member, json!({ "role": "member" }), 1),
        (Method::DELETE, member, Value::Null, 1),
        (Method::DELETE, member, Value::Null, 0),
        (Method::POST, members, adding, 1),
    ]
}

#[tokio::test]
async fn version_changes_with_fields_lead_and_roster_only() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let team = format!("/v1/teams/{id}");
    let (members, member) = (
        format!("{team}/members"),
        format!("{team}/members/{}", bare(&org.users[0])),
    );
    for (method, path, body, moves) in field_changes(&org, &team)
        .into_iter()
        .chain(roster_changes(&org, &members, &member))
    {
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
}

#[tokio::test]
async fn version_ignores_tickets_and_profiles() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let team = format!("/v1/teams/{id}");
    org.member(&id, &org.users[0]).await;
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

//! `/v1/teams` and `/v1/teams/{team_id}`.

mod create;
mod delete;
mod documents;
mod etag;
mod if_match;
mod list;
mod name_forms;
mod names;
mod update;

use muster_domain::{User, UserStatus};
use serde_json::{Value, json};

use crate::{
    api::ticking_stack,
    support::{Client, Organization, Response, bare},
};

/// Creates an organization on the stack with the advancing clock.
pub(in crate::api) async fn organization() -> Organization {
    ticking_stack().await.organization().await
}

/// Returns a team as ITSM shows it.
pub(in crate::api) async fn get_team(org: &Organization, team: &str) -> Value {
    let response = org.itsm.get(&format!("/v1/teams/{team}")).await;
    assert_eq!(response.status, 200, "{response}");
    response.json["data"].clone()
}

/// Creates a team over ITSM and returns the team of the response.
pub(in crate::api) async fn create_team(org: &Organization, body: Value) -> Value {
    let response = org.itsm.post("/v1/teams", body).await;
    assert_eq!(response.status, 201, "{response}");
    response.json["data"].clone()
}

/// Changes a team over ITSM and returns the team of the response. Asserts that a later GET returns
/// the same.
pub(in crate::api) async fn patch_team(org: &Organization, team: &str, body: Value) -> Value {
    let response = org.itsm.patch(&format!("/v1/teams/{team}"), body).await;
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(get_team(org, team).await, response.json["data"]);
    response.json["data"].clone()
}

/// Adds a member over ITSM and returns the membership.
pub(in crate::api) async fn add_member(org: &Organization, team: &str, body: Value) -> Value {
    let response = org
        .itsm
        .post(&format!("/v1/teams/{team}/members"), body)
        .await;
    assert_eq!(response.status, 201, "{response}");
    response.json["data"].clone()
}

pub(in crate::api) async fn remove_member(client: &Client, team: &str, user: &User) -> Response {
    client
        .delete(&format!("/v1/teams/{team}/members/{}", bare(user)))
        .await
}

/// Returns the numbers of the team's members.
pub(in crate::api) fn member_numbers(team: &Value) -> Vec<usize> {
    let number = |member: &Value| {
        let name = member["name"]
            .as_str()
            .or_else(|| member["full_name"].as_str())
            .expect("a name");
        name.strip_prefix("User ")
            .and_then(|number| number.parse().ok())
            .expect("a user of the fixture")
    };
    team["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(number)
        .collect()
}

pub(in crate::api) fn prefixed_id(user: &User) -> String {
    format!("usr_{}", bare(user))
}

pub(in crate::api) async fn set_user_status(org: &Organization, at: usize, status: UserStatus) {
    let user = User {
        status,
        version: 2,
        ..org.users[at].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[user])
        .await
        .expect("a user can be written");
}

/// Creates a team with all fields, and a lead who is a member.
pub(in crate::api) async fn team_with_all_fields(org: &Organization) -> (String, Value) {
    let body = json!({
        "name": "Full",
        "description": "Everything",
        "lead_id": prefixed_id(&org.users[0]),
        "queue_strategy": "least_busy",
        "specializations": ["VPN", "DNS"],
    });
    let id = create_team(org, body).await["id"]
        .as_str()
        .expect("an id")
        .replace("team_", "");
    org.member(&id, &org.users[0]).await;
    let team = get_team(org, &id).await;
    (id, team)
}

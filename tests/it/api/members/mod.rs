//! `/v1/teams/{team_id}/members` and `/v1/teams/{team_id}/members/{user_id}`.

mod add;
mod documents;
mod list;
mod remove;
mod update;

use muster_domain::{OrganizationId, User, UserId, UserStatus};
use serde_json::{Value, json};

use crate::{
    api::ClockedStack,
    support::{Organization, Response, bare, user},
};

const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Creates the team of the TopTickets document with Alice, who leads and has skills, and Bob.
async fn technical_support(clocked: &ClockedStack) -> Organization {
    let person = |id: &str, name: &str, email: &str, avatar_url: Option<&str>| User {
        id: UserId::parse(id).expect("a user's id"),
        email: email.to_owned(),
        avatar_url: avatar_url.map(str::to_owned),
        ..user(name, UserStatus::Active)
    };
    let avatar = Some("https://cdn.example.com/avatars/agent1.jpg");
    let users = vec![
        person(
            "123e4567-e89b-12d3-a456-426614174000",
            "Alice Johnson",
            "agent1@company.com",
            avatar,
        ),
        person(
            "234f5678-e90c-12d3-b456-526714174111",
            "Bob Smith",
            "agent2@company.com",
            None,
        ),
    ];
    let org = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    let org = clocked.stack.organization_of(org, users).await;
    clocked.next_team(TEAM);
    org.team("Technical Support").await;
    let body =
        json!({ "user_id": bare(&org.users[0]), "role": "lead", "skills": ["VPN", "Cisco"] });
    let added = org
        .itsm
        .post(&format!("/v1/teams/{TEAM}/members"), body)
        .await;
    assert_eq!(added.status, 201, "{added}");
    clocked.set(1_736_519_400);
    org.member(TEAM, &org.users[1]).await;
    org
}

/// Returns the items of a list.
fn items(response: &Response) -> &Vec<Value> {
    response
        .json
        .as_array()
        .or_else(|| response.json["data"].as_array())
        .unwrap_or_else(|| panic!("no list: {response}"))
}

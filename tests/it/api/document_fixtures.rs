//! The users and teams of the examples in both documents.

use muster_domain::{OrganizationId, User, UserId, UserStatus};
use reqwest::{Method, header::CONTENT_TYPE};

use crate::{
    api::ClockedStack,
    support::{Client, Organization, Response, user},
};

pub(in crate::api) const NETWORK: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";

pub(in crate::api) const SECURITY: &str = "c3d4e5f6-a7b8-9012-cdef-123456789012";

pub(in crate::api) const TECHNICAL: &str = "550e8400-e29b-41d4-a716-446655440000";

pub(in crate::api) const BILLING: &str = "661f9511-f30c-52e5-b827-557766551111";

fn person(id: &str, name: &str, email: &str) -> User {
    let id = UserId::parse(id).expect("a user's id");
    let picture = email.split('@').next().unwrap_or_default();
    User {
        id,
        email: email.to_owned(),
        avatar_url: Some(format!("https://cdn.example.com/avatars/{picture}.jpg")),
        ..user(name, UserStatus::Active)
    }
}

/// Creates an organization with the users of the documents, then six more.
pub(in crate::api) async fn document_organization(clocked: &ClockedStack) -> Organization {
    let mut users = vec![
        person(
            "f6e5d4c3-b2a1-0987-fedc-ba9876543210",
            "Alex Rivera",
            "arivera@acme.com",
        ),
        person(
            "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "Jessica Chen",
            "jchen@acme.com",
        ),
        person(
            "d4e5f6a7-b890-1234-abcd-ef5678901234",
            "Sam Patel",
            "spatel@acme.com",
        ),
        person(
            "123e4567-e89b-12d3-a456-426614174000",
            "Alice Johnson",
            "agent1@company.com",
        ),
        person(
            "234f5678-e90c-12d3-b456-526714174111",
            "Bob Smith",
            "agent2@company.com",
        ),
    ];
    users.extend((0..6).map(|n| user(&format!("User {n}"), UserStatus::Active)));
    let id = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    clocked.stack.organization_of(id, users).await
}

/// Sends a body unchanged.
pub(in crate::api) async fn send_text(
    client: &Client,
    method: Method,
    path: &str,
    body: &str,
) -> Response {
    Client::send(
        client
            .request(method, path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned()),
    )
    .await
}

/// Creates the team of the ITSM document at the document's time, with Alex as lead.
pub(in crate::api) async fn create_network_operations(clocked: &ClockedStack, org: &Organization) {
    clocked.set(1_708_783_200);
    clocked.next_team(NETWORK);
    let body = r#"{
        "name": "Network Operations",
        "description": "Handles all network infrastructure incidents including VPN, DNS, firewall, and WAN/LAN issues.",
        "lead_id": "usr_f6e5d4c3-b2a1-0987-fedc-ba9876543210",
        "queue_strategy": "least_busy",
        "specializations": ["VPN", "Firewall", "DNS", "WAN", "LAN"]
    }"#;
    let response = send_text(&org.itsm, Method::POST, "/v1/teams", body).await;
    assert_eq!(response.status, 201, "{response}");
}

/// Creates the team of the TopTickets document at the document's time.
pub(in crate::api) async fn create_technical_support(
    clocked: &ClockedStack,
    org: &Organization,
    description: &str,
) -> Response {
    clocked.set(1_736_064_000);
    clocked.next_team(TECHNICAL);
    let body = format!(r#"{{"name": "Technical Support", "description": "{description}"}}"#);
    let response = send_text(&org.toptickets, Method::POST, "/v1/teams", &body).await;
    assert_eq!(response.status, 201, "{response}");
    response
}

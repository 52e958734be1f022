//! Assignments, an addition to both documents. The goldens are Muster's own.

mod find;
mod get;
mod list;

use muster_domain::{OrganizationId, User, UserId, UserStatus};

use crate::{
    api::ClockedStack,
    support::{Organization, user},
};

const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Creates Alice and the team of the TopTickets document, without members.
async fn technical_support(clocked: &ClockedStack) -> Organization {
    let id = UserId::parse("123e4567-e89b-12d3-a456-426614174000").expect("a user's id");
    let alice = User {
        id,
        ..user("Alice Johnson", UserStatus::Active)
    };
    let org = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    let org = clocked.stack.organization_of(org, vec![alice]).await;
    clocked.next_team(TEAM);
    org.team("Technical Support").await;
    org
}

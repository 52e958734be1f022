//! The ITSM platform's contract.

mod errors;
mod requests;
mod responses;

pub use errors::{Audience, failure};
pub use requests::{add_member, create_team, list_teams, list_tickets, page, update_team};
pub use responses::{decision, decisions, members, membership, team, teams, workload};

#[cfg(feature = "openapi")]
pub(crate) use errors::{constraint, error_schemas, status_and_code};
#[cfg(feature = "openapi")]
pub(crate) use responses::schemas;

use muster_domain::{TeamId, UserId};

/// A team's id as this contract writes it.
fn team_id(id: TeamId) -> String {
    format!("{}{}", TeamId::PREFIX, id.uuid())
}

/// A user's id as this contract writes it.
fn user_id(id: UserId) -> String {
    format!("{}{}", UserId::PREFIX, id.uuid())
}

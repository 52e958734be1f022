//! Ids as this contract writes them.

use muster_domain::{TeamId, UserId};

/// Returns a team's id with its prefix.
pub(super) fn team_id(id: TeamId) -> String {
    format!("{}{}", TeamId::PREFIX, id.uuid())
}

/// Returns a user's id with its prefix.
pub(super) fn user_id(id: UserId) -> String {
    format!("{}{}", UserId::PREFIX, id.uuid())
}

//! What a write changed: a record before it and after it.

use super::{Load, Member, OrganizationId, Team, TeamId, Ticket, Timestamp, User, UserId};

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record, in the store's own words: changes of one have the same name, and come in
    /// order.
    pub record: String,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// When it was written, to a second or so.
    pub at: Timestamp,
    /// What was written.
    pub kind: ChangeKind,
}

/// The record before and after. `None` before: it is new. `None` after: it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "each is made once, and a batch of the stream has at most a hundred"
)]
pub enum ChangeKind {
    /// What people edit of a team.
    Team {
        /// Before.
        before: Option<Team>,
        /// After.
        after: Option<Team>,
    },
    /// What routing counts of a team.
    Load {
        /// Which team's.
        team_id: TeamId,
        /// Before.
        before: Option<Load>,
        /// After.
        after: Option<Load>,
    },
    /// A team was deleted, and left what has to be swept.
    TeamDeleted {
        /// Which team.
        team_id: TeamId,
    },
    /// A user's membership of a team.
    Membership {
        /// Which team.
        team_id: TeamId,
        /// Before.
        before: Option<Member>,
        /// After.
        after: Option<Member>,
    },
    /// A user's profile.
    User {
        /// Which user's.
        user_id: UserId,
        /// Before.
        before: Option<User>,
        /// After.
        after: Option<User>,
    },
    /// A ticket.
    Ticket {
        /// Before.
        before: Option<Ticket>,
        /// After.
        after: Option<Ticket>,
    },
}

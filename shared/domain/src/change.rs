//! Changes of records: a record before and after a write, from the table's stream.

use super::{Load, Member, OrganizationId, Team, TeamId, Ticket, Timestamp, User, UserId};

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The store's name of the record. Changes of one record have the same name, and arrive in
    /// order.
    pub record: String,
    /// The organization of the record.
    pub organization_id: OrganizationId,
    /// The approximate time of the write: DynamoDB Streams rounds it to seconds.
    pub at: Timestamp,
    /// The record, before and after.
    pub kind: ChangeKind,
}

/// The record before and after. `None` before means created, `None` after means deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a batch of the stream has at most 100"
)]
pub enum ChangeKind {
    /// The fields of a team that people edit.
    Team {
        /// Before.
        before: Option<Team>,
        /// After.
        after: Option<Team>,
    },
    /// The load of a team.
    Load {
        /// The team.
        team_id: TeamId,
        /// Before.
        before: Option<Load>,
        /// After.
        after: Option<Load>,
    },
    /// A team was deleted, and its items have to be swept.
    TeamDeleted {
        /// The team.
        team_id: TeamId,
    },
    /// A user's membership of a team.
    Membership {
        /// The team.
        team_id: TeamId,
        /// Before.
        before: Option<Member>,
        /// After.
        after: Option<Member>,
    },
    /// A user's profile.
    User {
        /// The user.
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

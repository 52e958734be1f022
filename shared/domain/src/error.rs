//! The domain's reasons to reject a well-formed request. Each contract renders them in its own
//! form.

use thiserror::Error as ThisError;

/// The part of a request that named a user: a field of its body, or a parameter of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserField {
    /// The user to add to a team, or the member to change.
    UserId,
    /// The user to lead a team.
    LeadId,
}

impl UserField {
    /// Returns the name of the part in both contracts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::LeadId => "lead_id",
        }
    }
}

/// A rule of the domain that a request broke.
///
/// The variants are in the order in which both contracts check the rules. If a request breaks
/// several rules, the response names the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ThisError)]
pub enum Error {
    /// The `Idempotency-Key` was used before, with another request.
    #[error("the idempotency key was used with another request")]
    IdempotencyKeyReused,
    /// The organization has no such team.
    #[error("the team does not exist")]
    TeamNotFound,
    /// The organization has no such ticket, or it was deleted.
    #[error("the ticket does not exist")]
    TicketNotFound,
    /// The team does not have a version that `If-Match` permits.
    #[error("the team has another version")]
    VersionMismatch,
    /// The organization has no such user.
    #[error("the user in {} does not exist", .0.name())]
    UserNotFound(UserField),
    /// The team has no such member.
    #[error("the user is not a member of the team")]
    MemberNotFound,
    /// The user is a member of the team already.
    #[error("the user is already a member")]
    AlreadyMember,
    /// The user exists but is not active.
    #[error("the user in {} is not active", .0.name())]
    UserInactive(UserField),
    /// The team has [`MAX_MEMBERS`](super::MAX_MEMBERS) members.
    #[error("the team is full")]
    TeamFull,
    /// The member leads the team, and the contract requires a new lead first.
    #[error("the team's lead cannot be removed")]
    LeadRemoval,
    /// The team still has this many open tickets, and the contract requires that they are
    /// reassigned first.
    #[error("the team still has {0} open tickets")]
    OpenTickets(u64),
    /// Another team of the organization has this name, compared folded.
    #[error("the team name is taken")]
    NameTaken,
}

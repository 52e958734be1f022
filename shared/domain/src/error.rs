//! Why a well-formed request can be refused, in the domain's own words. Each contract says it in
//! its own.

use std::fmt;

/// The part of a request that named a user: a field of its body, or a parameter of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserField {
    /// The user to add to a team, or the member to change.
    UserId,
    /// The user to lead a team.
    LeadId,
}

impl UserField {
    /// The part's name in both contracts.
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
/// The variants stand in the order in which both contracts check them: where several rules are
/// broken at once, the smallest is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Error {
    /// The `Idempotency-Key` was used before, with another request.
    IdempotencyKeyReused,
    /// The organization has no such team.
    TeamNotFound,
    /// The organization has no such ticket, or it was deleted.
    TicketNotFound,
    /// The team is not of a version that the request wants.
    VersionMismatch,
    /// The organization has no such user.
    UserNotFound(UserField),
    /// The team has no such member.
    MemberNotFound,
    /// The user is a member of the team already.
    AlreadyMember,
    /// The user exists, and is not active.
    UserInactive(UserField),
    /// The team has [`MAX_MEMBERS`](super::MAX_MEMBERS) members.
    TeamFull,
    /// The member leads the team, and the contract wants a new lead first.
    LeadRemoval,
    /// The team still holds this many open tickets, and the contract wants them reassigned first.
    OpenTickets(u64),
    /// Another team of the organization has this name, compared folded.
    NameTaken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdempotencyKeyReused => {
                f.write_str("the idempotency key was used with another request")
            }
            Self::TeamNotFound => f.write_str("the team does not exist"),
            Self::TicketNotFound => f.write_str("the ticket does not exist"),
            Self::VersionMismatch => f.write_str("the team is of another version"),
            Self::UserNotFound(field) => write!(f, "the user in {} does not exist", field.name()),
            Self::MemberNotFound => f.write_str("the user is not a member of the team"),
            Self::NameTaken => f.write_str("the team name is taken"),
            Self::AlreadyMember => f.write_str("the user is a member already"),
            Self::UserInactive(field) => write!(f, "the user in {} is not active", field.name()),
            Self::TeamFull => f.write_str("the team is full"),
            Self::LeadRemoval => f.write_str("the team's lead cannot be removed"),
            Self::OpenTickets(open) => write!(f, "the team still holds {open} open tickets"),
        }
    }
}

impl std::error::Error for Error {}

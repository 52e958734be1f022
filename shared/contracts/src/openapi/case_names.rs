//! The names and the conditions of error cases, for the examples of the documents.

use crate::error::{UnauthorizedReason, WrongIdKind};
use muster_domain::{Contract, Error, UserField};

/// Returns the name and the condition of a broken domain rule.
pub(super) fn domain_case(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::IdempotencyKeyReused => (
            "idempotency_key_reused",
            "The `Idempotency-Key` was used before, with a different request.",
        ),
        Error::TeamNotFound => ("team_not_found", "The organization has no such team."),
        Error::TicketNotFound => (
            "ticket_not_found",
            "The organization has no such ticket, or it was deleted.",
        ),
        Error::VersionMismatch => (
            "version_mismatch",
            "`If-Match` does not list the team's present `ETag`.",
        ),
        Error::UserNotFound(UserField::UserId) => {
            ("user_not_found", "The organization has no such user.")
        }
        Error::UserNotFound(UserField::LeadId) => (
            "lead_not_found",
            "The organization has no such user to lead the team.",
        ),
        Error::MemberNotFound => ("member_not_found", "The team has no such member."),
        Error::AlreadyMember => (
            "already_member",
            "The user is already a member of the team.",
        ),
        Error::UserInactive(UserField::UserId) => ("user_inactive", "The user is not active."),
        Error::UserInactive(UserField::LeadId) => {
            ("lead_inactive", "The user to lead the team is not active.")
        }
        Error::TeamFull => ("team_full", "The team has the maximum number of members."),
        Error::LeadRemoval => (
            "lead_removal",
            "The member leads the team. Designate a new lead first.",
        ),
        Error::OpenTickets(_) => (
            "open_tickets",
            "The team still has open tickets. Reassign them first.",
        ),
        Error::NameTaken => ("name_taken", "Another team has an equal name."),
    }
}

/// Returns the name and the condition of a 401.
pub(super) fn unauthorized_case(
    reason: UnauthorizedReason,
    contract: Contract,
) -> (&'static str, &'static str) {
    match (reason, contract) {
        (_, Contract::Toptickets) => (
            "unauthorized",
            "The credential is missing, unknown, malformed, expired or revoked. `WWW-Authenticate` has the reason.",
        ),
        (UnauthorizedReason::NoCredential, _) => ("no_credential", "The credential is missing."),
        (UnauthorizedReason::OtherScheme, _) => (
            "other_scheme",
            "The `Authorization` header has another scheme than `Bearer`.",
        ),
        (UnauthorizedReason::InvalidCredential, _) => (
            "invalid_credential",
            "The credential is unknown or malformed.",
        ),
        (UnauthorizedReason::KeyExpired, _) => ("key_expired", "The API key has expired."),
        (UnauthorizedReason::KeyRevoked, _) => ("key_revoked", "The API key was revoked."),
        (UnauthorizedReason::TokenExpired, _) => ("token_expired", "The JWT has expired."),
    }
}

/// Returns the name and the condition of an id of the wrong kind.
pub(super) fn wrong_id_case(kind: WrongIdKind) -> (&'static str, &'static str) {
    match kind {
        WrongIdKind::UserAsTeam => (
            "user_as_team",
            "The path has the id of a user in the place of a team's.",
        ),
        WrongIdKind::TeamAsUser => (
            "team_as_user",
            "The path has the id of a team in the place of a user's.",
        ),
        WrongIdKind::Swapped => (
            "swapped_ids",
            "The ids of the team and of the user are swapped in the path.",
        ),
    }
}

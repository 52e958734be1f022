//! How TopTickets says that something went wrong: `{"detail": …}`.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema::{self, Schemas};
use crate::{
    error::Failure,
    json::json,
    request::{Invalid, Location, Rule, Violation},
};
use muster_domain::Error;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
struct ErrorOut {
    #[cfg_attr(feature = "openapi", schema(inline))]
    detail: Detail,
}

/// What went wrong.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
enum Detail {
    /// One sentence.
    Text(String),
    /// The rules of form that the request breaks: the answer to a value that cannot be read, or is
    /// out of its bounds.
    Violations(Vec<ViolationOut>),
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Violation))]
struct ViolationOut {
    /// Where the value is: the part of the request, then the name in it.
    loc: Vec<&'static str>,
    /// The rule, in words.
    msg: String,
    /// The rule, for programs.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ViolationType))]
    kind: &'static str,
}

/// The schema of every error.
#[cfg(feature = "openapi")]
pub(crate) fn error_schemas(schemas: &mut Schemas) {
    schemas.add::<ErrorOut>();
}

/// The status and the body of a failure.
#[must_use]
pub fn failure(failure: &Failure) -> (u16, String) {
    let (status, detail) = match failure {
        Failure::Invalid(invalid) => {
            let (status, violations) = validation(invalid);
            (status, Detail::Violations(violations))
        }
        failure => {
            let (status, text) = plain(failure);
            (status, Detail::Text(text))
        }
    };
    (status, json(&ErrorOut { detail }))
}

/// The status of a failure and its one sentence.
pub(crate) fn plain(failure: &Failure) -> (u16, String) {
    let (status, text) = match failure {
        Failure::RouteNotFound => (404, "Not Found"),
        Failure::MethodNotAllowed(_) => (405, "Method Not Allowed"),
        Failure::BodyTooLarge => (413, "Request body too large"),
        Failure::Unauthorized => (401, "Invalid API key"),
        Failure::AddressNotAllowed => (403, "IP address not allowed"),
        Failure::RateLimited { retry_after } => {
            return (
                429,
                format!("Rate limit exceeded. Try again in {retry_after} seconds."),
            );
        }
        Failure::MissingScope(scope) => {
            return (
                403,
                format!(
                    "Insufficient permissions. Required scope: {}",
                    scope.as_str()
                ),
            );
        }
        Failure::Invalid(_) => (400, "Invalid request"),
        Failure::Refused(error) => match error {
            Error::IdempotencyKeyReused => (422, "Idempotency-Key reused"),
            Error::VersionMismatch => (412, "Precondition failed"),
            Error::TeamNotFound => (404, "Team not found"),
            Error::TicketNotFound => (404, "Ticket not found"),
            Error::UserNotFound(_) => (404, "User not found"),
            Error::MemberNotFound => (404, "Member not found"),
            Error::AlreadyMember => (422, "User is already a member"),
            Error::UserInactive(_) => (422, "User is not active"),
            Error::TeamFull => (422, "Team is full"),
            Error::NameTaken => (422, "Team name already exists"),
            // The document has neither rule; the functions never enforce them under it.
            Error::LeadRemoval => (422, "The team lead cannot be removed"),
            Error::OpenTickets(_) => (422, "The team still has open tickets"),
        },
        Failure::Unavailable => (503, "Service temporarily unavailable. Try again shortly."),
        Failure::Internal => (500, "Internal server error"),
    };
    (status, text.to_owned())
}

/// Everything that cannot be read is said first, with 400; only a request that can be read has
/// constraints to break, 422.
fn validation(invalid: &Invalid) -> (u16, Vec<ViolationOut>) {
    let violations = match invalid {
        Invalid::Malformed => {
            let msg = "the body must be a JSON object".to_owned();
            return (
                400,
                vec![ViolationOut {
                    loc: vec![Location::Body.as_str()],
                    msg,
                    kind: MALFORMED,
                }],
            );
        }
        Invalid::Violations(violations) => violations,
    };
    let of_status = |wanted: u16| {
        violations
            .iter()
            .map(
                |Violation {
                     location,
                     field,
                     rule,
                 }| {
                    let (status, kind) = kind(*location, *rule);
                    (
                        status,
                        ViolationOut {
                            loc: vec![location.as_str(), field],
                            msg: format!("{field} {rule}"),
                            kind,
                        },
                    )
                },
            )
            .filter(|(status, _)| *status == wanted)
            .map(|(_, violation)| violation)
            .collect::<Vec<_>>()
    };
    let unreadable = of_status(400);
    if unreadable.is_empty() {
        (422, of_status(422))
    } else {
        (400, unreadable)
    }
}

/// The type of a body that is no JSON object.
pub(crate) const MALFORMED: &str = "value_error.jsondecode";

/// The status and the type of a broken rule. A header is well-formed or it is not, whichever part
/// of its one rule it breaks.
pub(crate) fn kind(location: Location, rule: Rule) -> (u16, &'static str) {
    match rule {
        _ if location == Location::Header => (400, "type_error.string"),
        Rule::Missing => (400, "value_error.missing"),
        Rule::Null => (400, "type_error.none.not_allowed"),
        Rule::NotString | Rule::NotStrings | Rule::NotVisible => (400, "type_error.string"),
        Rule::NotInteger => (400, "type_error.integer"),
        Rule::NotList => (400, "type_error.list"),
        Rule::NotUuid => (400, "type_error.uuid"),
        Rule::NotOneOf(_) | Rule::Unsupported => (400, "type_error.enum"),
        Rule::Empty => (422, "value_error.any_str.min_length"),
        Rule::TooLong(_) | Rule::TooManyBytes(_) => (422, "value_error.any_str.max_length"),
        Rule::Control | Rule::ControlInLines => (422, "value_error.str.control"),
        Rule::TooSmall(_) => (422, "value_error.number.not_ge"),
        Rule::TooLarge(_) | Rule::PageTooLarge(_) => (422, "value_error.number.not_le"),
        Rule::TooManyItems(_) => (422, "value_error.list.max_items"),
    }
}

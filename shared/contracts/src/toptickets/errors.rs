//! The error responses of the TopTickets contract: `{"detail": …}`.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema::{self, Schemas};
use crate::{
    error::{ApiError, ErrorContext},
    json::json,
    request::{FieldRule, InvalidRequest, Location, Violation},
};
use muster_domain::Error;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
struct ErrorOut<'v> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    detail: Detail<'v>,
}

/// The description of an error.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
enum Detail<'v> {
    /// A sentence.
    Text(String),
    /// The format rules that the request breaks. Each names a value that cannot be read or is out
    /// of bounds.
    Violations(Vec<ViolationOut<'v>>),
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Violation))]
struct ViolationOut<'v> {
    /// The location of the value: the part of the request, then the name in it.
    loc: Vec<&'v str>,
    /// The rule, in words.
    msg: String,
    /// The rule, for programs.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ViolationType))]
    kind: &'static str,
}

/// Adds the schema of all errors.
#[cfg(feature = "openapi")]
pub(crate) fn error_schemas(schemas: &mut Schemas) {
    schemas.add::<ErrorOut<'_>>();
}

/// Returns the status and the body of an error.
#[must_use]
pub fn error_response(error: &ApiError, context: ErrorContext<'_>) -> (u16, String) {
    let (status, detail) = match error {
        ApiError::Invalid(invalid) => {
            let (status, violations) = validation(invalid, context);
            (status, Detail::Violations(violations))
        }
        error => {
            let (status, text) = status_and_detail(error);
            (status, Detail::Text(text))
        }
    };
    (status, json(&ErrorOut { detail }))
}

/// Returns the status and the sentence of an error.
pub(crate) fn status_and_detail(error: &ApiError) -> (u16, String) {
    let (status, text) = match error {
        ApiError::RouteNotFound => (404, "Not Found"),
        ApiError::MethodNotAllowed(_) => (405, "Method Not Allowed"),
        ApiError::BodyTooLarge => (413, "Request body too large"),
        ApiError::Unauthorized(_) => (401, "Invalid API key"),
        ApiError::AddressNotAllowed => (403, "IP address not allowed"),
        ApiError::RateLimited { retry_after } => {
            return (
                429,
                format!("Rate limit exceeded. Try again in {retry_after} seconds."),
            );
        }
        ApiError::MissingScope(scope) => {
            return (
                403,
                format!(
                    "Insufficient permissions. Required scope: {}",
                    scope.as_str()
                ),
            );
        }
        ApiError::Invalid(_) => (400, "Invalid request"),
        ApiError::WrongIdKind(kind) => return status_and_detail(&kind.not_found().into()),
        ApiError::Domain(error) => match error {
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
            // The document has neither rule, and the functions never enforce them for its clients.
            Error::LeadRemoval => (422, "The team lead cannot be removed"),
            Error::OpenTickets(_) => (422, "The team still has open tickets"),
        },
        ApiError::Unavailable => (503, "Service temporarily unavailable. Try again shortly."),
        ApiError::Internal => (500, "Internal server error"),
    };
    (status, text.to_owned())
}

/// Returns the status and the violations of an invalid request.
///
/// If some values cannot be read, the response has status 400 and lists only those. Otherwise it
/// has status 422 and lists the values that are out of bounds.
fn validation<'v>(
    invalid: &'v InvalidRequest,
    context: ErrorContext<'_>,
) -> (u16, Vec<ViolationOut<'v>>) {
    let violations = match invalid {
        InvalidRequest::Malformed(fault) => {
            let msg = format!(
                "the body must be a JSON object: {}",
                context.malformed(fault)
            );
            return (
                400,
                vec![ViolationOut {
                    loc: vec![Location::Body.as_str()],
                    msg,
                    kind: MALFORMED,
                }],
            );
        }
        InvalidRequest::Violations(violations) => violations,
    };
    let of_status = |wanted: u16| {
        violations
            .iter()
            .map(|violation| {
                let Violation {
                    location,
                    field,
                    rule,
                } = violation;
                let (status, kind) = status_and_type(*location, *rule);
                let violation = ViolationOut {
                    loc: [location.as_str()]
                        .into_iter()
                        .chain(field.as_deref())
                        .collect(),
                    msg: violation.to_string(),
                    kind,
                };
                (status, violation)
            })
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

/// The type of a body that is not a JSON object.
pub(crate) const MALFORMED: &str = "value_error.jsondecode";

/// Returns the status and the type of a broken rule. A header has one type for all parts of its
/// rule.
pub(crate) fn status_and_type(location: Location, rule: FieldRule) -> (u16, &'static str) {
    match rule {
        _ if location == Location::Header => (400, "type_error.string"),
        FieldRule::Missing => (400, "value_error.missing"),
        FieldRule::Null => (400, "type_error.none.not_allowed"),
        FieldRule::NotString | FieldRule::NotStrings | FieldRule::NotVisible => {
            (400, "type_error.string")
        }
        FieldRule::NotInteger => (400, "type_error.integer"),
        FieldRule::NotList => (400, "type_error.list"),
        FieldRule::NotUuid | FieldRule::IdOfTeam => (400, "type_error.uuid"),
        FieldRule::NotOneOf(_) | FieldRule::Unsupported | FieldRule::UnsupportedWithState => {
            (400, "type_error.enum")
        }
        FieldRule::NotCursor => (400, "value_error.cursor"),
        FieldRule::Unknown | FieldRule::UnknownFields(_) => (422, "value_error.extra"),
        FieldRule::Empty => (422, "value_error.any_str.min_length"),
        FieldRule::TooLong(_) | FieldRule::TooManyBytes(_) => {
            (422, "value_error.any_str.max_length")
        }
        FieldRule::Control | FieldRule::ControlInLines => (422, "value_error.str.control"),
        FieldRule::TooSmall(_) => (422, "value_error.number.not_ge"),
        FieldRule::TooLarge(_) | FieldRule::PageTooLarge(_) => (422, "value_error.number.not_le"),
        FieldRule::TooManyItems(_) => (422, "value_error.list.max_items"),
    }
}

//! The error responses of the ITSM contract: an envelope with a code.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema::{self, Schemas};
use crate::{
    error::{ApiError, ErrorContext},
    json::json,
    request::{FieldRule, InvalidRequest, Violation},
    toptickets,
};
use muster_domain::Error;

/// The clients that have to understand an error response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A client of this contract.
    Itsm,
    /// A client of unknown contract, without a valid credential. The envelope also has the `detail`
    /// of the other contract.
    Unknown,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
struct ErrorOut<'r> {
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::always_false))]
    success: bool,
    error: ErrorBody<'r>,
    /// The error text for clients of the other contract. It is present if the credential does not
    /// identify the contract of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    detail: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ErrorBody))]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'r> {
    /// The kind of error, for programs.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::ErrorCode))]
    code: &'static str,
    /// The error in words.
    message: String,
    /// Further data for programs.
    details: Option<Details<'r>>,
    /// The id of the request, also in the header `X-Request-Id`. Quote it in support requests.
    request_id: &'r str,
    /// The time of the error.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    timestamp: String,
    /// The path as received, without the query.
    path: &'r str,
}

/// Further data for programs. The code determines the fields.
#[derive(Serialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ErrorDetails))]
#[serde(rename_all = "camelCase")]
struct Details<'v> {
    /// The scope that the credential lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::Scope>, nullable = false))]
    required_scope: Option<&'static str>,
    /// The field or parameter of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    field: Option<&'v str>,
    /// The format rule that the field breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::Constraint>, nullable = false))]
    constraint: Option<&'static str>,
    /// The number of the team's open tickets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    open_tickets: Option<u64>,
}

/// Adds the schema of all errors.
#[cfg(feature = "openapi")]
pub(crate) fn error_schemas(schemas: &mut Schemas) {
    schemas.add::<ErrorOut<'_>>();
}

/// Returns the status and the body of an error.
#[must_use]
pub fn error_response(
    error: &ApiError,
    context: ErrorContext<'_>,
    audience: Audience,
) -> (u16, String) {
    let (status, code) = status_and_code(error);
    let ErrorContext {
        request_id,
        at,
        path,
        content_type: _,
    } = context;
    let body = ErrorBody {
        code,
        message: message(error, context),
        details: details(error),
        request_id,
        timestamp: at.iso8601(),
        path,
    };
    let detail = (audience == Audience::Unknown).then(|| toptickets::status_and_detail(error).1);
    (
        status,
        json(&ErrorOut {
            success: false,
            error: body,
            detail,
        }),
    )
}

pub(crate) fn status_and_code(error: &ApiError) -> (u16, &'static str) {
    const NOT_FOUND: (u16, &str) = (404, "NOT_FOUND");
    const CONFLICT: (u16, &str) = (409, "CONFLICT");
    match error {
        ApiError::RouteNotFound | ApiError::WrongIdKind(_) => NOT_FOUND,
        ApiError::MethodNotAllowed(_) => (405, "METHOD_NOT_ALLOWED"),
        ApiError::BodyTooLarge => (413, "PAYLOAD_TOO_LARGE"),
        ApiError::Unauthorized(_) => (401, "UNAUTHORIZED"),
        ApiError::AddressNotAllowed | ApiError::MissingScope(_) => (403, "FORBIDDEN"),
        ApiError::RateLimited { .. } => (429, "RATE_LIMITED"),
        ApiError::Invalid(_) => (400, "VALIDATION_ERROR"),
        ApiError::Domain(error) => match error {
            Error::TeamNotFound
            | Error::TicketNotFound
            | Error::UserNotFound(_)
            | Error::MemberNotFound => NOT_FOUND,
            Error::NameTaken
            | Error::AlreadyMember
            | Error::TeamFull
            | Error::LeadRemoval
            | Error::OpenTickets(_) => CONFLICT,
            Error::UserInactive(_) => (422, "UNPROCESSABLE_ENTITY"),
            Error::VersionMismatch => (412, "PRECONDITION_FAILED"),
            Error::IdempotencyKeyReused => (422, "IDEMPOTENCY_KEY_REUSED"),
        },
        ApiError::Unavailable => (503, "SERVICE_UNAVAILABLE"),
        ApiError::Internal => (500, "INTERNAL_ERROR"),
    }
}

/// Returns an error in words, with a pointer to the documentation page if that explains the fix.
#[must_use]
pub fn message(error: &ApiError, context: ErrorContext<'_>) -> String {
    let mut message = sentence(error, context);
    if error.has_help() {
        message += "; see /docs";
    }
    message
}

fn sentence(error: &ApiError, context: ErrorContext<'_>) -> String {
    match error {
        ApiError::RouteNotFound => "The requested resource does not exist".to_owned(),
        ApiError::MethodNotAllowed(_) => "The resource does not have this method".to_owned(),
        ApiError::BodyTooLarge => "The request body is too large".to_owned(),
        ApiError::Unauthorized(reason) => reason.description().to_owned(),
        ApiError::AddressNotAllowed => {
            "The credential may not be used from this address".to_owned()
        }
        ApiError::RateLimited { retry_after } => {
            format!("Too many requests; try again in {retry_after} seconds")
        }
        ApiError::MissingScope(scope) => {
            format!("The credential lacks the scope {}", scope.as_str())
        }
        ApiError::Invalid(InvalidRequest::Malformed(fault)) => format!(
            "The request body must be a JSON object: {}",
            context.malformed(fault)
        ),
        ApiError::Invalid(InvalidRequest::Violations(violations)) => violations
            .first()
            .map_or_else(|| "The request is invalid".to_owned(), Violation::to_string),
        ApiError::WrongIdKind(kind) => kind.description().to_owned(),
        ApiError::Domain(error) => match error {
            Error::IdempotencyKeyReused => {
                "The Idempotency-Key was used with another request".to_owned()
            }
            Error::VersionMismatch => {
                "If-Match does not list the team's present ETag, quotes included".to_owned()
            }
            Error::TeamNotFound => "Team not found".to_owned(),
            Error::TicketNotFound => "Ticket not found".to_owned(),
            Error::UserNotFound(_) => "User not found".to_owned(),
            Error::MemberNotFound => "The user is not a member of the team".to_owned(),
            Error::NameTaken => "A team with this name already exists".to_owned(),
            Error::AlreadyMember => "The user is already a member of the team".to_owned(),
            Error::UserInactive(_) => "The user is not active".to_owned(),
            Error::TeamFull => "The team is full".to_owned(),
            Error::LeadRemoval => {
                "The team lead cannot be removed; designate a new lead first".to_owned()
            }
            Error::OpenTickets(open) => {
                format!("The team still has {open} open tickets; reassign them first")
            }
        },
        ApiError::Unavailable => {
            "The service is temporarily unavailable; try again shortly".to_owned()
        }
        ApiError::Internal => "An internal error occurred".to_owned(),
    }
}

fn details(error: &ApiError) -> Option<Details<'_>> {
    let none = Details::default();
    match error {
        ApiError::MissingScope(scope) => Some(Details {
            required_scope: Some(scope.as_str()),
            ..none
        }),
        ApiError::Invalid(InvalidRequest::Violations(violations)) => violations.first().map(
            |Violation {
                 location: _,
                 field,
                 rule,
             }| Details {
                field: field.as_deref(),
                constraint: Some(constraint(*rule)),
                ..none
            },
        ),
        ApiError::Domain(Error::UserNotFound(field) | Error::UserInactive(field)) => {
            Some(Details {
                field: Some(field.name()),
                ..none
            })
        }
        ApiError::Domain(Error::OpenTickets(open)) => Some(Details {
            open_tickets: Some(*open),
            ..none
        }),
        ApiError::RouteNotFound
        | ApiError::MethodNotAllowed(_)
        | ApiError::BodyTooLarge
        | ApiError::Unauthorized(_)
        | ApiError::AddressNotAllowed
        | ApiError::RateLimited { .. }
        | ApiError::Invalid(InvalidRequest::Malformed(_))
        | ApiError::WrongIdKind(_)
        | ApiError::Domain(
            Error::IdempotencyKeyReused
            | Error::VersionMismatch
            | Error::TeamNotFound
            | Error::TicketNotFound
            | Error::MemberNotFound
            | Error::NameTaken
            | Error::AlreadyMember
            | Error::TeamFull
            | Error::LeadRemoval,
        )
        | ApiError::Unavailable
        | ApiError::Internal => None,
    }
}

pub(crate) fn constraint(rule: FieldRule) -> &'static str {
    match rule {
        FieldRule::Missing | FieldRule::Null => "isDefined",
        FieldRule::NotString | FieldRule::NotStrings => "isString",
        FieldRule::NotInteger => "isInt",
        FieldRule::NotList => "isArray",
        FieldRule::NotUuid | FieldRule::IdOfTeam => "isUuid",
        FieldRule::NotOneOf(_) | FieldRule::Unsupported | FieldRule::UnsupportedWithState => {
            "isEnum"
        }
        FieldRule::NotCursor => "isCursor",
        FieldRule::Unknown | FieldRule::UnknownFields(_) => "whitelistValidation",
        FieldRule::Empty => "isNotEmpty",
        FieldRule::TooLong(_) | FieldRule::TooManyBytes(_) => "maxLength",
        FieldRule::Control | FieldRule::ControlInLines | FieldRule::NotVisible => "isPrintable",
        FieldRule::TooSmall(_) => "min",
        FieldRule::TooLarge(_) | FieldRule::PageTooLarge(_) => "max",
        FieldRule::TooManyItems(_) => "arrayMaxSize",
    }
}

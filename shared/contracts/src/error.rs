//! The errors of the API, without the form that a contract gives them.

use crate::request::{InvalidRequest, MalformedBody, excerpt};
use muster_domain::Scope;

/// The reason why a request failed. Each contract renders it in its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// No such route.
    RouteNotFound,
    /// The path has other methods: these.
    MethodNotAllowed(Vec<&'static str>),
    /// The body is over the limit.
    BodyTooLarge,
    /// No credential, or one that is unknown, malformed, expired or revoked.
    Unauthorized(UnauthorizedReason),
    /// A valid credential, used from an address outside its networks.
    AddressNotAllowed,
    /// Too many requests in this clock minute.
    RateLimited {
        /// Seconds until the next minute, at least 1.
        retry_after: u64,
    },
    /// A valid credential without this scope.
    MissingScope(Scope),
    /// The body or the query breaks a rule of form.
    Invalid(InvalidRequest),
    /// The path has an id of another kind than its place requires.
    WrongIdKind(WrongIdKind),
    /// The request breaks a rule of the domain.
    Domain(muster_domain::Error),
    /// The table is throttled or unreachable. The client can retry.
    Unavailable,
    /// A fault of the service. The log has the cause, with the request's id.
    Internal,
}

impl ApiError {
    /// Returns the seconds that a client should wait before a retry, if a retry can succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unavailable => Some(1),
            _ => None,
        }
    }

    /// Returns whether the documentation page explains the fix. Then the response links to it.
    #[must_use]
    pub fn has_help(&self) -> bool {
        match self {
            Self::RouteNotFound
            | Self::MethodNotAllowed(_)
            | Self::Unauthorized(_)
            | Self::MissingScope(_)
            | Self::Invalid(_)
            | Self::WrongIdKind(_) => true,
            Self::BodyTooLarge
            | Self::AddressNotAllowed
            | Self::RateLimited { .. }
            | Self::Domain(_)
            | Self::Unavailable
            | Self::Internal => false,
        }
    }
}

/// The reason of a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnauthorizedReason {
    /// The request has no bearer token.
    NoCredential,
    /// The `Authorization` header has another scheme.
    OtherScheme,
    /// The token is malformed or unknown, or its signature or its claims are invalid. All share one
    /// reason, so that a guess reveals no key.
    InvalidCredential,
    /// The key exists, and has expired.
    KeyExpired,
    /// The key exists, and was revoked.
    KeyRevoked,
    /// The signature of the token is valid, and the token has expired.
    TokenExpired,
}

impl UnauthorizedReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NoCredential,
        Self::OtherScheme,
        Self::InvalidCredential,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::TokenExpired,
    ];

    /// Returns the reason in words, without quotation marks and backslashes.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::NoCredential => {
                "The request has no credential: send the header Authorization: Bearer <credential>"
            }
            Self::OtherScheme => {
                "The authorization scheme is not Bearer: send the header Authorization: Bearer <credential>"
            }
            Self::InvalidCredential => "The credential is unknown or malformed",
            Self::KeyExpired => "The API key has expired",
            Self::KeyRevoked => "The API key was revoked",
            Self::TokenExpired => "The token has expired",
        }
    }

    /// Returns the value of the header `WWW-Authenticate`. It names an error only if the request
    /// has a bearer token (RFC 6750, section 3.1).
    #[must_use]
    pub fn challenge(self) -> String {
        match self {
            Self::NoCredential | Self::OtherScheme => "Bearer".to_owned(),
            Self::InvalidCredential | Self::KeyExpired | Self::KeyRevoked | Self::TokenExpired => {
                format!(
                    r#"Bearer error="invalid_token", error_description="{}""#,
                    self.description()
                )
            }
        }
    }
}

/// An id of another kind than its place in the path requires. It names no object, so the status is
/// that of an unknown object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongIdKind {
    /// The id of a user in the place of a team's.
    UserAsTeam,
    /// The id of a team in the place of a user's.
    TeamAsUser,
    /// The ids of the team and of the user in each other's places.
    Swapped,
}

impl WrongIdKind {
    /// Returns the error of an unknown object in that place.
    #[must_use]
    pub fn not_found(self) -> muster_domain::Error {
        match self {
            Self::UserAsTeam | Self::Swapped => muster_domain::Error::TeamNotFound,
            Self::TeamAsUser => muster_domain::Error::MemberNotFound,
        }
    }

    /// Returns the mistake in words.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::UserAsTeam => {
                "Team not found: the path has the id of a user (usr_...) in the place of a team's id"
            }
            Self::TeamAsUser => {
                "Member not found: the path has the id of a team (team_...) in the place of a user's id"
            }
            Self::Swapped => {
                "Team not found: the ids of the team and of the user are swapped in the path"
            }
        }
    }
}

impl From<InvalidRequest> for ApiError {
    fn from(invalid: InvalidRequest) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<muster_domain::Error> for ApiError {
    fn from(error: muster_domain::Error) -> Self {
        Self::Domain(error)
    }
}

/// The parts of the failed request that an error response repeats.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'r> {
    /// The id of the request: `req_` and the gateway's id.
    pub request_id: &'r str,
    /// The time of the failure.
    pub at: muster_domain::Timestamp,
    /// The path as received, without the query.
    pub path: &'r str,
    /// The `Content-Type` header as received.
    pub content_type: Option<&'r str>,
}

impl ErrorContext<'_> {
    /// Returns the fault of a malformed body in words, with the content type that was sent.
    pub(crate) fn malformed(&self, fault: &MalformedBody) -> String {
        match self.content_type {
            Some(sent) => format!("{fault} (Content-Type: {})", excerpt(sent)),
            None => format!("{fault} (no Content-Type)"),
        }
    }
}

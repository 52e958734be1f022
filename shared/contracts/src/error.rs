//! The errors of the API, without the form that a contract gives them.

use crate::request::InvalidRequest;
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
    Unauthorized,
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
}

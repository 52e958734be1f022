//! Everything that can be answered instead of a success, in words that belong to no contract.

use crate::request::InvalidRequest;
use muster_domain::Scope;

/// Why a request was not done. Each contract renders it in its own shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// No such route.
    RouteNotFound,
    /// The route has other methods: these.
    MethodNotAllowed(Vec<&'static str>),
    /// The body is over the limit.
    BodyTooLarge,
    /// No credential, or one that is unknown, malformed, expired or revoked.
    Unauthorized,
    /// A good credential, from an address outside of its networks.
    AddressNotAllowed,
    /// Too many requests in this minute; the next one begins in so many seconds.
    RateLimited {
        /// Seconds until the next request is taken, at least 1.
        retry_after: u64,
    },
    /// A good credential without this scope.
    MissingScope(Scope),
    /// The body or the query breaks a rule of form.
    Invalid(InvalidRequest),
    /// The request breaks a rule of the domain.
    Domain(muster_domain::Error),
    /// The table is throttling or out of reach; the request may be sent again.
    Unavailable,
    /// Our fault. The cause is in the log, under the request's id.
    Internal,
}

impl ApiError {
    /// Seconds that a client should wait before it asks again, where that helps.
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

/// The request that failed, as far as an answer repeats it.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'r> {
    /// `req_` and the gateway's id of the request.
    pub request_id: &'r str,
    /// When it failed.
    pub at: muster_domain::Timestamp,
    /// The path as received, without the query.
    pub path: &'r str,
}

//! Errors of the store.

use std::error::Error as StdError;

use super::records::RenderedResponse;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The reason why an access to the table failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The same request, with the same `Idempotency-Key`, was carried out before. This attempt
    /// wrote no item. The saved response is the result of the request.
    #[error("the request was carried out before")]
    Replayed(RenderedResponse),
    /// A rule of the domain rejects the request. No item was written.
    #[error(transparent)]
    Rejected(muster_domain::Error),
    /// The table throttles, is in conflict or out of reach, and the deadline has passed. The
    /// outcome of a write is unknown.
    #[error("the table is unavailable")]
    Unavailable(#[source] BoxError),
    /// The table returned an unexpected response, such as a missing permission, a missing table, or
    /// an item that this version cannot read. A retry fails as well.
    #[error("the table returned an unexpected response")]
    Internal(#[source] BoxError),
}

impl Error {
    pub(crate) fn internal(error: impl Into<BoxError>) -> Self {
        Self::Internal(error.into())
    }

    /// Returns the error of a write that conflicted with other writers until the deadline.
    pub(crate) fn contended() -> Self {
        Self::Unavailable(Box::new(Contention))
    }

    /// Returns the error of a batch of which DynamoDB left a part unprocessed until the deadline.
    pub(super) fn unprocessed() -> Self {
        Self::Unavailable("the table left a part of a batch unprocessed until the deadline".into())
    }
}

impl From<muster_domain::Error> for Error {
    fn from(error: muster_domain::Error) -> Self {
        Self::Rejected(error)
    }
}

/// A write conflicted with concurrent writers until the deadline.
#[derive(Debug, thiserror::Error)]
#[error("write conflicts with concurrent writers until the deadline")]
struct Contention;

/// The deadline passed before the table responded.
#[derive(Debug, thiserror::Error)]
#[error("the table did not respond before the deadline")]
pub(super) struct DeadlineExceeded;

/// The reason why a transaction that was built from reads did not commit.
pub(crate) enum CommitError {
    /// An item changed since it was read. The caller reads and decides again (optimistic
    /// concurrency).
    Conflict,
    /// A permanent failure: a new attempt of the caller does not help.
    Failed(Error),
}

impl CommitError {
    /// Returns the error for a caller that cannot read and decide again.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Conflict => Error::contended(),
        }
    }
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<muster_domain::Error> for CommitError {
    fn from(error: muster_domain::Error) -> Self {
        Self::Failed(Error::Rejected(error))
    }
}

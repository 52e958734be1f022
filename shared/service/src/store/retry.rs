//! What can go wrong on the way to the table, and trying again.

use std::{error::Error as StdError, fmt};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::{Answer, Store};
use crate::{aws::backoff::Backoff, aws_error::is_transient};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why the store did not do what it was asked to.
#[derive(Debug)]
pub enum Error {
    /// It was done before, for the same request with the same `Idempotency-Key`, which was answered
    /// so. Nothing was written.
    Answered(Answer),
    /// A rule of the domain forbids it. Nothing was written.
    Refused(muster_domain::Error),
    /// The table is throttling, in conflict or out of reach, and the time is up. A write may have
    /// happened or not.
    Unavailable(BoxError),
    /// The table answered what it never should: missing permissions, a missing table, an item of
    /// another shape.
    Internal(BoxError),
}

impl Error {
    pub(crate) fn internal(error: impl Into<BoxError>) -> Self {
        Self::Internal(error.into())
    }

    /// Two writers kept getting in each other's way until the time was up.
    pub(crate) fn contended() -> Self {
        Self::Unavailable(Box::new(Contention))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(_) => f.write_str("it was done before"),
            Self::Refused(error) => error.fmt(f),
            Self::Unavailable(cause) => write!(f, "the table is unavailable: {}", chain(&**cause)),
            Self::Internal(cause) => {
                write!(f, "the table answered unexpectedly: {}", chain(&**cause))
            }
        }
    }
}

impl StdError for Error {}

impl From<muster_domain::Error> for Error {
    fn from(error: muster_domain::Error) -> Self {
        Self::Refused(error)
    }
}

/// An error and what caused it, in one line. A cause that says nothing new is left out.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    line
}

/// Two writers kept getting in each other's way until the time was up.
#[derive(Debug)]
struct Contention;

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("concurrent writers kept changing what was read")
    }
}

impl StdError for Contention {}

/// The deadline passed before the table answered.
#[derive(Debug)]
pub(super) struct OutOfTime;

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the table did not answer in time")
    }
}

impl StdError for OutOfTime {}

/// How one call ended that was not worth another attempt.
pub(super) enum Failed<E> {
    /// The service's own, final answer, which the caller may know the meaning of.
    Answered(E),
    /// Anything else.
    Other(Error),
}

impl<E: StdError + Send + Sync + 'static> From<Failed<E>> for Error {
    fn from(failed: Failed<E>) -> Self {
        match failed {
            Failed::Answered(error) => Self::internal(error),
            Failed::Other(error) => error,
        }
    }
}

impl Store {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::until(self.deadline)
    }

    /// Makes a call until it is answered with something that another attempt would not change, or
    /// the time is up.
    pub(super) async fn send<T, E, F>(&self, call: impl Fn() -> F) -> Result<T, Failed<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        self.send_unless(call, |_| false).await
    }

    /// The same, for calls that have a transient answer of their own.
    pub(super) async fn send_unless<T, E, F>(
        &self,
        call: impl Fn() -> F,
        is_transient_answer: impl Fn(&E) -> bool,
    ) -> Result<T, Failed<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let mut backoff = self.backoff();
        loop {
            let error = match tokio::time::timeout_at(self.deadline, call()).await {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(error)) => error,
                Err(_) => return Err(Failed::Other(Error::Unavailable(Box::new(OutOfTime)))),
            };
            let transient = match &error {
                SdkError::ServiceError(answer) if is_transient_answer(answer.err()) => true,
                error => is_transient(error),
            };
            if !transient {
                return Err(match error {
                    SdkError::ServiceError(answer) => Failed::Answered(answer.into_err()),
                    error => Failed::Other(Error::internal(error)),
                });
            }
            if !backoff.pause().await {
                return Err(Failed::Other(Error::Unavailable(Box::new(error))));
            }
            tracing::debug!(error = chain(&error), "trying again");
        }
    }

    /// Repeats a decision that another writer made stale, from fresh reads, until it stands or the
    /// time is up.
    pub(super) async fn until_current<T, F>(
        &self,
        mut decide: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Stale>>,
    {
        let mut backoff = self.backoff();
        loop {
            match decide().await {
                Ok(done) => return Ok(done),
                Err(Stale::Error(error)) => return Err(error),
                Err(Stale::Outdated) if backoff.pause().await => {}
                Err(Stale::Outdated) => return Err(Error::contended()),
            }
        }
    }
}

/// Why a decision could not be written.
pub(crate) enum Stale {
    /// What it was based on has changed: decide again.
    Outdated,
    /// It is final.
    Error(Error),
}

impl Stale {
    /// The error that it is for whoever cannot decide again.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Outdated => Error::contended(),
        }
    }
}

impl From<Error> for Stale {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<muster_domain::Error> for Stale {
    fn from(error: muster_domain::Error) -> Self {
        Self::Error(Error::Refused(error))
    }
}

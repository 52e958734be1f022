//! Retries of calls and of decisions, with full-jitter backoff until the store's deadline.
//!
//! Two kinds of failure are retried, at two levels. [`Store::send`] retries one call if its failure
//! is transient: throttling, a fault of the service, or a lost connection. Its result does not
//! depend on earlier reads. [`Store::retry_on_conflict`] retries a whole decision, from new reads,
//! if another writer changed an item that the decision was based on.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::{
    Error, Store,
    error::{CommitError, DeadlineExceeded},
};
use crate::{aws::backoff::Backoff, aws_error::is_transient, error_chain};

/// The permanent failure of one call.
pub(super) enum CallError<E> {
    /// An error response of the service, which the caller may know how to handle.
    Service(E),
    /// Any other failure.
    Other(Error),
}

impl<E: StdError + Send + Sync + 'static> From<CallError<E>> for Error {
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Service(error) => Self::internal(error),
            CallError::Other(error) => error,
        }
    }
}

impl Store {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::until(self.deadline)
    }

    /// Makes a call, and repeats it while its failure is transient, until the deadline.
    pub(super) async fn send<T, E, F>(&self, call: impl Fn() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        self.send_with(call, |_| false).await
    }

    /// Makes a call like [`send`](Self::send). `is_retryable` names further error responses that
    /// another attempt may not meet.
    pub(super) async fn send_with<T, E, F>(
        &self,
        call: impl Fn() -> F,
        is_retryable: impl Fn(&E) -> bool,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let mut backoff = self.backoff();
        loop {
            let error = match tokio::time::timeout_at(self.deadline, call()).await {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(CallError::Other(Error::Unavailable(Box::new(
                        DeadlineExceeded,
                    ))));
                }
            };
            let transient = match &error {
                SdkError::ServiceError(response) if is_retryable(response.err()) => true,
                error => is_transient(error),
            };
            if !transient {
                return Err(match error {
                    SdkError::ServiceError(response) => CallError::Service(response.into_err()),
                    error => CallError::Other(Error::internal(error)),
                });
            }
            if !backoff.pause().await {
                return Err(CallError::Other(Error::Unavailable(Box::new(error))));
            }
            tracing::debug!(
                error = error_chain(&error),
                "call of the table failed; retrying"
            );
        }
    }

    /// Runs a decision, and runs it again from new reads after each write conflict, until it
    /// commits or the deadline passes (optimistic concurrency).
    ///
    /// `decide` has to read all items that it depends on, since the previous reads are stale.
    pub(super) async fn retry_on_conflict<T, F>(
        &self,
        mut decide: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, CommitError>>,
    {
        let mut backoff = self.backoff();
        loop {
            match decide().await {
                Ok(done) => return Ok(done),
                Err(CommitError::Failed(error)) => return Err(error),
                Err(CommitError::Conflict) if backoff.pause().await => {}
                Err(CommitError::Conflict) => return Err(Error::contended()),
            }
        }
    }
}

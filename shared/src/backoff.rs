//! What fails for the moment, and the pauses between attempts at it.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::telemetry;

/// The pauses between attempts: exponential with full jitter, until a deadline.
pub(crate) struct Backoff {
    deadline: Instant,
    ceiling: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(25);
    const LONGEST: Duration = Duration::from_secs(1);

    /// Pauses for as long as there is time until `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, ceiling: Self::FIRST }
    }

    /// Waits for a random part of a ceiling that doubles each time, and counts the attempt that follows. False, at once, if
    /// the deadline would pass.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = self.ceiling.mul_f64(rand::random::<f64>());
        self.ceiling = (self.ceiling * 2).min(Self::LONGEST);
        let wakes = Instant::now() + pause;
        if wakes >= self.deadline {
            return false;
        }
        tokio::time::sleep_until(wakes).await;
        telemetry::record(|measured| measured.retries += 1);
        true
    }
}

/// Whether the same call, to any of the services that are called here, may succeed a moment later.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => {
            answer.raw().status().is_server_error()
                || answer.err().code().is_some_and(|code| {
                    is_throttling(code)
                        || matches!(code, "TransactionConflictException" | "TransactionInProgressException")
                })
        }
        _ => false,
    }
}

/// Whether an error's code says that the service is asked too much at the moment.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "RequestThrottled" | "ThrottlingException"
    )
}

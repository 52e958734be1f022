//! Classification of the errors of AWS calls.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Returns whether a retry of the call can succeed, for any of the services in use.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(response) => {
            response.raw().status().is_server_error()
                || response.err().code().is_some_and(|code| {
                    is_throttling(code)
                        || matches!(
                            code,
                            "TransactionConflictException" | "TransactionInProgressException"
                        )
                })
        }
        _ => false,
    }
}

/// The reason that a service rejected an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A transient error: a retry can succeed.
    Transient,
    /// The service rejects the caller, as for a missing permission or queue. A retry of this
    /// invocation fails too.
    Caller,
    /// The item is invalid. No retry can succeed.
    Invalid,
}

/// Classifies a failed call for its items. `invalid` has the error codes of a call with an invalid
/// item.
pub(crate) fn rejection<E: ProvideErrorMetadata>(
    error: &SdkError<E>,
    invalid: &[&str],
) -> Rejection {
    // The query protocol of SQS has codes with a prefix.
    let code = error
        .code()
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default();
    if is_transient(error) {
        Rejection::Transient
    } else if invalid.contains(&code) {
        Rejection::Invalid
    } else {
        Rejection::Caller
    }
}

/// Returns whether an error code means throttling.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "ThrottlingException"
    )
}

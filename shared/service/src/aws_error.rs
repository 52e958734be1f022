//! Classification of the errors of AWS calls.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Whether the same call, to any of the services that are called here, may succeed a moment later.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(answer) => {
            answer.raw().status().is_server_error()
                || answer.err().code().is_some_and(|code| {
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

/// Why a service did not take an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The service may take it a moment later.
    ForNow,
    /// The service refuses the caller, as for a missing permission or queue. Another attempt of
    /// this invocation fails too.
    Caller,
    /// The item itself is invalid: no caller can have it taken.
    Invalid,
}

/// The refusal that a failed call means for its items. `invalid` are the codes by which the service
/// says that a call with one item has an invalid item.
pub(crate) fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E>, invalid: &[&str]) -> Refusal {
    // SQS's older protocol has names with a prefix.
    let code = error
        .code()
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default();
    if is_transient(error) {
        Refusal::ForNow
    } else if invalid.contains(&code) {
        Refusal::Invalid
    } else {
        Refusal::Caller
    }
}

/// Whether an error's code says that the service is asked too much at the moment.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "ThrottlingException"
    )
}

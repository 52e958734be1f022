//! The job queue and the schedule: finishes what one request cannot.

use std::convert::Infallible;

use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::LambdaEvent;
use muster::{http::Clock, queue::Queue, store::Table};
use serde_json::Value;

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// Where a job puts its continuation.
    pub jobs: Queue,
    /// The time.
    pub clock: Clock,
}

/// Handles a batch of messages of the job queue, or the schedule's own event, which is a job itself.
///
/// # Errors
/// Never: messages that have to come again are named in the answer.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> Result<SqsBatchResponse, Infallible> {
    let _ = (event, deps);
    Ok(SqsBatchResponse::default())
}

//! The table's stream: announces what happened, and starts the jobs that follow from it.

use std::convert::Infallible;

use aws_lambda_events::{dynamodb::Event, streams::DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use muster::{bus::Bus, queue::Queue};

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// Where changes are announced.
    pub bus: Bus,
    /// Where jobs are started.
    pub jobs: Queue,
}

/// Handles one batch of the stream's records.
///
/// # Errors
/// Never: the first record that has to come again is named in the answer.
pub async fn handle(event: LambdaEvent<Event>, deps: &Deps) -> Result<DynamoDbEventResponse, Infallible> {
    let _ = (event, deps);
    Ok(DynamoDbEventResponse::default())
}

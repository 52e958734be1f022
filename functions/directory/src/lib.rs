//! The user queue: keeps user profiles.

use std::convert::Infallible;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::LambdaEvent;
use muster::{http::Clock, queue::Queue, store::Table};

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// Where messages go that can never succeed.
    pub dead_letters: Queue,
    /// The time.
    pub clock: Clock,
}

/// Handles one batch of messages.
///
/// # Errors
/// Never: messages that have to come again are named in the answer.
pub async fn handle(event: LambdaEvent<SqsEvent>, deps: &Deps) -> Result<SqsBatchResponse, Infallible> {
    let _ = (event, deps);
    Ok(SqsBatchResponse::default())
}

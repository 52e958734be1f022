//! The table's stream: announces what happened, and starts the jobs that follow from it.

mod batch;
mod jobs;

use std::time::Duration;

use aws_lambda_events::{
    dynamodb::{Event, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use lambda_runtime::{Error, LambdaEvent};
use muster::{bus::Bus, domain::OrganizationId, lambda, queue::Queue, store::organization_of, telemetry};
use tokio::time::Instant;

use batch::Batch;

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// Where changes are announced.
    pub bus: Bus,
    /// Where jobs are started.
    pub jobs: Queue,
}

/// How long before the function is stopped it gives up, so that it can still say what has to come again.
const MARGIN: Duration = Duration::from_millis(500);

/// Handles one batch of the stream's records. No call at all where there is nothing to say; else the bus and the queue
/// beside each other, each in as few calls as it allows.
///
/// What fails holds nothing else back, but whatever stands after it in the stream comes again with it, and is announced
/// again under the same `id`. Of a record that cannot be read, the stream's retries, bisecting and failure destination take
/// care: what stands before it is done, and what stands after it waits for it.
///
/// # Errors
/// The first of several records has to come again: only an error has the stream cut the batch in two, until the record is
/// alone; named in an answer, it would bring all the others along each time, and take them to the failure destination with it.
/// Any other first record that has to come again is named in the answer.
pub async fn handle(event: LambdaEvent<Event>, deps: &Deps) -> Result<DynamoDbEventResponse, Error> {
    let LambdaEvent { payload: Event { records, .. }, context } = event;
    let deadline = Instant::now() + lambda::time_left(context.deadline).saturating_sub(MARGIN);
    let origin = |record: &EventRecord| (record.change.sequence_number.clone(), organization_of(&record.change.keys));
    let origins: Vec<_> = records.iter().map(origin).collect();

    let batch = Batch::of(records);
    let messages = batch.messages();
    let (published, sent) =
        tokio::join!(deps.bus.publish(&batch.announcements, deadline), deps.jobs.send(&messages, deadline));

    let (unpublished, unsent) = (published.err(), sent.err());
    let first_unpublished = unpublished.iter().flat_map(|failed| &failed.announcements).map(|&n| batch.announced_by[n]);
    let first_unsent = unsent.iter().flat_map(|failed| &failed.messages).map(|&n| batch.wanted_by[n]);
    let unreadable = batch.unreadable.as_ref();
    let again = first_unpublished.chain(first_unsent).chain(unreadable.map(|(position, _)| *position)).min();

    let mut response = DynamoDbEventResponse::default();
    if let Some(position) = again {
        let (sequence_number, organization) = origins[position].clone();
        let causes = [
            unreadable.map(|(_, error)| error.to_string()),
            unpublished.as_ref().map(ToString::to_string),
            unsent.as_ref().map(ToString::to_string),
        ];
        tracing::error!(
            sequenceNumber = sequence_number,
            organization = organization.as_ref().map(OrganizationId::as_str),
            records = origins.len(),
            position,
            error = causes.into_iter().flatten().collect::<Vec<_>>().join("; "),
            "from this record on the stream has to come again"
        );
        if position == 0 && origins.len() > 1 {
            return Err("the first of several records has to come again".into());
        }
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = sequence_number;
        telemetry::record(|measured| measured.handed_back += origins.len() - position);
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}

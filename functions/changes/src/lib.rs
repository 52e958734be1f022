//! The table's stream: announces what happened, and starts the jobs that follow from it.

mod batch;
pub mod failed;
mod jobs;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures_util::{StreamExt, stream};
use lambda_runtime::{Error, LambdaEvent};
use muster_domain::{OrganizationId, Timestamp};
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket},
    deadline,
    jobs::JobQueues,
    store::organization_of,
    telemetry,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use batch::Batch;
use failed::FailedRecord;

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// Where changes are announced.
    pub bus: Bus,
    /// Where jobs are started.
    pub jobs: JobQueues,
    /// The bucket for records that can never succeed.
    pub failed_records: Bucket,
}

/// A batch of the stream's records. Each is parsed by itself, so that an unreadable one does not
/// fail the others.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// The records, in the order of the stream.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// How long before the function is stopped it gives up, so that it can still name the records to
/// retry.
const MARGIN: Duration = Duration::from_millis(500);
/// How long before that it stops to publish, so that it can still put records into the bucket; at
/// most half of the time.
const FOR_THE_BUCKET: Duration = Duration::from_secs(3);
/// How many objects are put into the bucket at once.
const PUTS_AT_ONCE: usize = 10;

/// The records of a batch that were not handled, by position, each with the reason.
#[derive(Debug, Default)]
pub struct Unhandled {
    /// Those that never succeed: unreadable, or refused for good by the bus or the queue.
    pub failed: BTreeMap<usize, String>,
    /// Those that may succeed later.
    pub later: BTreeMap<usize, String>,
}

/// Handles one batch of the stream's records. Makes no call for records without consequences.
/// Otherwise it calls the bus and the job queues concurrently, each as few times as it allows.
///
/// A record that can never succeed goes whole into the bucket of failed records, and is then
/// handled. The records behind it do not wait for it. The stream retries the first record that may
/// succeed later, and all records behind it; their announcements have the same `id` again.
///
/// AWS: "Configuring partial batch response with DynamoDB and Lambda",
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>.
///
/// # Errors
/// The first record has to be retried. The whole batch is retried then, so the invocation counts as
/// failed.
pub async fn handle(
    event: LambdaEvent<Event>,
    deps: &Deps,
) -> Result<DynamoDbEventResponse, Error> {
    let LambdaEvent {
        payload: Event { records },
        context,
    } = event;
    let left = deadline::time_left(context.deadline).saturating_sub(MARGIN);
    let deadline = Instant::now() + left;

    let Unhandled { failed, mut later } = announce(
        &records,
        &deps.bus,
        &deps.jobs,
        deadline - FOR_THE_BUCKET.min(left / 2),
    )
    .await;
    later.extend(set_aside(&records, failed, &deps.failed_records, deadline).await);

    let mut response = DynamoDbEventResponse::default();
    let Some((&position, _)) = later.first_key_value() else {
        return Ok(response);
    };
    let Origin {
        sequence_number,
        organization,
    } = Origin::of(&records[position]);
    let mut causes: Vec<_> = later.into_values().collect();
    causes.sort();
    causes.dedup();
    tracing::error!(
        sequenceNumber = sequence_number,
        organization = organization.as_ref().map(OrganizationId::as_str),
        records = records.len(),
        position,
        error = causes.join("; "),
        "stream batch failed; retrying from this record"
    );
    if position == 0 {
        return Err("the first record has to be retried".into());
    }
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = sequence_number;
    telemetry::record(|measured| measured.handed_back += records.len() - position);
    response.batch_item_failures.push(failure);
    Ok(response)
}

/// Announces records and starts their jobs, until the deadline. Gives the records that were not
/// handled.
pub async fn announce(
    records: &[Box<RawValue>],
    bus: &Bus,
    jobs: &JobQueues,
    deadline: Instant,
) -> Unhandled {
    let batch = Batch::of(records);
    let messages = batch.messages();
    let (published, sent) = tokio::join!(
        bus.publish(&batch.announcements, deadline),
        jobs.send(&messages, deadline)
    );

    let mut unhandled = Unhandled {
        failed: batch.unreadable,
        later: BTreeMap::new(),
    };
    if let Err(error) = published {
        for &at in &error.announcements {
            add(
                &mut unhandled.later,
                batch.announced_by[at],
                error.to_string(),
            );
        }
        for (&at, why) in &error.invalid {
            add(
                &mut unhandled.failed,
                batch.announced_by[at],
                format!("the bus: {why}"),
            );
        }
    }
    if let Err(error) = sent {
        for (&at, why) in &error.invalid {
            add(
                &mut unhandled.failed,
                batch.wanted_by[at],
                format!("the queue: {why}"),
            );
        }
        for &at in error
            .messages
            .iter()
            .filter(|at| !error.invalid.contains_key(at))
        {
            add(&mut unhandled.later, batch.wanted_by[at], error.to_string());
        }
    }
    // A record of which one part never succeeds and another may later: the bucket has it whole.
    unhandled
        .later
        .retain(|position, _| !unhandled.failed.contains_key(position));
    unhandled
}

/// Adds a reason to those of a record.
fn add(reasons: &mut BTreeMap<usize, String>, position: usize, reason: String) {
    match reasons.entry(position) {
        Entry::Vacant(entry) => {
            entry.insert(reason);
        }
        Entry::Occupied(mut entry) if !entry.get().contains(&reason) => {
            entry.get_mut().push_str("; ");
            entry.get_mut().push_str(&reason);
        }
        Entry::Occupied(_) => {}
    }
}

/// Puts records into the bucket that can never succeed. Gives those that could not be put, by
/// position, each with the reason.
async fn set_aside(
    records: &[Box<RawValue>],
    failed: BTreeMap<usize, String>,
    bucket: &Bucket,
    deadline: Instant,
) -> BTreeMap<usize, String> {
    let puts = failed.into_iter().map(|(position, reason)| async move {
        let record = &records[position];
        let Origin {
            sequence_number,
            organization,
        } = Origin::of(record);
        let object = FailedRecord::new(
            record,
            sequence_number.as_deref(),
            &reason,
            Timestamp::now(),
        );
        let put = bucket
            .put(&object.key, object.body.into_bytes(), deadline)
            .await;
        if let Err(error) = put {
            return Some((
                position,
                format!("a failed record ({reason}) could not be put into the bucket: {error}"),
            ));
        }
        telemetry::record(|measured| measured.failed_records += 1);
        tracing::error!(
            sequenceNumber = sequence_number,
            organization = organization.as_ref().map(OrganizationId::as_str),
            object = object.key,
            error = reason,
            "record set aside"
        );
        None
    });
    let puts: Vec<_> = puts.collect();
    stream::iter(puts)
        .buffer_unordered(PUTS_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// The place of a record in the stream, and the organization of its item, as far as the record can
/// be read.
#[derive(Debug, Default)]
struct Origin {
    sequence_number: Option<String>,
    organization: Option<OrganizationId>,
}

impl Origin {
    fn of(record: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Record {
            dynamodb: Change,
        }
        #[derive(Deserialize)]
        struct Change {
            #[serde(rename = "SequenceNumber")]
            sequence_number: Option<String>,
            #[serde(rename = "Keys", default)]
            keys: serde_json::Value,
        }
        let Ok(Record {
            dynamodb: Change {
                sequence_number,
                keys,
            },
        }) = serde_json::from_str(record.get())
        else {
            return Self::default();
        };
        let pk = keys.pointer("/pk/S").and_then(serde_json::Value::as_str);
        Self {
            sequence_number,
            organization: pk.and_then(organization_of),
        }
    }
}

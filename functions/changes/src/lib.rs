//! The consumer of the table's stream: publishes announcements, and starts follow-up jobs.

pub mod failed;
mod follow_up_jobs;
mod follow_ups;

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

use failed::FailedRecord;
use follow_ups::FollowUps;
pub use follow_ups::change_of;

/// Dependencies of the function, shared by all invocations of an execution environment.
#[derive(Clone)]
pub struct Deps {
    /// The bus for announcements.
    pub bus: Bus,
    /// The job queues.
    pub jobs: JobQueues,
    /// The bucket for records that fail permanently.
    pub failed_records: Bucket,
}

/// A batch of the stream's records. Each is parsed by itself, so that an unreadable one does not
/// fail the others.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// The records, in the order of the stream.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// The time between the last call and the end of the invocation, for returning the batch response.
const MARGIN: Duration = Duration::from_millis(500);
/// The time before that for writing records to the bucket. At most half of the remaining time.
const FOR_THE_BUCKET: Duration = Duration::from_secs(3);
/// The most objects that are written concurrently.
const PUTS_AT_ONCE: usize = 10;

/// The records of a batch that failed, by position, each with the reason.
#[derive(Debug, Default)]
pub struct Unhandled {
    /// Permanent failures: unreadable records, and those that the bus or the queue never accepts.
    pub failed: BTreeMap<usize, String>,
    /// Transient failures.
    pub later: BTreeMap<usize, String>,
}

/// Handles one batch of stream records. Records without announcements and jobs cost no call. The
/// others cost as few calls as possible, to the bus and the job queues concurrently.
///
/// A record that fails permanently is written to the bucket of failed records and does not block
/// the records after it. Lambda retries from the first record with a transient failure. The
/// announcements of retried records have the same `id` again.
///
/// AWS: "Configuring partial batch response with DynamoDB and Lambda",
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>.
///
/// # Errors
/// The first record has a transient failure. Lambda retries the whole batch, so the invocation
/// counts as failed.
pub async fn handle(
    event: LambdaEvent<StreamEvent>,
    deps: &Deps,
) -> Result<DynamoDbEventResponse, Error> {
    let LambdaEvent {
        payload: StreamEvent { records },
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
    later.extend(store_failed(&records, failed, &deps.failed_records, deadline).await);

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

/// Publishes the announcements of records and starts their jobs, until the deadline. Returns the
/// records that failed.
pub async fn announce(
    records: &[Box<RawValue>],
    bus: &Bus,
    jobs: &JobQueues,
    deadline: Instant,
) -> Unhandled {
    let batch = FollowUps::of(records);
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
    // A record with both kinds of failures counts as permanent: the bucket has the whole record.
    unhandled
        .later
        .retain(|position, _| !unhandled.failed.contains_key(position));
    unhandled
}

/// Appends a reason to the reasons of a record.
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

/// Writes permanently failed records to the bucket. Returns those that could not be written, by
/// position, each with the reason.
async fn store_failed(
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
                format!("a failed record ({reason}) could not be written to the bucket: {error}"),
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

/// The sequence number of a record and the organization of its item, if they can be read.
#[derive(Debug, Default)]
struct Origin {
    sequence_number: Option<String>,
    organization: Option<OrganizationId>,
}

impl Origin {
    fn of(record: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Record {
            dynamodb: RecordPosition,
        }
        #[derive(Deserialize)]
        struct RecordPosition {
            #[serde(rename = "SequenceNumber")]
            sequence_number: Option<String>,
            #[serde(rename = "Keys", default)]
            keys: serde_json::Value,
        }
        let Ok(Record {
            dynamodb:
                RecordPosition {
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

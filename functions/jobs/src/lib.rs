//! The consumer of the job queues and of the schedule: finishes work that does not fit one request.
//!
//! A job does a bounded part of its work and sends the rest as a follow-up message. Every job is
//! idempotent, so it can run twice, late, or concurrently with the same job.

mod copy_profiles;
mod drain;
mod error;
mod process;
mod restart;
mod route_unrouted;
mod runner;
mod sweep;

use std::collections::BTreeMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use lambda_runtime::LambdaEvent;
use muster_domain::{Clock, OrganizationId};
use muster_service::{aws::sqs_batch::Batch, error_chain, jobs::JobQueues, store::Table};
use serde_json::{Value, json};

use error::Error;
use runner::JobRunner;

/// Dependencies of the function, shared by all invocations of an execution environment.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// The queues for follow-up messages.
    pub jobs: JobQueues,
    /// The clock.
    pub clock: Clock,
    /// The amount of work of one job.
    pub pace: Pace,
}

/// The amount of work that a job does before it sends the rest as a follow-up message.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The number of index entries in a page.
    pub page: usize,
    /// The number of index entries in a page of a count. A count reads at most 20 pages.
    pub count_page: usize,
    /// The part of the invocation's time after which a job begins no further page, from 0 to 1.
    pub share: f64,
}

impl Default for Pace {
    /// A page of 90 tickets fits one transaction with the load of their team and a few members. A
    /// page that begins after three fifths of the time has the rest to finish. 5,000 index entries
    /// have about 1 MB, the most that a query reads.
    fn default() -> Self {
        Self {
            page: 90,
            count_page: 5_000,
            share: 0.6,
        }
    }
}

/// The most messages of a chain of jobs.
///
/// Lambda's recursive loop detection stops a chain after about 16 invocations, so the template
/// switches it off for this function. A sweep of 100,000 tickets takes at most 1,112 messages, one
/// for each page of 90. AWS: "Use Lambda recursive loop detection to prevent infinite loops",
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>.
pub const MAX_HOPS: u32 = 2_000;

/// Handles a batch of messages of a job queue, or the event of the schedule, which is a job.
///
/// # Errors
/// The job of the schedule failed: Lambda counts an error and retries it twice. Failed messages are
/// no error; the batch response names them.
pub async fn handle(
    event: LambdaEvent<Value>,
    deps: &Deps,
) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let LambdaEvent { payload, context } = event;
    let is_scheduled = payload.get("Records").is_none();
    let payload = if is_scheduled {
        as_message(&payload)
    } else {
        payload
    };
    let event = serde_json::from_value::<SqsEvent>(payload).unwrap_or_else(|error| {
        // Without messages there is no message to name as failed.
        tracing::error!(%error, "not an event of SQS");
        SqsEvent::default()
    });
    let mut batch = Batch::new(LambdaEvent::new(event, context));
    let runner = JobRunner::new(deps, batch.deadline());
    // Two equal jobs of a batch would conflict with each other, so they run once.
    let mut jobs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, body) in batch.bodies().enumerate() {
        jobs.entry(body.to_owned()).or_default().push(position);
    }
    let outcomes = join_all(jobs.keys().map(|body| runner.run(body))).await;
    for ((body, positions), outcome) in jobs.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            if is_scheduled {
                // The schedule's event has no queue that redelivers it. Lambda ignores a batch
                // response to it, so the failure has to be an error of the invocation.
                tracing::error!(error = error_chain(&error), "the scheduled job failed");
                return Err("the scheduled job failed".into());
            }
            batch.fail(positions, organization_of(&body), &error);
        }
    }
    Ok(batch.into_response())
}

/// Wraps the schedule's event in an event of SQS.
fn as_message(job: &Value) -> Value {
    json!({ "Records": [{ "messageId": "schedule", "body": job.to_string() }] })
}

/// Returns the organization of a job, if it has one.
fn organization_of(job: &str) -> Option<OrganizationId> {
    let job: Value = serde_json::from_str(job).ok()?;
    OrganizationId::parse(job.get("organization_id")?.as_str()?).ok()
}

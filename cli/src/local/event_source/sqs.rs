//! The event source mapping of a queue: gathers batches, invokes the function with them, and
//! deletes what it handled.

use std::collections::BTreeSet;

use anyhow::ensure;
use muster_domain::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::function::{Function, batch_item_failures};
use crate::{
    local::sqs::{
        ACCOUNT, Attribute, Consumers, Message, Queues, Received, arn, md5_of_attributes,
        md5_of_body, name,
    },
    sam::QueueMapping,
};

/// The most that Lambda takes in one event, in bytes of the messages.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Consumes a queue until it is told to stop; then waits for what is under way. Aborted, it kills
/// that too.
pub(in crate::local) async fn run(
    queues: Queues,
    mapping: QueueMapping,
    function: Function,
    mut stop: watch::Receiver<bool>,
) {
    let queue = name(&mapping.queue);
    let held = queues.held(&queue);
    let mut consumers = held.consumers.subscribe();
    let mut killed = consumers.borrow().kills;
    let mut invocations = JoinSet::new();
    let mut gathering = None;
    loop {
        let now = Timestamp::now();
        queues.advance(&queue, now);
        let Consumers { paused, kills } = *consumers.borrow_and_update();
        if kills != killed {
            killed = kills;
            invocations.abort_all();
        }
        let free = invocations.len() < mapping.concurrency && !paused;
        let next = if free {
            next(&queues, &queue, &mapping, &mut gathering, now)
        } else {
            Next::Wait(None)
        };
        let until = match next {
            Next::Batch(batch) => {
                let (queues, queue, function) = (queues.clone(), queue.clone(), function.clone());
                let reports_failures = mapping.reports_failures;
                invocations.spawn(async move {
                    handle(&queues, &queue, &function, batch, reports_failures).await;
                });
                continue;
            }
            Next::Wait(until) => until.map(|until| Instant::now() + until.since(now)),
        };
        tokio::select! {
            // Gone is whoever could tell: that is the end too.
            _ = stop.wait_for(|stop| *stop) => break,
            _ = consumers.changed() => {}
            () = held.changed.notified() => {}
            Some(_) = invocations.join_next() => {}
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
        }
    }
    while invocations.join_next().await.is_some() {}
}

enum Next {
    Batch(Vec<Received>),
    /// Nothing to do before that time by itself.
    Wait(Option<Timestamp>),
}

/// A batch if one is full, or has been gathered for as long as it may.
fn next(
    queues: &Queues,
    name: &str,
    mapping: &QueueMapping,
    gathering: &mut Option<Timestamp>,
    now: Timestamp,
) -> Next {
    let mut queue = queues.held(name).queue();
    if queue.visible() == 0 {
        *gathering = None;
        return Next::Wait(queue.due());
    }
    let ends = gathering.get_or_insert(now).plus(mapping.window);
    if queue.visible() < mapping.batch_size && now < ends {
        return Next::Wait(queue.due().into_iter().chain([ends]).min());
    }
    *gathering = None;
    Next::Batch(queue.receive(mapping.batch_size, MAX_EVENT_BYTES, now))
}

/// Invokes the function with a batch, and deletes what it handled. What it did not comes again by
/// itself.
async fn handle(
    queues: &Queues,
    name: &str,
    function: &Function,
    batch: Vec<Received>,
    reports_failures: bool,
) {
    let answer = function.invoke(&event(name, &batch)).await;
    let failed = answer.and_then(|answer| {
        if reports_failures {
            failed(&answer, &batch)
        } else {
            Ok(BTreeSet::new())
        }
    });
    match failed {
        Ok(failed) => {
            let (mut queue, now) = (queues.held(name).queue(), Timestamp::now());
            for (at, Received { receipt, .. }) in batch.iter().enumerate() {
                if !failed.contains(&at) {
                    queue.delete(*receipt, now);
                }
            }
        }
        Err(error) => {
            tracing::error!(
                queue = name,
                messages = batch.len(),
                "a batch failed and comes again: {error:#}"
            );
        }
    }
    // What failed is to be woken for when it is due.
    queues.held(name).changed.notify_one();
}

/// The positions of the messages that failed.
fn failed(answer: &Value, batch: &[Received]) -> anyhow::Result<BTreeSet<usize>> {
    let failures: BTreeSet<&str> = batch_item_failures(answer)?.into_iter().collect();
    let failed: BTreeSet<usize> = batch
        .iter()
        .enumerate()
        .filter(|(_, received)| failures.contains(received.message.id.as_str()))
        .map(|(at, _)| at)
        .collect();
    ensure!(
        failed.len() == failures.len(),
        "the answer names a message that is not in the batch"
    );
    Ok(failed)
}

/// The event that Lambda makes of a batch.
fn event(queue: &str, batch: &[Received]) -> Value {
    let records = batch.iter().map(|Received { receipt: _, message }| {
        let Message { id, body, attributes, sent, first_received, receives, group } = message;
        let attribute = |Attribute { data_type, value }: &Attribute| {
            let kind = if data_type.starts_with("Binary") { "binaryValue" } else { "stringValue" };
            json!({ kind: value, "stringListValues": [], "binaryListValues": [], "dataType": data_type })
        };
        let message_attributes: serde_json::Map<String, Value> =
            attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
        let mut record = json!({
            "messageId": id,
            "receiptHandle": format!("{id}#{receives}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": receives.to_string(),
                "SentTimestamp": sent.to_string(),
                "SenderId": ACCOUNT,
                "ApproximateFirstReceiveTimestamp": first_received.unwrap_or(*sent).to_string(),
            },
            "messageAttributes": message_attributes,
            "md5OfBody": md5_of_body(body),
            "eventSource": "aws:sqs",
            "eventSourceARN": arn(queue),
            "awsRegion": "us-east-1",
        });
        if let Some(group) = group {
            record["attributes"]["MessageGroupId"] = json!(group);
        }
        if !attributes.is_empty() {
            record["md5OfMessageAttributes"] = json!(md5_of_attributes(attributes));
        }
        record
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

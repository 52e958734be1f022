//! The event source mapping of a queue. It gathers batches, invokes the function, and deletes the
//! messages that succeeded.

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
        ACCOUNT, ConsumerControl, MessageAttribute, MessageDelivery, Queues, StoredMessage, arn,
        md5_of_attributes, md5_of_body, queue_name,
    },
    sam::QueueMapping,
};

/// The maximum size of the messages of one event, by Lambda's limit for payloads.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Polls a queue until it is stopped, then waits for running invocations. Aborting the task aborts
/// them.
pub(in crate::local) async fn run(
    queues: Queues,
    mapping: QueueMapping,
    function: Function,
    mut stop: watch::Receiver<bool>,
) {
    let queue = queue_name(&mapping.queue);
    let state = queues.state(&queue);
    let mut consumers = state.consumers.subscribe();
    let mut killed = consumers.borrow().kills;
    let mut invocations = JoinSet::new();
    let mut gathering = None;
    loop {
        let now = Timestamp::now();
        queues.advance(&queue, now);
        let ConsumerControl { paused, kills } = *consumers.borrow_and_update();
        if kills != killed {
            killed = kills;
            invocations.abort_all();
        }
        let free = invocations.len() < mapping.concurrency && !paused;
        let next = if free {
            next_step(&queues, &queue, &mapping, &mut gathering, now)
        } else {
            NextStep::Wait(None)
        };
        let until = match next {
            NextStep::Batch(batch) => {
                let (queues, queue, function) = (queues.clone(), queue.clone(), function.clone());
                let reports_failures = mapping.reports_failures;
                invocations.spawn(async move {
                    handle(&queues, &queue, &function, batch, reports_failures).await;
                });
                continue;
            }
            NextStep::Wait(until) => until.map(|until| Instant::now() + until.since(now)),
        };
        tokio::select! {
            // `wait_for` fails if the sender is dropped, which stops the poller too.
            _ = stop.wait_for(|stop| *stop) => break,
            _ = consumers.changed() => {}
            () = state.changed.notified() => {}
            Some(_) = invocations.join_next() => {}
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
        }
    }
    while invocations.join_next().await.is_some() {}
}

enum NextStep {
    Batch(Vec<MessageDelivery>),
    /// Wait for a change of the queue, or until this time.
    Wait(Option<Timestamp>),
}

/// Returns a batch if it is full or its batching window has ended.
fn next_step(
    queues: &Queues,
    name: &str,
    mapping: &QueueMapping,
    gathering: &mut Option<Timestamp>,
    now: Timestamp,
) -> NextStep {
    let mut queue = queues.state(name).queue();
    if queue.visible() == 0 {
        *gathering = None;
        return NextStep::Wait(queue.next_due());
    }
    let ends = gathering.get_or_insert(now).plus(mapping.window);
    if queue.visible() < mapping.batch_size && now < ends {
        return NextStep::Wait(queue.next_due().into_iter().chain([ends]).min());
    }
    *gathering = None;
    NextStep::Batch(queue.receive(mapping.batch_size, MAX_EVENT_BYTES, now))
}

/// Invokes the function with a batch, and deletes the messages that succeeded. The others become
/// visible again after the visibility timeout.
async fn handle(
    queues: &Queues,
    name: &str,
    function: &Function,
    batch: Vec<MessageDelivery>,
    reports_failures: bool,
) {
    let messages = batch.iter().map(|delivery| &delivery.message);
    let response = function.invoke(&event(name, messages)).await;
    let failed = response.and_then(|response| {
        if reports_failures {
            failed_positions(&response, &batch)
        } else {
            Ok(BTreeSet::new())
        }
    });
    match failed {
        Ok(failed) => {
            let (mut queue, now) = (queues.state(name).queue(), Timestamp::now());
            for (at, MessageDelivery { receipt, .. }) in batch.iter().enumerate() {
                if !failed.contains(&at) {
                    queue.delete(*receipt, now);
                }
            }
        }
        Err(error) => {
            tracing::error!(
                queue = name,
                messages = batch.len(),
                "batch failed; retrying it after the visibility timeout: {error:#}"
            );
        }
    }
    // The poller has to wake when the failed messages become visible.
    queues.state(name).changed.notify_one();
}

/// Returns the positions of the failed messages.
fn failed_positions(
    response: &Value,
    batch: &[MessageDelivery],
) -> anyhow::Result<BTreeSet<usize>> {
    let failures: BTreeSet<&str> = batch_item_failures(response)?.into_iter().collect();
    let failed: BTreeSet<usize> = batch
        .iter()
        .enumerate()
        .filter(|(_, received)| failures.contains(received.message.id.as_str()))
        .map(|(at, _)| at)
        .collect();
    ensure!(
        failed.len() == failures.len(),
        "the response names a message that is not in the batch"
    );
    Ok(failed)
}

/// Returns the event for a batch, as Lambda builds it.
pub(in crate::local) fn event<'m>(
    queue: &str,
    messages: impl Iterator<Item = &'m StoredMessage>,
) -> Value {
    let records = messages.map(|message| {
        let StoredMessage { id, body, attributes, sent, first_received, receives, group } = message;
        let attribute = |MessageAttribute { data_type, value }: &MessageAttribute| {
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

//! The operations of SQS for senders and for redriving dead letters, in the JSON protocol.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use muster_domain::Timestamp;
use serde_json::{Value, json};

use super::{
    ACCOUNT, Queues, arn,
    message::{
        InvalidReceipt, MAX_BYTES, MessageAttribute, MessageDelivery, Receipt, StoredMessage,
        check, md5_of_attributes, md5_of_body, size,
    },
    request::{
        GetQueueAttributes, ListDeadLetterSourceQueues, MessageEntry, ReceiptBatch, ReceiptEntry,
        ReceiveMessage, SendMessage, SendMessageBatch, SqsError, parse,
    },
};

/// The maximum number of messages in a batch.
const MAX_BATCH: usize = 10;
/// The maximum number of attributes of a message.
const MAX_ATTRIBUTES: usize = 10;
/// The maximum delay in seconds.
const MAX_DELAY: u64 = 900;
/// The maximum length of a message group.
const MAX_GROUP: usize = 128;
/// The maximum visibility timeout in seconds.
const MAX_VISIBILITY_TIMEOUT: u64 = 12 * 3600;

/// Handles a request for an operation of SQS.
pub fn handle(queues: &Queues, operation: &str, body: &[u8]) -> Result<Value, SqsError> {
    match operation {
        "SendMessage" => send(queues, parse(body)?),
        "SendMessageBatch" => send_batch(queues, parse(body)?),
        "ReceiveMessage" => receive(queues, &parse(body)?),
        "DeleteMessageBatch" => delete_batch(queues, &parse(body)?),
        "ChangeMessageVisibilityBatch" => change_visibility_batch(queues, &parse(body)?),
        "GetQueueAttributes" => attributes(queues, &parse(body)?),
        "ListDeadLetterSourceQueues" => dead_letter_sources(queues, &parse(body)?),
        unknown => Err(SqsError::new(
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            format!("the local queues do not support {unknown}"),
        )),
    }
}

fn send(queues: &Queues, request: SendMessage) -> Result<Value, SqsError> {
    let queue = existing_queue(queues, &request.queue_url)?;
    let (message, delay) = message(request.entry)?;
    let sent = send_result(&message);
    queues.send(queue, [(message, delay)]);
    Ok(sent)
}

fn send_batch(queues: &Queues, request: SendMessageBatch) -> Result<Value, SqsError> {
    let queue = existing_queue(queues, &request.queue_url)?;
    let entries = request.entries;
    check_batch(entries.iter().map(|entry| &*entry.id))?;
    let messages: Vec<_> = entries
        .into_iter()
        .map(|entry| (entry.id, entry.entry.attributes_and_body()))
        .collect();
    let bytes: usize = messages
        .iter()
        .map(|(_, (attributes, entry))| size(&entry.message_body, attributes))
        .sum();
    if bytes > MAX_BYTES {
        return Err(SqsError::new(
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes."
            ),
        ));
    }
    let (mut successful, mut failed, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    for (id, (attributes, entry)) in messages {
        match validated(entry, attributes) {
            Ok((message, delay)) => {
                let mut sent = send_result(&message);
                sent["Id"] = json!(id);
                successful.push(sent);
                accepted.push((message, delay));
            }
            Err(refused) => failed.push(refused.of_entry(&id)),
        }
    }
    queues.send(queue, accepted);
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

/// Checks the number and the ids of a batch's entries.
fn check_batch<'e>(ids: impl ExactSizeIterator<Item = &'e str>) -> Result<(), SqsError> {
    let count = ids.len();
    if count == 0 {
        return Err(SqsError::new(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if count > MAX_BATCH {
        return Err(SqsError::new(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {MAX_BATCH}. You have sent {count}."
            ),
        ));
    }
    if ids.collect::<BTreeSet<_>>().len() < count {
        return Err(SqsError::new(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Two entries have the same id.",
        ));
    }
    Ok(())
}

/// Receives the visible messages without long polling. Unlike SQS, one process has all messages, so
/// an empty receive is exact.
fn receive(queues: &Queues, request: &ReceiveMessage) -> Result<Value, SqsError> {
    let name = existing_queue(queues, &request.queue_url)?;
    if !(1..=MAX_BATCH).contains(&request.max_number_of_messages) {
        return Err(SqsError::parameter(format!(
            "MaxNumberOfMessages must be from 1 to {MAX_BATCH}."
        )));
    }
    let unseen = request
        .visibility_timeout
        .map(visibility_timeout)
        .transpose()?;
    let now = Timestamp::now();
    queues.advance(name, now);
    let state = queues.state(name);
    let received = {
        let (mut queue, most) = (state.queue(), request.max_number_of_messages);
        match unseen {
            Some(unseen) => queue.receive_with_timeout(unseen, most, usize::MAX, now),
            None => queue.receive(most, usize::MAX, now),
        }
    };
    // The event source's poller has to wake when the messages become visible.
    state.changed.notify_one();
    let messages: Vec<_> = received
        .iter()
        .map(|received| describe_message(received, request))
        .collect();
    Ok(if messages.is_empty() {
        json!({})
    } else {
        json!({ "Messages": messages })
    })
}

/// Returns a message as `ReceiveMessage` does, with the requested attributes.
fn describe_message(
    MessageDelivery { receipt, message }: &MessageDelivery,
    request: &ReceiveMessage,
) -> Value {
    let mut described = json!({
        "MessageId": message.id,
        "ReceiptHandle": receipt.to_string(),
        "Body": message.body,
        "MD5OfBody": md5_of_body(&message.body),
    });
    let system = [
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SentTimestamp", message.sent.to_string()),
        (
            "ApproximateFirstReceiveTimestamp",
            message.first_received.unwrap_or(message.sent).to_string(),
        ),
        ("SenderId", ACCOUNT.to_owned()),
    ];
    let group = message
        .group
        .iter()
        .map(|group| ("MessageGroupId", group.clone()));
    let system: BTreeMap<_, _> = system
        .into_iter()
        .chain(group)
        .filter(|(name, _)| is_named(&request.message_system_attribute_names, name))
        .collect();
    if !system.is_empty() {
        described["Attributes"] = json!(system);
    }
    let attributes: BTreeMap<String, MessageAttribute> = message
        .attributes
        .iter()
        .filter(|(name, _)| is_named(&request.message_attribute_names, name))
        .map(|(name, attribute)| (name.clone(), attribute.clone()))
        .collect();
    if !attributes.is_empty() {
        described["MD5OfMessageAttributes"] = json!(md5_of_attributes(&attributes));
        described["MessageAttributes"] = attributes
            .into_iter()
            .map(|(name, MessageAttribute { data_type, value })| {
                let kind = if data_type.starts_with("Binary") {
                    "BinaryValue"
                } else {
                    "StringValue"
                };
                (name, json!({ "DataType": data_type, kind: value }))
            })
            .collect();
    }
    described
}

/// Tells whether an attribute was requested.
fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|named| named == name || named == "All")
}

fn visibility_timeout(seconds: u64) -> Result<Duration, SqsError> {
    if seconds > MAX_VISIBILITY_TIMEOUT {
        return Err(SqsError::parameter(format!(
            "VisibilityTimeout must be from 0 to {MAX_VISIBILITY_TIMEOUT}."
        )));
    }
    Ok(Duration::from_secs(seconds))
}

fn delete_batch(queues: &Queues, request: &ReceiptBatch) -> Result<Value, SqsError> {
    let queue = existing_queue(queues, &request.queue_url)?;
    for_each_receipt(request, |entry| {
        // Deletion is idempotent: an unknown message is no error.
        queues
            .state(queue)
            .queue()
            .delete(receipt(entry)?, Timestamp::now());
        Ok(())
    })
}

fn change_visibility_batch(queues: &Queues, request: &ReceiptBatch) -> Result<Value, SqsError> {
    let name = existing_queue(queues, &request.queue_url)?;
    let state = queues.state(name);
    let now = Timestamp::now();
    let result = for_each_receipt(request, |entry| {
        let time = visibility_timeout(entry.visibility_timeout)?;
        if state.queue().change_visibility(time, receipt(entry)?, now) {
            Ok(())
        } else {
            let code = "AWS.SimpleQueueService.MessageNotInflight";
            Err(SqsError::new(
                "MessageNotInflight",
                code,
                "The message is not in flight.",
            ))
        }
    });
    queues.advance(name, now);
    state.changed.notify_one();
    result
}

/// Applies an operation to each receipt of a batch, and returns the batch's result.
fn for_each_receipt(
    request: &ReceiptBatch,
    mut operation: impl FnMut(&ReceiptEntry) -> Result<(), SqsError>,
) -> Result<Value, SqsError> {
    check_batch(request.entries.iter().map(|entry| &*entry.id))?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in &request.entries {
        match operation(entry) {
            Ok(()) => successful.push(json!({ "Id": entry.id })),
            Err(refused) => failed.push(refused.of_entry(&entry.id)),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn receipt(entry: &ReceiptEntry) -> Result<Receipt, SqsError> {
    entry.receipt_handle.parse().map_err(|InvalidReceipt| {
        SqsError::new(
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            "The input receipt handle is invalid.",
        )
    })
}

/// Returns the requested attributes of a queue: the numbers of messages, and the redrive policy.
fn attributes(queues: &Queues, request: &GetQueueAttributes) -> Result<Value, SqsError> {
    let name = existing_queue(queues, &request.queue_url)?;
    queues.advance(name, Timestamp::now());
    let state = queues.state(name);
    let queue = state.queue();
    let redrive = state.dead_letters.as_ref().zip(queue.max_receives()).map(|(dead_letters, max_receives)| {
        let policy = json!({ "deadLetterTargetArn": arn(dead_letters), "maxReceiveCount": max_receives });
        ("RedrivePolicy", policy.to_string())
    });
    let counts = [
        ("ApproximateNumberOfMessages", queue.visible()),
        ("ApproximateNumberOfMessagesNotVisible", queue.in_flight()),
        ("ApproximateNumberOfMessagesDelayed", queue.delayed()),
    ];
    let attributes = counts
        .into_iter()
        .map(|(name, count)| (name, count.to_string()))
        .chain(redrive);
    let attributes: BTreeMap<_, _> = attributes
        .filter(|(name, _)| is_named(&request.attribute_names, name))
        .collect();
    Ok(if attributes.is_empty() {
        json!({})
    } else {
        json!({ "Attributes": attributes })
    })
}

/// Returns the source queues of a dead-letter queue, as URLs with the request's prefix.
fn dead_letter_sources(
    queues: &Queues,
    request: &ListDeadLetterSourceQueues,
) -> Result<Value, SqsError> {
    let name = existing_queue(queues, &request.queue_url)?;
    let base = &request.queue_url[..request.queue_url.len() - name.len()];
    let sources: Vec<_> = queues
        .sources_of(name)
        .map(|source| format!("{base}{source}"))
        .collect();
    Ok(json!({ "queueUrls": sources }))
}

/// Returns the name of the queue at a URL.
fn existing_queue<'u>(queues: &Queues, url: &'u str) -> Result<&'u str, SqsError> {
    let name = url.rsplit('/').next().unwrap_or_default();
    queues.get(name).map(|_| name).ok_or_else(|| {
        SqsError::new(
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    })
}

fn message(entry: MessageEntry) -> Result<(StoredMessage, Duration), SqsError> {
    let (attributes, entry) = entry.attributes_and_body();
    validated(entry, attributes)
}

/// Validates a message, and returns it with its delay.
fn validated(
    entry: MessageEntry,
    attributes: BTreeMap<String, MessageAttribute>,
) -> Result<(StoredMessage, Duration), SqsError> {
    let delay = entry.delay_seconds.unwrap_or_default();
    if delay > MAX_DELAY {
        return Err(SqsError::parameter(format!(
            "DelaySeconds must be from 0 to {MAX_DELAY}."
        )));
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(SqsError::parameter(format!(
            "A message has at most {MAX_ATTRIBUTES} attributes."
        )));
    }
    for (name, MessageAttribute { data_type, value }) in &attributes {
        if value.is_empty() {
            return Err(SqsError::parameter(format!(
                "The attribute {name} must have a value."
            )));
        }
        let kind = data_type.split('.').next().unwrap_or_default();
        let known = matches!(kind, "String" | "Number")
            || kind == "Binary" && BASE64_STANDARD.decode(value).is_ok();
        if !known {
            return Err(SqsError::parameter(format!(
                "The attribute {name} has an unknown type."
            )));
        }
    }
    if entry
        .message_group_id
        .as_ref()
        .is_some_and(|group| !is_group(group))
    {
        return Err(SqsError::parameter(format!(
            "MessageGroupId must have 1 to {MAX_GROUP} letters, digits and punctuation characters."
        )));
    }
    check(&entry.message_body, &attributes)?;
    let message = StoredMessage::new(entry.message_body, attributes, Timestamp::now());
    Ok((
        StoredMessage {
            group: entry.message_group_id,
            ..message
        },
        Duration::from_secs(delay),
    ))
}

/// Tells whether a standard queue accepts the message group. AWS: "`SendMessage`",
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
fn is_group(group: &str) -> bool {
    (1..=MAX_GROUP).contains(&group.len()) && group.chars().all(|c| c.is_ascii_graphic())
}

/// Returns the result of `SendMessage` for a message.
fn send_result(message: &StoredMessage) -> Value {
    let mut sent =
        json!({ "MessageId": message.id, "MD5OfMessageBody": md5_of_body(&message.body) });
    if !message.attributes.is_empty() {
        sent["MD5OfMessageAttributes"] = json!(md5_of_attributes(&message.attributes));
    }
    sent
}

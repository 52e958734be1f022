//! The part of SQS's protocol that senders use: `SendMessage` and `SendMessageBatch`, in JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use muster::domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Queues,
    queue::{Attribute, Message, size},
};

/// The most bytes of a message, and of all messages of a batch.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most messages of a batch.
const MAX_BATCH: usize = 10;
/// The most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;
/// The longest delay in seconds.
const MAX_DELAY: u64 = 900;

/// What SQS refuses, by the codes of its two protocols and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The error's name in the JSON protocol.
    pub kind: &'static str,
    /// Its older name, which clients still match.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Refused {
    fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }

    fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValueException", "InvalidParameterValue", message)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    queue_url: String,
    entries: Vec<BatchEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchEntry {
    id: String,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    message_body: String,
    #[serde(default)]
    delay_seconds: Option<u64>,
    #[serde(default)]
    message_attributes: Option<BTreeMap<String, AttributeValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeValue {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

/// Answers a request for an operation of SQS.
pub fn answer(queues: &Queues, operation: &str, body: &[u8]) -> Result<Value, Refused> {
    match operation {
        "SendMessage" => send(queues, parse(body)?),
        "SendMessageBatch" => send_batch(queues, parse(body)?),
        unknown => Err(Refused::new(
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            format!("the local queues have no {unknown}"),
        )),
    }
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::new("SerializationException", "MalformedInput", error.to_string()))
}

fn send(queues: &Queues, request: SendMessage) -> Result<Value, Refused> {
    let queue = existing(queues, &request.queue_url)?;
    let (message, delay) = message(request.entry)?;
    let sent = describe(&message);
    queues.send(queue, [(message, delay)]);
    Ok(sent)
}

fn send_batch(queues: &Queues, request: SendMessageBatch) -> Result<Value, Refused> {
    let queue = existing(queues, &request.queue_url)?;
    let entries = request.entries;
    if entries.is_empty() {
        return Err(Refused::new(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ));
    }
    if entries.len() > MAX_BATCH {
        return Err(Refused::new(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {MAX_BATCH}. You have sent {}.", entries.len()),
        ));
    }
    if entries.iter().map(|entry| &entry.id).collect::<BTreeSet<_>>().len() < entries.len() {
        return Err(Refused::new(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Two entries have the same id.",
        ));
    }
    let messages: Vec<_> = entries.into_iter().map(|entry| (entry.id, entry.entry.attributes_and_body())).collect();
    let bytes: usize = messages.iter().map(|(_, (attributes, entry))| size(&entry.message_body, attributes)).sum();
    if bytes > MAX_BYTES {
        return Err(Refused::new(
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes."),
        ));
    }
    let (mut successful, mut failed, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    for (id, (attributes, entry)) in messages {
        match checked(entry, attributes) {
            Ok((message, delay)) => {
                let mut sent = describe(&message);
                sent["Id"] = json!(id);
                successful.push(sent);
                accepted.push((message, delay));
            }
            Err(Refused { kind: _, code, message }) => {
                failed.push(json!({ "Id": id, "SenderFault": true, "Code": code, "Message": message }));
            }
        }
    }
    queues.send(queue, accepted);
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

/// The name of the queue at a URL.
fn existing<'u>(queues: &Queues, url: &'u str) -> Result<&'u str, Refused> {
    let name = url.rsplit('/').next().unwrap_or_default();
    queues.get(name).map(|_| name).ok_or_else(|| {
        Refused::new(
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    })
}

impl Entry {
    fn attributes_and_body(mut self) -> (BTreeMap<String, Attribute>, Self) {
        let attributes = self.message_attributes.take().unwrap_or_default();
        let attribute = |AttributeValue { data_type, string_value, binary_value }| Attribute {
            data_type,
            value: string_value.or(binary_value).unwrap_or_default(),
        };
        (attributes.into_iter().map(|(name, value)| (name, attribute(value))).collect(), self)
    }
}

fn message(entry: Entry) -> Result<(Message, Duration), Refused> {
    let (attributes, entry) = entry.attributes_and_body();
    checked(entry, attributes)
}

/// A message that SQS would take, and its delay.
fn checked(entry: Entry, attributes: BTreeMap<String, Attribute>) -> Result<(Message, Duration), Refused> {
    let delay = entry.delay_seconds.unwrap_or_default();
    if delay > MAX_DELAY {
        return Err(Refused::parameter(format!("DelaySeconds must be from 0 to {MAX_DELAY}.")));
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Refused::parameter(format!("A message has at most {MAX_ATTRIBUTES} attributes.")));
    }
    for (name, Attribute { data_type, value }) in &attributes {
        if value.is_empty() {
            return Err(Refused::parameter(format!("The attribute {name} must have a value.")));
        }
        let kind = data_type.split('.').next().unwrap_or_default();
        let known = matches!(kind, "String" | "Number") || kind == "Binary" && BASE64_STANDARD.decode(value).is_ok();
        if !known {
            return Err(Refused::parameter(format!("The attribute {name} is of no known type.")));
        }
    }
    check(&entry.message_body, &attributes)?;
    Ok((Message::new(entry.message_body, attributes, Timestamp::now()), Duration::from_secs(delay)))
}

/// Whether SQS would take this body.
pub fn check(body: &str, attributes: &BTreeMap<String, Attribute>) -> Result<(), Refused> {
    if body.is_empty() {
        return Err(Refused::new(
            "MissingRequiredParameterException",
            "MissingParameter",
            "A message must have a body.",
        ));
    }
    if size(body, attributes) > MAX_BYTES {
        return Err(Refused::parameter(format!("A message must be shorter than {MAX_BYTES} bytes.")));
    }
    // The characters of XML 1.0.
    let taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(taken) {
        return Err(Refused::new(
            "InvalidMessageContents",
            "InvalidMessageContents",
            "The message has a character that SQS does not take.",
        ));
    }
    Ok(())
}

/// What a sender is told of a message.
fn describe(message: &Message) -> Value {
    let mut sent = json!({ "MessageId": message.id, "MD5OfMessageBody": md5_of_body(&message.body) });
    if !message.attributes.is_empty() {
        sent["MD5OfMessageAttributes"] = json!(md5_of_attributes(&message.attributes));
    }
    sent
}

/// The digest of a body.
pub fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The digest of attributes: of their names, types and values in the names' order, each behind its length, and one byte before
/// the value that says how it is carried.
pub fn md5_of_attributes(attributes: &BTreeMap<String, Attribute>) -> String {
    let mut encoded = Vec::new();
    let mut put = |bytes: &[u8], carried: Option<u8>| {
        encoded.extend(carried);
        // No message is longer than 256 KiB.
        encoded.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        encoded.extend(bytes);
    };
    for (name, Attribute { data_type, value }) in attributes {
        put(name.as_bytes(), None);
        put(data_type.as_bytes(), None);
        if data_type.starts_with("Binary") {
            put(&BASE64_STANDARD.decode(value).unwrap_or_default(), Some(2));
        } else {
            put(value.as_bytes(), Some(1));
        }
    }
    format!("{:x}", md5::compute(encoded))
}

//! Sending messages to an SQS queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    error::DisplayErrorContext,
    types::{BatchResultErrorEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use tokio::time::Instant;

use crate::{
    aws::backoff::Backoff,
    aws_error::{self, Rejection},
};

/// An SQS queue, by URL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The text, of at most 256 KiB.
    pub body: String,
    /// The delay before the first delivery, at most 15 minutes.
    pub delay: Duration,
    /// Text attributes, by name and value.
    pub attributes: Vec<(&'static str, String)>,
    /// The tenant of the message: the organization. A standard queue delivers the messages of quiet
    /// tenants before those of noisy ones. At most 128 letters, digits and punctuation characters;
    /// every organization id is such a text.
    ///
    /// AWS: "Amazon SQS fair queues",
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>,
    /// and "Using the message group ID with Amazon SQS queues",
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagegroupid-property.html>.
    pub group: Option<String>,
}

impl Message {
    /// Returns a message without delay, attributes and group.
    #[must_use]
    pub fn new(body: String) -> Self {
        Self {
            body,
            delay: Duration::ZERO,
            attributes: Vec::new(),
            group: None,
        }
    }

    /// Returns the size that SQS counts, in bytes: the body, and names, types and values of the
    /// attributes.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// Messages that could not be sent by the deadline. SQS may have accepted some of them, so a retry
/// can send a message twice.
#[derive(Debug, thiserror::Error)]
#[error("{} messages could not be sent: {cause}", messages.len())]
pub struct SendError {
    /// The positions of the messages that SQS may not have accepted, in order.
    pub messages: Vec<usize>,
    /// The positions that SQS never accepts, each with the reason.
    pub invalid: BTreeMap<usize, String>,
    cause: String,
}

impl SendError {
    /// Maps the positions of a part to those of the whole list.
    pub(crate) fn at(self, positions: &[usize]) -> Self {
        Self {
            messages: self
                .messages
                .into_iter()
                .map(|message| positions[message])
                .collect(),
            invalid: self
                .invalid
                .into_iter()
                .map(|(message, why)| (positions[message], why))
                .collect(),
            cause: self.cause,
        }
    }

    /// Merges the failures of another queue. The cause of the first stays.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.messages.extend(other.messages);
        self.messages.sort_unstable();
        self.invalid.extend(other.invalid);
        self
    }
}

impl Queue {
    /// The most messages of one call.
    pub const MAX_BATCH: usize = 10;
    /// The most bytes of a message, its attributes included.
    pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
    /// The most bytes of all messages of one call.
    const MAX_BATCH_BYTES: usize = 256 * 1024;

    /// Returns the queue at a URL.
    ///
    /// The client's own retries should be off, because they multiply with the queue's.
    #[must_use]
    pub fn new(client: Client, url: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends messages in as few calls as SQS allows. Retries those that failed with a transient
    /// error until the deadline.
    ///
    /// # Errors
    /// The messages that SQS did not accept by the deadline, or never accepts.
    pub async fn send(&self, messages: &[Message], deadline: Instant) -> Result<(), SendError> {
        let mut left: Vec<usize> = (0..messages.len()).collect();
        let mut given_up = Vec::new();
        let mut invalid = BTreeMap::new();
        let mut cause = String::new();
        let mut backoff = Backoff::until(deadline);
        loop {
            let mut refused = Vec::new();
            for batch in batches(messages, &left) {
                refused.extend(self.try_send(messages, &batch, deadline).await);
            }
            left.clear();
            for (position, rejection, why) in refused {
                cause.clone_from(&why);
                match rejection {
                    Rejection::Transient => left.push(position),
                    Rejection::Caller => given_up.push(position),
                    Rejection::Invalid => {
                        given_up.push(position);
                        invalid.insert(position, why);
                    }
                }
            }
            if left.is_empty() && given_up.is_empty() {
                return Ok(());
            }
            if left.is_empty() || !backoff.pause().await {
                left.extend(given_up);
                left.sort_unstable();
                return Err(SendError {
                    messages: left,
                    invalid,
                    cause,
                });
            }
        }
    }

    /// Sends a batch once. Returns the messages that SQS did not accept, each with the reason.
    ///
    /// If SQS rejects the whole call as invalid, each message is sent in a call of its own: one
    /// invalid message must not fail the others.
    async fn try_send(
        &self,
        messages: &[Message],
        batch: &[usize],
        deadline: Instant,
    ) -> Vec<(usize, Rejection, String)> {
        let entries = batch
            .iter()
            .map(|&position| entry(position, &messages[position]))
            .collect::<Vec<_>>();
        let call = self
            .client
            .send_message_batch()
            .queue_url(&*self.url)
            .set_entries(Some(entries))
            .send();
        let (rejection, cause) = match tokio::time::timeout_at(deadline, call).await {
            Ok(Ok(response)) => {
                let known = |failed: &BatchResultErrorEntry| {
                    failed.id().parse().ok().filter(|id| batch.contains(id))
                };
                let refused = |failed: &BatchResultErrorEntry| {
                    Some((known(failed)?, entry_rejection(failed), entry_cause(failed)))
                };
                return response.failed().iter().filter_map(refused).collect();
            }
            Ok(Err(error)) => (
                aws_error::rejection(&error, INVALID),
                DisplayErrorContext(error).to_string(),
            ),
            Err(_) => (
                Rejection::Transient,
                "SQS did not respond in time".to_owned(),
            ),
        };
        if rejection == Rejection::Invalid && batch.len() > 1 {
            let mut refused = Vec::new();
            for &position in batch {
                refused.extend(Box::pin(self.try_send(messages, &[position], deadline)).await);
            }
            return refused;
        }
        batch
            .iter()
            .map(|&position| (position, rejection, cause.clone()))
            .collect()
    }
}

/// The error codes of an invalid message. AWS: `SendMessage` and `SendMessageBatch`,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.
const INVALID: &[&str] = &[
    "BatchRequestTooLong",
    "InvalidMessageContents",
    "InvalidParameterValue",
];

/// Classifies the failure of one message of a batch.
fn entry_rejection(failed: &BatchResultErrorEntry) -> Rejection {
    let code = failed.code().rsplit('.').next().unwrap_or_default();
    match (failed.sender_fault(), INVALID.contains(&code)) {
        (false, _) => Rejection::Transient,
        (true, true) => Rejection::Invalid,
        (true, false) => Rejection::Caller,
    }
}

fn entry_cause(failed: &BatchResultErrorEntry) -> String {
    failed.message().unwrap_or(failed.code()).to_owned()
}

/// Splits positions into batches within the limits of one call.
fn batches(messages: &[Message], positions: &[usize]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &position in positions {
        let size = messages[position].size();
        match batches.last_mut() {
            Some(batch)
                if batch.len() < Queue::MAX_BATCH && bytes + size <= Queue::MAX_BATCH_BYTES =>
            {
                bytes += size;
                batch.push(position);
            }
            _ => {
                bytes = size;
                batches.push(vec![position]);
            }
        }
    }
    batches
}

fn entry(position: usize, message: &Message) -> SendMessageBatchRequestEntry {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(&message.body)
        .delay_seconds(
            i32::try_from(message.delay.as_secs())
                .unwrap_or(900)
                .min(900),
        )
        .set_message_group_id(message.group.clone());
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build();
        entry = entry.message_attributes(*name, value.expect("it has a data type"));
    }
    entry.build().expect("it has an id and a body")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Message {
        Message::new("x".repeat(bytes))
    }

    #[test]
    fn batches_keep_order_and_both_limits() {
        let small: Vec<_> = (0..23).map(|_| of(1)).collect();
        let positions: Vec<usize> = (0..23).collect();
        let cut = batches(&small, &positions);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
        assert_eq!(cut.concat(), positions);

        let large = [of(200 * 1024), of(56 * 1024), of(1), of(256 * 1024), of(1)];
        assert_eq!(
            batches(&large, &[0, 1, 2, 3, 4]),
            [vec![0, 1], vec![2], vec![3], vec![4]]
        );
    }

    #[test]
    fn size_includes_attributes() {
        let with = Message {
            attributes: vec![("reason", "it is not JSON".to_owned())],
            ..of(3)
        };
        assert_eq!(with.size(), 3 + 6 + 6 + 14);
    }
}

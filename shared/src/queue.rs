//! Sending messages to an SQS queue.

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    error::DisplayErrorContext,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};
use tokio::time::Instant;

use crate::backoff::{Backoff, is_transient};

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
    /// How long the queue keeps it back, up to 15 minutes.
    pub delay: Duration,
    /// Text attributes beside the body, name and value.
    pub attributes: Vec<(&'static str, String)>,
}

impl Message {
    /// A message without delay or attributes.
    #[must_use]
    pub fn new(body: String) -> Self {
        Self { body, delay: Duration::ZERO, attributes: Vec::new() }
    }

    /// Returns the bytes that SQS counts: the body, and names, types and values of the attributes.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// What could not be sent by the deadline. A part may have been, so whoever sends again may send twice.
#[derive(Debug)]
pub struct NotSent {
    /// The positions of the messages that may not have been taken.
    pub messages: Vec<usize>,
    cause: String,
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages could not be sent: {}", self.messages.len(), self.cause)
    }
}

impl std::error::Error for NotSent {}

impl Queue {
    /// The most messages that SQS takes in one call.
    pub const MAX_BATCH: usize = 10;
    /// The most bytes of a message, its attributes included.
    pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
    /// The most bytes of all their bodies and attributes.
    const MAX_BATCH_BYTES: usize = 256 * 1024;

    /// The queue at this URL.
    ///
    /// The client's own retries should be off, so that they do not multiply with the queue's.
    #[must_use]
    pub fn new(client: Client, url: impl Into<Arc<str>>) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends messages, in as few calls as SQS allows, and again what SQS refused for the moment, until the deadline.
    ///
    /// # Errors
    /// Those that were not taken by then, or that SQS will never take.
    pub async fn send(&self, messages: &[Message], deadline: Instant) -> Result<(), NotSent> {
        let mut left: Vec<usize> = (0..messages.len()).collect();
        let mut given_up = Vec::new();
        let mut cause = String::new();
        let mut backoff = Backoff::until(deadline);
        loop {
            let refused = self.try_send(messages, left, deadline, &mut cause).await;
            given_up.extend(refused.for_good);
            left = refused.for_now;
            if left.is_empty() && given_up.is_empty() {
                return Ok(());
            }
            if left.is_empty() || !backoff.pause().await {
                left.extend(given_up);
                left.sort_unstable();
                return Err(NotSent { messages: left, cause });
            }
        }
    }

    /// Sends these messages once, and gives those that were not taken.
    async fn try_send(
        &self,
        messages: &[Message],
        positions: Vec<usize>,
        deadline: Instant,
        cause: &mut String,
    ) -> Refused {
        let mut refused = Refused::default();
        for batch in batches(messages, &positions) {
            let entries = batch.iter().map(|&position| entry(position, &messages[position])).collect::<Vec<_>>();
            let call = self.client.send_message_batch().queue_url(&*self.url).set_entries(Some(entries)).send();
            match tokio::time::timeout_at(deadline, call).await {
                Ok(Ok(answer)) => {
                    for failed in answer.failed() {
                        cause.clear();
                        cause.push_str(failed.message().unwrap_or(failed.code()));
                        let position = failed.id().parse::<usize>().ok().filter(|position| batch.contains(position));
                        let again = if failed.sender_fault() { &mut refused.for_good } else { &mut refused.for_now };
                        again.extend(position);
                    }
                }
                Ok(Err(error)) => {
                    let again = if is_transient(&error) { &mut refused.for_now } else { &mut refused.for_good };
                    again.extend(batch);
                    *cause = DisplayErrorContext(error).to_string();
                }
                Err(_) => {
                    "SQS did not answer in time".clone_into(cause);
                    refused.for_now.extend(batch);
                }
            }
        }
        refused
    }
}

/// The messages that were not taken, by position.
#[derive(Default)]
struct Refused {
    /// They may be taken the next time.
    for_now: Vec<usize>,
    /// They never will be.
    for_good: Vec<usize>,
}

/// Cuts positions into batches that SQS takes.
fn batches(messages: &[Message], positions: &[usize]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &position in positions {
        let size = messages[position].size();
        match batches.last_mut() {
            Some(batch) if batch.len() < Queue::MAX_BATCH && bytes + size <= Queue::MAX_BATCH_BYTES => {
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
        .delay_seconds(i32::try_from(message.delay.as_secs()).unwrap_or(900).min(900));
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
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
        assert_eq!(batches(&large, &[0, 1, 2, 3, 4]), [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn attributes_count() {
        let with = Message { attributes: vec![("reason", "it is not JSON".to_owned())], ..of(3) };
        assert_eq!(with.size(), 3 + 6 + 6 + 14);
    }
}

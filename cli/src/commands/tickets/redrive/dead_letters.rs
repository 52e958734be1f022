//! A dead-letter queue and its messages.

use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use aws_sdk_sqs::{
    Client,
    config::{self, retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        MessageSystemAttributeName, QueueAttributeName,
    },
};
use muster_contracts::events::inbound::{event_in, ticket_id_text};
use muster_domain::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::{
    super::{queue_address::QueueAddress, sqs_client},
    VISIBILITY_TIMEOUT, resolve_queue,
};
use crate::{commands::CALL_TIMEOUT, local};

/// A dead-letter queue that exists.
pub(in crate::commands::tickets) struct DeadLetterQueue {
    client: Client,
    pub(super) url: Url,
    /// The configuration of a client without retries, for the source queue in the same account.
    pub(super) config: config::Builder,
}

impl DeadLetterQueue {
    /// Opens the queue and checks with one call that it exists.
    ///
    /// # Errors
    /// The queue does not exist, or it has a redrive policy: then it is a source queue, not a
    /// dead-letter queue.
    pub(in crate::commands::tickets) async fn open(from: &QueueAddress) -> anyhow::Result<Self> {
        let (url, config) =
            resolve_queue(from, "--from", |located| located.dead_letters_url).await?;
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(CALL_TIMEOUT)
            .build();
        let retrying = config
            .clone()
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts);
        let client = Client::from_conf(retrying.build());
        let attributes = sqs_client::attributes(&client, &url).await?;
        ensure!(
            !attributes.contains_key(&QueueAttributeName::RedrivePolicy),
            "{url} is not a dead-letter queue, because it has a redrive policy: name its dead-letter queue with --from"
        );
        Ok(Self {
            client,
            url,
            config,
        })
    }

    /// Returns the URL of the source queue.
    ///
    /// # Errors
    /// There is none or more than one, or the user may not list them.
    pub(super) async fn source(&self) -> anyhow::Result<Url> {
        let Self {
            client,
            url,
            config: _,
        } = self;
        let response = client
            .list_dead_letter_source_queues()
            .queue_url(url.as_str())
            .send()
            .await;
        // The queue exists, so the user lacks `sqs:ListDeadLetterSourceQueues`, or an emulator does
        // not implement it.
        let sources = response.map_err(|error| {
            let cause = anyhow!(
                "{}",
                error.message().unwrap_or("SQS did not respond").to_owned()
            );
            cause.context(format!(
                "cannot determine the source queue of {url}: pass --to"
            ))
        })?;
        let sources = sources.queue_urls;
        match &sources[..] {
            [source] => Ok(Url::parse(source)?),
            [] => bail!("{url} has no source queue: pass --to"),
            _ => bail!("{url} has several source queues: pass --to"),
        }
    }

    /// Receives up to `max` messages, which are then hidden for [`VISIBILITY_TIMEOUT`].
    pub(in crate::commands::tickets) async fn receive(
        &self,
        max: u64,
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let request = self.client.receive_message().queue_url(self.url.as_str());
        let response = request
            .max_number_of_messages(i32::try_from(max).unwrap_or(i32::MAX).min(10))
            // Long polling queries all of SQS's servers. A short poll queries a subset, and can
            // return no message although there are some. Amazon SQS Developer Guide, "Amazon SQS
            // short and long polling":
            // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
            .wait_time_seconds(1)
            .visibility_timeout(i32::try_from(VISIBILITY_TIMEOUT.as_secs())?)
            .message_attribute_names("reason")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await;
        let response = response.map_err(|error| sqs_client::explain_error(&self.url, error))?;
        Ok(response
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(DeadLetter::from)
            .collect())
    }

    /// Deletes messages that were sent to the source queue.
    pub(super) async fn delete(&self, letters: &[&DeadLetter]) -> anyhow::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let entry = |(at, letter): (usize, &&DeadLetter)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
            entry.receipt_handle(&letter.receipt).build()
        };
        let entries = letters
            .iter()
            .enumerate()
            .map(entry)
            .collect::<Result<_, _>>()?;
        let request = self
            .client
            .delete_message_batch()
            .queue_url(self.url.as_str());
        let response = request.set_entries(Some(entries)).send().await;
        let response = response.map_err(|error| sqs_client::explain_error(&self.url, error))?;
        match response.failed.first() {
            Some(failed) => Err(anyhow!("{}", failed.message().unwrap_or(failed.code()))),
            None => Ok(()),
        }
    }

    /// Hides these messages from other consumers for a time from now on; zero makes them visible.
    /// One call for ten messages.
    ///
    /// # Errors
    /// SQS does not respond, or refuses a call. A message that was received or deleted by another
    /// consumer is skipped silently.
    pub(in crate::commands::tickets) async fn hide(
        &self,
        receipts: &[String],
        time: Duration,
    ) -> anyhow::Result<()> {
        let time = i32::try_from(time.as_secs())?;
        for receipts in receipts.chunks(10) {
            let entry = |(at, receipt): (usize, &String)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
                entry
                    .receipt_handle(receipt)
                    .visibility_timeout(time)
                    .build()
            };
            let entries = receipts
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<_, _>>()?;
            let request = self
                .client
                .change_message_visibility_batch()
                .queue_url(self.url.as_str());
            request.set_entries(Some(entries)).send().await?;
        }
        Ok(())
    }
}

/// A message of the dead-letter queue, as it was received.
pub(in crate::commands::tickets) struct DeadLetter {
    pub(in crate::commands::tickets) id: String,
    pub(in crate::commands::tickets) receipt: String,
    pub(in crate::commands::tickets) body: String,
    /// The reason that the function gave, or "received too often" if SQS moved the message.
    pub(in crate::commands::tickets) reason: String,
    pub(in crate::commands::tickets) receives: u32,
    /// The message group, which is sent with the message.
    pub(in crate::commands::tickets) group: Option<String>,
    /// The time at which the message was sent to this queue, or, if SQS moved it, to its source.
    pub(in crate::commands::tickets) sent_at: Option<Timestamp>,
}

impl From<aws_sdk_sqs::types::Message> for DeadLetter {
    fn from(message: aws_sdk_sqs::types::Message) -> Self {
        let system = |name| {
            message
                .attributes
                .as_ref()
                .and_then(|system| system.get(&name))
        };
        let receives = system(MessageSystemAttributeName::ApproximateReceiveCount);
        let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(0);
        let group = system(MessageSystemAttributeName::MessageGroupId).cloned();
        let sent_at = system(MessageSystemAttributeName::SentTimestamp);
        let sent_at = sent_at.and_then(|millis| millis.parse().ok().map(Timestamp::from_millis));
        let reason = message
            .message_attributes
            .and_then(|mut attributes| attributes.remove("reason")?.string_value);
        Self {
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            reason: local::dead_letter_reason(reason.as_deref()).to_owned(),
            receives,
            group,
            sent_at,
        }
    }
}

impl DeadLetter {
    pub(super) fn describe(
        &self,
        EventSummary {
            event,
            organization,
            subject,
        }: &EventSummary,
    ) -> Value {
        let Self {
            id: _,
            receipt: _,
            body,
            reason,
            receives,
            group: _,
            sent_at: _,
        } = self;
        json!({
            "event": event,
            "organization": organization,
            "about": subject,
            "reason": reason,
            "receives": receives,
            "body": body,
        })
    }
}

/// The fields of an event that identify it, as far as the body can be parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventSummary {
    pub(super) event: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) subject: Option<String>,
}

impl EventSummary {
    pub(super) fn of(body: &str) -> Self {
        let event = Value::Object(event_in(body).unwrap_or_default());
        let text = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let named = |name: &str, pointer: &str| {
            event
                .pointer(pointer)
                .and_then(ticket_id_text)
                .map(|id| format!("{name} {id}"))
        };
        Self {
            event: text("/id"),
            organization: text("/data/organization_id").or_else(|| text("/organization_id")),
            subject: named("ticket", "/data/ticket/id")
                .or_else(|| named("user", "/data/user/id"))
                .or_else(|| named("job", "/job")),
        }
    }
}

/// Replaces control characters, because a terminal would interpret them.
pub(super) fn printable<'t>(text: impl Into<Option<&'t String>>) -> String {
    let text = text.into().map_or("-", String::as_str);
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_names_event_organization_and_subject() {
        let about = |body: Value| {
            let EventSummary {
                event,
                organization,
                subject,
            } = EventSummary::of(&body.to_string());
            [event, organization, subject].map(Option::unwrap_or_default)
        };
        let ticket = json!({ "id": "1", "data": { "organization_id": "acme", "ticket": { "id": "INC-1" } } });
        assert_eq!(about(ticket.clone()), ["1", "acme", "ticket INC-1"]);
        let wrapped =
            json!({ "id": "envelope", "detail-type": "ticket.created", "detail": ticket });
        assert_eq!(about(wrapped), ["1", "acme", "ticket INC-1"]);
        let mut numbered = ticket.clone();
        numbered["data"]["ticket"]["id"] = json!(35436);
        assert_eq!(about(numbered), ["1", "acme", "ticket 35436"]);
        let mut bare = ticket;
        (bare["specversion"], bare["detail"]) = (
            json!("1.0"),
            json!({ "id": "an attribute of the sender's own" }),
        );
        assert_eq!(about(bare), ["1", "acme", "ticket INC-1"]);
        let user =
            json!({ "id": "2", "data": { "organization_id": "acme", "user": { "id": "u" } } });
        assert_eq!(about(user), ["2", "acme", "user u"]);
        assert_eq!(
            about(json!({ "job": "drain_team", "organization_id": "acme" })),
            ["", "acme", "job drain_team"]
        );
        assert_eq!(about(json!([1])), ["", "", ""]);
        assert_eq!(
            EventSummary::of("no JSON"),
            EventSummary {
                event: None,
                organization: None,
                subject: None
            }
        );
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(
            printable(&"a\u{1b}[2Jb\n".to_owned()),
            "a\u{fffd}[2Jb\u{fffd}"
        );
        assert_eq!(printable(&None::<String>), "-");
    }
}

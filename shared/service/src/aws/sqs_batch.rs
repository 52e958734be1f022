//! A batch of messages that Lambda received from an SQS queue, and its partial batch response.
//!
//! A processed message is acknowledged. A message that failed is named in the response, and SQS
//! redelivers it alone. A poison message goes to the dead-letter queue with its reason and is
//! acknowledged, because further deliveries would fail too.

use std::{collections::BTreeSet, error::Error, fmt, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_http::LambdaEvent;
use tokio::time::Instant;

use crate::{
    aws::sqs_send::{Message, Queue},
    deadline, error_chain, telemetry,
};
use muster_contracts::events::inbound::{event_in, ticket_id_text};
use muster_domain::{OrganizationId, TicketId};

/// The messages of one invocation, by their position in it.
#[derive(Debug)]
pub struct Batch {
    messages: Vec<ReceivedMessage>,
    failed: BTreeSet<usize>,
    poison: Vec<(usize, String)>,
    /// The causes of failures, each once for an organization.
    causes: BTreeSet<(Option<OrganizationId>, String)>,
    work_until: Instant,
    respond_until: Instant,
}

#[derive(Debug)]
struct ReceivedMessage {
    id: String,
    body: String,
    /// The message group. A dead letter has the same group.
    group: Option<String>,
}

impl Batch {
    /// The time between the end of the work and the end of the invocation, for sending poison
    /// messages. At most half of the remaining time.
    const POISON_MARGIN: Duration = Duration::from_secs(2);
    /// The time between the last call and the end of the invocation, for returning the response.
    const RESPONSE_MARGIN: Duration = Duration::from_millis(250);

    /// Reads the messages of an event and the deadline of its invocation.
    #[must_use]
    pub fn new(event: LambdaEvent<SqsEvent>) -> Self {
        let LambdaEvent { payload, context } = event;
        let left = deadline::time_left(context.deadline);
        let now = Instant::now();
        Self {
            messages: payload
                .records
                .into_iter()
                .map(ReceivedMessage::from)
                .collect(),
            failed: BTreeSet::new(),
            poison: Vec::new(),
            causes: BTreeSet::new(),
            work_until: now + left.saturating_sub(Self::POISON_MARGIN.min(left / 2)),
            respond_until: now + left.saturating_sub(Self::RESPONSE_MARGIN.min(left / 4)),
        }
    }

    /// Returns the deadline of the work on the messages.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.work_until
    }

    /// Returns the bodies of the messages, in order.
    pub fn bodies(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(|message| message.body.as_str())
    }

    /// Marks a message as poison: no delivery can succeed.
    pub fn poison(&mut self, position: usize, reason: impl fmt::Display) {
        self.poison.push((position, reason.to_string()));
    }

    /// Marks messages as failed, so that SQS redelivers them, with their organization if it is
    /// known. A failed message that is poison too is not sent to the dead-letter queue: its
    /// redelivery decides again.
    pub fn fail(
        &mut self,
        positions: impl IntoIterator<Item = usize>,
        organization: Option<OrganizationId>,
        cause: &dyn Error,
    ) {
        self.failed.extend(positions);
        self.causes.insert((organization, error_chain(cause)));
    }

    /// Moves poison messages to the dead-letter queue and builds the batch response. Poison
    /// messages that could not be moved are retried. Logs each poison message with its reason, each
    /// cause of a failure, and the totals of the batch.
    pub async fn finish(mut self, dead_letters: &Queue) -> SqsBatchResponse {
        let mut poison = std::mem::take(&mut self.poison);
        poison.retain(|(position, _)| !self.failed.contains(position));
        for (position, reason) in &poison {
            let ReceivedMessage { id, body, group: _ } = &self.messages[*position];
            tracing::warn!(
                messageId = id,
                ticket = ticket_of(body).map(tracing::field::display),
                reason,
                "poison"
            );
        }
        let letters: Vec<Message> = poison
            .iter()
            .map(|(position, reason)| dead_letter(&self.messages[*position], reason))
            .collect();
        let mut sent = letters.len();
        if !letters.is_empty()
            && let Err(not_sent) = dead_letters.send(&letters, self.respond_until).await
        {
            let left: Vec<usize> = not_sent
                .messages
                .iter()
                .map(|&letter| poison[letter].0)
                .collect();
            sent -= left.len();
            self.fail(left, None, &not_sent);
        }
        telemetry::record(|measured| measured.dead_letters += sent);
        self.poison = poison;
        self.into_response()
    }

    /// Builds the batch response of a batch without poison messages. A message that keeps failing
    /// moves to the dead-letter queue by the queue's redrive policy.
    #[must_use]
    pub fn into_response(self) -> SqsBatchResponse {
        for (organization, cause) in &self.causes {
            let organization = organization.as_ref().map(OrganizationId::as_str);
            tracing::error!(
                organization,
                error = cause,
                "messages failed; SQS redelivers them"
            );
        }
        let (messages, poison, failed) =
            (self.messages.len(), self.poison.len(), self.failed.len());
        tracing::info!(messages, poison, failed, "batch done");
        telemetry::record(|measured| measured.handed_back += failed);
        let mut response = SqsBatchResponse::default();
        for position in self.failed {
            response.add_failure(&self.messages[position].id);
        }
        response
    }
}

/// The most bytes of a reason, which names a bounded number of faults.
const MAX_REASON_BYTES: usize = 2048;

/// Returns a dead letter with its reason, truncated to the space that the body leaves. The log has
/// the whole reason.
///
/// Names, types and values of attributes count toward the size of a message. AWS: "Amazon SQS
/// message quotas",
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.
fn dead_letter(ReceivedMessage { id: _, body, group }: &ReceivedMessage, reason: &str) -> Message {
    const NAME: &str = "reason";
    let bare = Message {
        group: group.clone(),
        ..Message::new(body.clone())
    };
    let empty = Message {
        attributes: vec![(NAME, String::new())],
        ..bare.clone()
    };
    let room = Queue::MAX_MESSAGE_BYTES
        .saturating_sub(empty.size())
        .min(MAX_REASON_BYTES);
    // SQS rejects an attribute with an empty value.
    match cut(reason, room) {
        "" => bare,
        reason => Message {
            attributes: vec![(NAME, reason.to_owned())],
            ..bare
        },
    }
}

/// Truncates a text to at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Returns the ticket that a message names, if its event can be read, for the log.
fn ticket_of(body: &str) -> Option<TicketId> {
    let event = event_in(body).ok()?;
    TicketId::parse(&ticket_id_text(event.get("data")?.pointer("/ticket/id")?)?).ok()
}

impl From<SqsMessage> for ReceivedMessage {
    fn from(message: SqsMessage) -> Self {
        // A failure with an empty id makes Lambda redeliver the whole batch. That is right for a
        // message without an id.
        Self {
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            group: message.attributes.get("MessageGroupId").cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use lambda_http::Context;
    use serde_json::json;

    use super::*;
    use muster_domain::Timestamp;

    /// Returns a batch of messages `m0`, `m1`, ... with one second left.
    fn batch(bodies: &[&str]) -> Batch {
        let records: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(at, body)| json!({"messageId": format!("m{at}"), "body": body, "eventSource": "aws:sqs"}))
            .collect();
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let mut context = Context::default();
        context.deadline =
            u64::try_from(Timestamp::now().plus(Duration::from_secs(1)).millis()).unwrap();
        Batch::new(LambdaEvent::new(event, context))
    }

    /// Returns a queue at an address without a listener.
    fn unreachable_queue() -> Queue {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("k", "s", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url("http://127.0.0.1:1")
            .build();
        Queue::new(
            aws_sdk_sqs::Client::from_conf(config),
            "http://127.0.0.1:1/000000000000/dead",
        )
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect()
    }

    #[tokio::test]
    async fn response_names_each_failed_message_once() {
        let mut batch = batch(&["a", "b", "c"]);
        assert_eq!(batch.bodies().collect::<Vec<_>>(), ["a", "b", "c"]);
        let organization = || OrganizationId::parse("acme").ok();
        let away = std::io::Error::other("away");
        batch.fail([2], organization(), &away);
        batch.fail([0, 2], organization(), &away);
        assert_eq!(
            batch.causes,
            BTreeSet::from([(organization(), "away".to_owned())])
        );
        assert_eq!(
            failed(&batch.finish(&unreachable_queue()).await),
            ["m0", "m2"]
        );
    }

    #[tokio::test]
    async fn poison_that_cannot_be_moved_is_retried() {
        let mut batch = batch(&["a", "b"]);
        assert!(batch.deadline() <= Instant::now() + Duration::from_millis(500));
        batch.poison(1, "not JSON");
        let dead_letters = unreachable_queue();
        let finished = tokio::time::timeout(Duration::from_secs(10), batch.finish(&dead_letters));
        assert_eq!(failed(&finished.await.expect("the batch ends")), ["m1"]);
    }

    #[test]
    fn reason_is_cut_to_the_room_that_the_body_leaves() {
        let letter = |bytes: usize, reason: &str| {
            let received = ReceivedMessage {
                id: "m".to_owned(),
                body: "x".repeat(bytes),
                group: Some("acme".to_owned()),
            };
            let letter = dead_letter(&received, reason);
            assert_eq!(letter.group.as_deref(), Some("acme"));
            assert!(letter.size() <= Queue::MAX_MESSAGE_BYTES.max(bytes));
            letter
                .attributes
                .into_iter()
                .next()
                .map(|(name, value)| format!("{name}={value}"))
        };
        let overhead = "reasonString".len();
        assert_eq!(letter(10, "why").as_deref(), Some("reason=why"));
        assert_eq!(
            letter(10, &"é".repeat(5000)).map(|reason| reason.len()),
            Some("reason=".len() + MAX_REASON_BYTES)
        );
        assert_eq!(
            letter(Queue::MAX_MESSAGE_BYTES - overhead - 2, "why").as_deref(),
            Some("reason=wh")
        );
        assert_eq!(letter(Queue::MAX_MESSAGE_BYTES - overhead - 1, "é"), None);
        assert_eq!(letter(Queue::MAX_MESSAGE_BYTES, "why"), None);
    }

    #[test]
    fn ticket_of_a_message_is_the_one_in_its_event() {
        let event = json!({"data": {"ticket": {"id": "TKT-1"}}});
        for (body, ticket) in [
            (event.to_string(), Some("TKT-1")),
            (json!({ "detail-type": "ticket.created", "detail": event }).to_string(), Some("TKT-1")),
            (
                json!({ "specversion": "1.0", "detail-type": "", "detail": {}, "data": event["data"] }).to_string(),
                Some("TKT-1"),
            ),
            (json!({"data": {"ticket": {"id": "not an id"}}}).to_string(), None),
            (json!({"data": {"ticket": {"id": 1}}}).to_string(), Some("1")),
            (json!({"data": {"ticket": {"id": 1.5}}}).to_string(), None),
            ("{".to_owned(), None),
        ] {
            assert_eq!(ticket_of(&body), ticket.map(|id| TicketId::parse(id).unwrap()), "{body}");
        }
    }
}

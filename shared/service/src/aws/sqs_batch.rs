//! A batch of messages from an SQS queue, as Lambda hands it to a function: what became of each,
//! and the answer that says so.
//!
//! A message that is done is acknowledged; one that failed for the moment comes again, alone; one
//! that can never succeed goes to the dead-letter queue with its reason and is acknowledged, so
//! that it costs nobody nine more attempts.

use std::{collections::BTreeSet, fmt, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_http::LambdaEvent;
use tokio::time::Instant;

use crate::{
    aws::sqs_send::{Message, Queue},
    deadline, telemetry,
};
use muster_contracts::events::{event_in, ticket_id_text};
use muster_domain::{OrganizationId, TicketId};

/// The messages of one invocation, by their position in it.
#[derive(Debug)]
pub struct Batch {
    messages: Vec<Received>,
    failed: BTreeSet<usize>,
    poison: Vec<(usize, String)>,
    /// Why something failed, each cause once for an organization.
    causes: BTreeSet<(Option<OrganizationId>, String)>,
    work_until: Instant,
    answer_until: Instant,
}

#[derive(Debug)]
struct Received {
    id: String,
    body: String,
    /// The message group, which a dead letter keeps.
    group: Option<String>,
}

impl Batch {
    /// How long before the function is stopped its work ends, so that poison can still be sent;
    /// never more than half of the time there is.
    const FOR_POISON: Duration = Duration::from_secs(2);
    /// How long before the function is stopped the answer is on its way.
    const FOR_ANSWER: Duration = Duration::from_millis(250);

    /// Takes a batch as it comes.
    #[must_use]
    pub fn new(event: LambdaEvent<SqsEvent>) -> Self {
        let LambdaEvent { payload, context } = event;
        let left = deadline::time_left(context.deadline);
        let now = Instant::now();
        Self {
            messages: payload.records.into_iter().map(Received::from).collect(),
            failed: BTreeSet::new(),
            poison: Vec::new(),
            causes: BTreeSet::new(),
            work_until: now + left.saturating_sub(Self::FOR_POISON.min(left / 2)),
            answer_until: now + left.saturating_sub(Self::FOR_ANSWER.min(left / 4)),
        }
    }

    /// When the work on the messages has to be done.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.work_until
    }

    /// The messages' texts, in order.
    pub fn bodies(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(|message| message.body.as_str())
    }

    /// Sets a message aside that can never succeed.
    pub fn poison(&mut self, position: usize, reason: impl fmt::Display) {
        self.poison.push((position, reason.to_string()));
    }

    /// Has messages come again, of an organization where that is known. What is poison besides is
    /// not sent away: it will be, when it comes again.
    pub fn fail(
        &mut self,
        positions: impl IntoIterator<Item = usize>,
        organization: Option<OrganizationId>,
        cause: impl fmt::Display,
    ) {
        self.failed.extend(positions);
        self.causes.insert((organization, cause.to_string()));
    }

    /// Sends the poison away and gives the answer; what could not be sent comes again. Says in one
    /// line of the log what became of the batch, in one each what was wrong with poison, and in one
    /// each why something comes again.
    pub async fn finish(mut self, dead_letters: &Queue) -> SqsBatchResponse {
        let mut poison = std::mem::take(&mut self.poison);
        poison.retain(|(position, _)| !self.failed.contains(position));
        for (position, reason) in &poison {
            let Received { id, body, group: _ } = &self.messages[*position];
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
            && let Err(not_sent) = dead_letters.send(&letters, self.answer_until).await
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
        self.answer()
    }

    /// Gives the answer where nothing is poison: what failed comes again until the queue itself
    /// gives it up.
    #[must_use]
    pub fn answer(self) -> SqsBatchResponse {
        for (organization, cause) in &self.causes {
            let organization = organization.as_ref().map(OrganizationId::as_str);
            tracing::error!(organization, error = cause, "messages come again");
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

/// The most bytes of a reason: those of the faults that it names at most.
const MAX_REASON_BYTES: usize = 2048;

/// Returns a dead letter with its reason, which is cut to the room that the body leaves. AWS:
/// "Amazon SQS message quotas",
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>:
/// names, types and values of attributes count as a part of the message. The log has the whole
/// reason.
fn dead_letter(Received { id: _, body, group }: &Received, reason: &str) -> Message {
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
    // SQS refuses an attribute with an empty value.
    match cut(reason, room) {
        "" => bare,
        reason => Message {
            attributes: vec![(NAME, reason.to_owned())],
            ..bare
        },
    }
}

/// Returns the beginning of a text in at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The ticket that a message is about, if its event says so, for whoever asks what became of one.
fn ticket_of(body: &str) -> Option<TicketId> {
    let event = event_in(body).ok()?;
    TicketId::parse(&ticket_id_text(event.get("data")?.pointer("/ticket/id")?)?).ok()
}

impl From<SqsMessage> for Received {
    fn from(message: SqsMessage) -> Self {
        // A failure without an id makes Lambda bring the whole batch again, which is what is wanted
        // where there is none.
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

    /// A batch of messages `m0`, `m1`, ... in the second that is left.
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

    /// A queue where nobody listens.
    fn nowhere() -> Queue {
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
    async fn only_what_failed_comes_again_and_once() {
        let mut batch = batch(&["a", "b", "c"]);
        assert_eq!(batch.bodies().collect::<Vec<_>>(), ["a", "b", "c"]);
        let organization = || OrganizationId::parse("acme").ok();
        batch.fail([2], organization(), "away");
        batch.fail([0, 2], organization(), "away");
        assert_eq!(
            batch.causes,
            BTreeSet::from([(organization(), "away".to_owned())])
        );
        assert_eq!(failed(&batch.finish(&nowhere()).await), ["m0", "m2"]);
    }

    #[tokio::test]
    async fn poison_that_cannot_be_sent_comes_again_in_time() {
        let mut batch = batch(&["a", "b"]);
        assert!(batch.deadline() <= Instant::now() + Duration::from_millis(500));
        batch.poison(1, "not JSON");
        let dead_letters = nowhere();
        let finished = tokio::time::timeout(Duration::from_secs(10), batch.finish(&dead_letters));
        assert_eq!(
            failed(&finished.await.expect("there is an end to it")),
            ["m1"]
        );
    }

    #[test]
    fn reason_is_cut_to_the_room_that_the_body_leaves() {
        let letter = |bytes: usize, reason: &str| {
            let received = Received {
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
    fn a_message_is_about_the_ticket_that_its_event_names() {
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

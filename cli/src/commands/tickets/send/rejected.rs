//! The dead letters of events that were sent.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use muster_contracts::events::inbound::ticket_event;
use muster_domain::{OrganizationId, TicketId, Timestamp};
use serde_json::Value;
use url::Url;

use super::{checked::CheckedEvent, wait::Target};
use crate::{
    commands::tickets::{
        queue_address::QueueAddress,
        redrive::{DeadLetter, DeadLetterQueue},
        sqs_client,
    },
    output,
};

/// The maximum number of messages that one reading receives.
const MAX_MESSAGES: usize = 1000;

/// The difference between this clock and that of SQS that is tolerated.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// The dead letters of the events that this command sent.
pub(super) struct RejectedEvents {
    /// `None` if the queue cannot be read.
    dead_letters: Option<DeadLetterQueue>,
    bodies: HashSet<String>,
    since: Timestamp,
    reasons: BTreeMap<(OrganizationId, TicketId), String>,
}

impl RejectedEvents {
    /// Prepares to find these events, which are sent from now on, in the dead-letter queue of `to`.
    /// If the queue cannot be read, a note says so, and no dead letter is found.
    pub(super) async fn of(events: &[CheckedEvent], to: &QueueAddress) -> Self {
        let dead_letters = open(to).await.map_err(|error| {
            output::note(format_args!(
                "note: dead letters are not examined, because their queue cannot be read: {error:#}"
            ));
        });
        Self {
            dead_letters: dead_letters.ok(),
            bodies: events.iter().map(|event| event.body.clone()).collect(),
            since: Timestamp::now(),
            reasons: BTreeMap::new(),
        }
    }

    /// Returns the reason of a dead letter of this ticket.
    pub(super) fn reason(&self, target: &Target) -> Option<&str> {
        let key = (target.organization.clone(), target.ticket.clone());
        self.reasons.get(&key).map(String::as_str)
    }

    /// Receives the messages of the dead-letter queue once, and makes them visible again. One call
    /// for 10 messages, at most 100 calls.
    pub(super) async fn read(&mut self) {
        let Some(queue) = &self.dead_letters else {
            return;
        };
        let (mut receipts, mut outcome) = (BTreeMap::new(), Ok(()));
        while receipts.len() < MAX_MESSAGES {
            match queue.receive(10).await {
                Ok(letters) => {
                    let before = receipts.len();
                    for letter in letters {
                        self.reasons.extend(find(&letter, &self.bodies, self.since));
                        receipts.insert(letter.id, letter.receipt);
                    }
                    if receipts.len() == before {
                        break;
                    }
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let receipts: Vec<_> = receipts.into_values().collect();
        if let Err(error) = outcome.and(queue.hide(&receipts, Duration::ZERO).await) {
            output::note(format_args!(
                "note: dead letters are not examined any more: {error:#}"
            ));
            self.dead_letters = None;
        }
    }
}

/// Returns the ticket and the reason of a dead letter, if it is one of these events and was sent
/// since this time. An earlier run can have left dead letters with the same body.
fn find(
    letter: &DeadLetter,
    bodies: &HashSet<String>,
    since: Timestamp,
) -> Option<((OrganizationId, TicketId), String)> {
    let is_recent = letter
        .sent_at
        .is_none_or(|sent| since.since(sent) <= CLOCK_SKEW);
    if !is_recent || !bodies.contains(&letter.body) {
        return None;
    }
    let event = ticket_event(&letter.body, Timestamp::now()).ok()?.event;
    Some((
        (event.organization_id, event.ticket.id),
        letter.reason.clone(),
    ))
}

/// Opens the dead-letter queue of a ticket queue.
async fn open(to: &QueueAddress) -> anyhow::Result<DeadLetterQueue> {
    let from = match to {
        QueueAddress::LocalStack(_) => to.clone(),
        QueueAddress::Queue(url) => {
            let config = sqs_client::client_config(url, "leave out --wait").await?;
            let client = aws_sdk_sqs::Client::from_conf(config.build());
            let attributes = sqs_client::attributes(&client, url).await?;
            let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
            let policy = policy.with_context(|| format!("{url} shows no redrive policy"))?;
            QueueAddress::Queue(dead_letters_url(url, policy)?)
        }
    };
    DeadLetterQueue::open(&from).await
}

/// Returns the URL of the dead-letter queue that a redrive policy names. The queue is in the
/// account and the region of its source queue. AWS: *Using dead-letter queues in Amazon SQS*,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>.
fn dead_letters_url(source: &Url, policy: &str) -> anyhow::Result<Url> {
    let policy: Value = serde_json::from_str(policy).context("the redrive policy is not JSON")?;
    let name = policy
        .get("deadLetterTargetArn")
        .and_then(|arn| arn.as_str()?.rsplit(':').next());
    let name = name.context("the redrive policy names no queue")?;
    Ok(source.join(name)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::checked::tests::event, *};

    #[test]
    fn dead_letter_of_an_earlier_run_is_left_out() {
        let event = event(
            1,
            "INC-1",
            "ticket.deleted",
            "2026-03-02T09:00:00Z",
            json!({}),
        );
        let bodies = HashSet::from([event.body.clone()]);
        let since = Timestamp::from_secs(1_800_000_000);
        let letter = |body: &str, sent: Option<i64>| DeadLetter {
            id: "m".to_owned(),
            receipt: "r".to_owned(),
            body: body.to_owned(),
            reason: "data.organization_id: there is no such organization".to_owned(),
            receives: 1,
            group: None,
            sent_at: sent.map(Timestamp::from_secs),
        };
        let found = |body: &str, sent| find(&letter(body, sent), &bodies, since);
        let key = (
            event.event.organization_id.clone(),
            event.event.ticket.id.clone(),
        );
        let reason = "data.organization_id: there is no such organization".to_owned();
        let expected = Some((key, reason));
        assert_eq!(found(&event.body, Some(1_800_000_001)), expected);
        assert_eq!(found(&event.body, Some(1_799_999_996)), expected);
        assert_eq!(found(&event.body, None), expected);
        assert_eq!(found(&event.body, Some(1_799_999_990)), None);
        assert_eq!(found("{}", Some(1_800_000_001)), None);
    }

    #[test]
    fn dead_letter_queue_is_beside_its_source() {
        let source = Url::parse("https://sqs.eu-west-1.amazonaws.com/123/tickets").unwrap();
        let policy =
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123:dead","maxReceiveCount":10}"#;
        assert_eq!(
            dead_letters_url(&source, policy).unwrap().as_str(),
            "https://sqs.eu-west-1.amazonaws.com/123/dead"
        );
        assert!(dead_letters_url(&source, "{}").is_err());
        assert!(dead_letters_url(&source, "no JSON").is_err());
    }
}

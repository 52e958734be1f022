//! The queues of the local stack, saved in memory.

mod api;
mod fair_order;
mod message;
mod queue;
mod request;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use muster_domain::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::{Notify, watch};

use crate::sam::{QueueDefinition, Template};
pub(super) use api::handle;
pub(super) use message::{
    MessageAttribute, ReceivedMessage, StoredMessage, check, md5_of_attributes, md5_of_body,
};
use queue::{QueueAttributes, StandardQueue};
pub(super) use request::SqsError;

/// Why a message is dead: what the function said that gave it up, else that it failed until SQS
/// gave it up. How often does not belong to it, since whoever looks at dead letters receives them
/// too.
pub(crate) fn dead_letter_reason(given: Option<&str>) -> &str {
    given.unwrap_or("received too often")
}

/// The account that everything local belongs to.
pub(super) const ACCOUNT: &str = "000000000000";

/// Every queue of the template, by name: `tickets` is its `TicketsQueue`, and
/// `tickets-dead-letters` its `TicketsDeadLetters`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queues(Arc<BTreeMap<String, QueueState>>);

#[derive(Debug)]
pub(super) struct QueueState {
    queue: Mutex<StandardQueue>,
    /// Told whenever there may be more to receive.
    pub(super) changed: Notify,
    dead_letters: Option<String>,
    pub(super) consumers: watch::Sender<ConsumerControl>,
}

/// What the consumers of a queue are told to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConsumerControl {
    pub(super) paused: bool,
    /// How often they were killed.
    pub(super) kills: u64,
}

/// What waits in a queue, and what it gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueContents {
    /// How many wait to be received, those included whose delay is not over.
    pub visible: usize,
    /// How many were received and not deleted yet.
    pub in_flight: usize,
    /// What is in its dead-letter queue, in the order of arrival.
    pub dead_letters: Vec<DeadLetterView>,
}

/// A message of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterView {
    /// Its text.
    pub body: String,
    /// What the function said that put it there; none for a message that was received too often,
    /// which is what its JSON says.
    #[serde(serialize_with = "serialize_reason")]
    pub reason: Option<String>,
    /// How often it was received, among the dead letters too.
    pub receives: u32,
}

#[expect(clippy::ref_option, reason = "serde hands a field over by reference")]
fn serialize_reason<S: Serializer>(
    reason: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dead_letter_reason(reason.as_deref()))
}

/// The messages of all queues as they are saved between two runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedQueues(BTreeMap<String, Vec<StoredMessage>>);

impl Queues {
    /// The queues that a template declares, empty.
    pub(super) fn new(template: &Template) -> Self {
        let state = |definition: &QueueDefinition| {
            let attributes = QueueAttributes {
                visibility_timeout: definition.visibility_timeout,
                retention: definition.retention,
                max_receives: definition
                    .redrive
                    .as_ref()
                    .map(|redrive| redrive.max_receives),
            };
            QueueState {
                queue: Mutex::new(StandardQueue::new(attributes)),
                changed: Notify::new(),
                dead_letters: definition
                    .redrive
                    .as_ref()
                    .map(|redrive| queue_name(&redrive.queue)),
                consumers: watch::Sender::new(ConsumerControl::default()),
            }
        };
        Self(Arc::new(
            template
                .queues
                .iter()
                .map(|(id, definition)| (queue_name(id), state(definition)))
                .collect(),
        ))
    }

    /// Holds back what has not been received yet, until [`resume`](Self::resume). What is under way
    /// goes on.
    ///
    /// # Panics
    /// There is no such queue.
    pub fn pause(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.paused = true);
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// # Panics
    /// There is no such queue.
    pub fn resume(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.paused = false);
    }

    /// Kills what works on a queue's messages, wherever it stands. They come again after the
    /// visibility timeout.
    ///
    /// # Panics
    /// There is no such queue.
    pub fn kill(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.kills += 1);
    }

    /// What waits in a queue, and what it gave up; none if there is no such queue.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<QueueContents> {
        self.0.get(name)?;
        self.advance(name, Timestamp::now());
        let state = self.state(name);
        let (visible, in_flight) = {
            let queue = state.queue();
            (queue.visible() + queue.delayed(), queue.in_flight())
        };
        let dead_letter = |message: &StoredMessage| {
            let reason = message
                .attributes
                .get("reason")
                .map(|reason| reason.value.clone());
            DeadLetterView {
                body: message.body.clone(),
                reason,
                receives: message.receives,
            }
        };
        let dead_letters = state.dead_letters.as_ref().map(|dead_letters| {
            self.state(dead_letters)
                .queue()
                .messages()
                .map(dead_letter)
                .collect()
        });
        Some(QueueContents {
            visible,
            in_flight,
            dead_letters: dead_letters.unwrap_or_default(),
        })
    }

    /// The names of the queues that something consumes, which have dead letters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, state)| state.dead_letters.is_some())
            .map(|(name, _)| name.as_str())
    }

    /// The name of the queue that keeps a queue's dead letters; none if there is no such queue, or
    /// it gives none up.
    pub(super) fn dead_letters_of(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.dead_letters.as_deref()
    }

    /// The names of the queues whose dead letters go to this one.
    fn sources_of(&self, dead_letters: &str) -> impl Iterator<Item = &str> {
        let of = move |state: &QueueState| state.dead_letters.as_deref() == Some(dead_letters);
        self.0
            .iter()
            .filter(move |(_, state)| of(state))
            .map(|(name, _)| name.as_str())
    }

    fn get(&self, name: &str) -> Option<&QueueState> {
        self.0.get(name)
    }

    pub(super) fn state(&self, name: &str) -> &QueueState {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("there is no queue {name}"))
    }

    /// Puts messages in, each to be seen after its delay. False if there is no such queue.
    pub(super) fn send(
        &self,
        name: &str,
        messages: impl IntoIterator<Item = (StoredMessage, Duration)>,
    ) -> bool {
        let Some(state) = self.get(name) else {
            return false;
        };
        let now = Timestamp::now();
        {
            let mut queue = state.queue();
            for (message, delay) in messages {
                queue.send(message, delay, now);
            }
        }
        state.changed.notify_one();
        true
    }

    /// Lets be seen what is due, and puts the dead into the dead-letter queue.
    pub(super) fn advance(&self, name: &str, now: Timestamp) {
        let state = self.state(name);
        let dead = state.queue().advance(now);
        if let Some(dead_letters) = &state.dead_letters {
            self.send(
                dead_letters,
                dead.into_iter().map(|message| (message, Duration::ZERO)),
            );
        }
    }

    /// Everything that is in the queues.
    pub(super) fn snapshot(&self) -> SavedQueues {
        let messages = |state: &QueueState| state.queue().messages().cloned().collect();
        SavedQueues(
            self.0
                .iter()
                .map(|(name, state)| (name.clone(), messages(state)))
                .collect(),
        )
    }

    /// Puts in what was saved. What was delayed or in flight is to be seen at once.
    pub(super) fn restore(&self, SavedQueues(saved): SavedQueues) {
        for (name, messages) in saved {
            // A queue that is no longer in the template has nobody who waits for it.
            self.send(
                &name,
                messages
                    .into_iter()
                    .map(|message| (message, Duration::ZERO)),
            );
        }
    }
}

impl QueueState {
    pub(super) fn queue(&self) -> MutexGuard<'_, StandardQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the queue with this logical id.
pub(super) fn queue_name(logical_id: &str) -> String {
    let id = logical_id.strip_suffix("Queue").unwrap_or(logical_id);
    let mut name = String::with_capacity(id.len() + 2);
    for c in id.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// A queue's ARN.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
}

/// A queue's URL at this endpoint.
pub(super) fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_logical_ids() {
        assert_eq!(queue_name("TicketsQueue"), "tickets");
        assert_eq!(queue_name("TicketsDeadLetters"), "tickets-dead-letters");
    }
}

//! The queues of the local stack, in memory.

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

use super::console::{Console, ConsoleEvent, DeadLetter};
use crate::sam::{QueueDefinition, Template};
pub(super) use api::handle;
pub(super) use message::{
    MessageAttribute, MessageDelivery, StoredMessage, check, md5_of_attributes, md5_of_body,
};
use queue::{QueueAttributes, StandardQueue};
pub(super) use request::SqsError;

/// Returns the reason of a dead letter: the one that the function gave, or the default for a
/// message that SQS moved. The receive count is not part of it, because reading dead letters
/// increments it.
pub(crate) fn dead_letter_reason(given: Option<&str>) -> &str {
    given.unwrap_or("received too often")
}

/// The account id in ARNs and URLs.
pub(super) const ACCOUNT: &str = "000000000000";

/// The queues of the template by name: `tickets` for `TicketsQueue`, `tickets-dead-letters` for
/// `TicketsDeadLetters`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queues {
    states: Arc<BTreeMap<String, QueueState>>,
    /// Receives each message that arrives in a dead-letter queue.
    console: Console,
}

#[derive(Debug)]
pub(super) struct QueueState {
    queue: Mutex<StandardQueue>,
    /// Notified when a message may have become visible.
    pub(super) changed: Notify,
    dead_letters: Option<String>,
    pub(super) consumers: watch::Sender<ConsumerControl>,
}

/// Control of a queue's consumers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConsumerControl {
    pub(super) paused: bool,
    /// The number of kills. A change aborts the running invocations.
    pub(super) kills: u64,
}

/// The contents of a queue and its dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueContents {
    /// The number of messages that are visible or delayed.
    pub visible: usize,
    /// The number of messages in flight.
    pub in_flight: usize,
    /// The messages of its dead-letter queue, in the order of arrival.
    pub dead_letters: Vec<DeadLetterView>,
}

/// A message of a dead-letter queue, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterView {
    /// The body.
    pub body: String,
    /// The reason that the function gave, or `None` for a message that SQS moved. The JSON has the
    /// default reason then.
    #[serde(serialize_with = "serialize_reason")]
    pub reason: Option<String>,
    /// The receive count, which includes receives from the dead-letter queue.
    pub receives: u32,
}

#[expect(clippy::ref_option, reason = "serde hands a field over by reference")]
fn serialize_reason<S: Serializer>(
    reason: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dead_letter_reason(reason.as_deref()))
}

/// The messages of all queues, as they are saved at shutdown.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedQueues(BTreeMap<String, Vec<StoredMessage>>);

impl Queues {
    /// Returns the queues of a template, empty.
    pub(super) fn new(template: &Template, console: Console) -> Self {
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
        let queues = template.queues.iter();
        let states = queues.map(|(id, definition)| (queue_name(id), state(definition)));
        Self {
            states: Arc::new(states.collect()),
            console,
        }
    }

    /// Pauses the consumers until [`resume`](Self::resume). Running invocations continue.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn pause(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.paused = true);
    }

    /// Resumes the consumers after [`pause`](Self::pause).
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn resume(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.paused = false);
    }

    /// Aborts the running invocations of a queue. Their messages are redelivered after the
    /// visibility timeout.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn kill(&self, name: &str) {
        self.state(name)
            .consumers
            .send_modify(|consumers| consumers.kills += 1);
    }

    /// Returns the contents of a queue, or `None` if it does not exist.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<QueueContents> {
        self.states.get(name)?;
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

    /// Returns the names of the source queues: those with a dead-letter queue.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.states
            .iter()
            .filter(|(_, state)| state.dead_letters.is_some())
            .map(|(name, _)| name.as_str())
    }

    /// Returns the name of a queue's dead-letter queue, or `None` if it has none or does not exist.
    pub(super) fn dead_letters_of(&self, name: &str) -> Option<&str> {
        self.states.get(name)?.dead_letters.as_deref()
    }

    /// Returns the names of the source queues of a dead-letter queue.
    fn sources_of(&self, dead_letters: &str) -> impl Iterator<Item = &str> {
        let of = move |state: &QueueState| state.dead_letters.as_deref() == Some(dead_letters);
        self.states
            .iter()
            .filter(move |(_, state)| of(state))
            .map(|(name, _)| name.as_str())
    }

    fn get(&self, name: &str) -> Option<&QueueState> {
        self.states.get(name)
    }

    pub(super) fn state(&self, name: &str) -> &QueueState {
        self.states
            .get(name)
            .unwrap_or_else(|| panic!("there is no queue {name}"))
    }

    /// Sends messages, each with its delay. Returns false if the queue does not exist. The console
    /// shows messages to a dead-letter queue.
    pub(super) fn send(
        &self,
        name: &str,
        messages: impl IntoIterator<Item = (StoredMessage, Duration)>,
    ) -> bool {
        let source = self.sources_of(name).next();
        let messages = messages.into_iter().inspect(|(message, _)| {
            if let Some(source) = source {
                self.report_dead_letter(source, message);
            }
        });
        self.put(name, messages)
    }

    fn report_dead_letter(&self, source: &str, message: &StoredMessage) {
        self.console.report(|| {
            let reason = message.attributes.get("reason");
            let reason = reason.map(|reason| reason.value.as_str());
            ConsoleEvent::DeadLetter(DeadLetter {
                at: Timestamp::now(),
                queue: source.to_owned(),
                message_id: message.id.clone(),
                reason: dead_letter_reason(reason).to_owned(),
                body: message.body.clone(),
            })
        });
    }

    fn put(
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

    /// Makes due messages visible, and moves those with too many receives to the dead-letter queue.
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

    /// Returns the messages of all queues.
    pub(super) fn snapshot(&self) -> SavedQueues {
        let messages = |state: &QueueState| state.queue().messages().cloned().collect();
        SavedQueues(
            self.states
                .iter()
                .map(|(name, state)| (name.clone(), messages(state)))
                .collect(),
        )
    }

    /// Restores saved messages. Delayed messages and those in flight are visible at once.
    pub(super) fn restore(&self, SavedQueues(saved): SavedQueues) {
        for (name, messages) in saved {
            // Messages of a queue that the template no longer has are dropped.
            self.put(
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

/// Returns the name of the queue with this logical id.
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

/// Returns the ARN of a queue.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
}

/// Returns the URL of a queue at this endpoint.
pub(super) fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_name_is_derived_from_the_logical_id() {
        assert_eq!(queue_name("TicketsQueue"), "tickets");
        assert_eq!(queue_name("TicketsDeadLetters"), "tickets-dead-letters");
    }
}

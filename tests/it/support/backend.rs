//! The queues and the event bus behind the API of a stack.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry},
};
use muster_cli::{
    emulator,
    local::{DeadLetterView, EventBus, LocalStack, Queues},
};
use reqwest::Url;
use serde_json::Value;

use super::{RUNTIME, Stack, wait_until};

/// The entry points of messages and the source of announcements.
#[derive(Clone)]
pub enum Backend {
    /// A stack of this process: its queues can be paused and its consumers stopped.
    Local {
        queue_urls: BTreeMap<&'static str, String>,
        queues: Queues,
        events: EventBus,
    },
    /// A deployed stack.
    Deployed(Arc<DeployedQueues>),
}

/// The queues of a deployed stack.
pub struct DeployedQueues {
    queues: BTreeMap<String, DeployedQueue>,
    announcements: Inbox,
}

struct DeployedQueue {
    url: String,
    dead_letters: Inbox,
}

/// The messages that a queue has delivered so far, in order and without duplicates.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<DeliveredMessage>>>);

/// A message of a dead-letter queue or of the event bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredMessage {
    pub body: String,
    /// The reason that the function gave. Absent for a message that SQS moved after too many
    /// receives, and for an announcement.
    pub reason: Option<String>,
}

impl Backend {
    /// Returns the backend of a stack of this process.
    pub fn local(stack: &LocalStack) -> Self {
        let queue_urls = ["tickets", "users", "jobs", "long-jobs"]
            .map(|name| (name, stack.queue_url(name)))
            .into();
        Self::Local {
            queue_urls,
            queues: stack.queues.clone(),
            events: stack.events.clone(),
        }
    }
}

impl DeployedQueues {
    /// Returns the queues of a description, by their names on the local stack.
    pub fn of(description: &Value) -> Self {
        let text = |value: &Value| {
            value
                .as_str()
                .expect("every value of the description is a string")
                .to_owned()
        };
        let queues = description["queues"]
            .as_object()
            .expect("the description has queues")
            .iter()
            .map(|(name, queue)| {
                let dead_letters = Inbox::of(text(&queue["dead_letters_url"]), |_| None);
                (
                    name.clone(),
                    DeployedQueue {
                        url: text(&queue["url"]),
                        dead_letters,
                    },
                )
            });
        let queues = queues.collect();
        // A duplicate announcement has the same id.
        let id = |envelope: &str| {
            let envelope: Value = serde_json::from_str(envelope).ok()?;
            Some(envelope.pointer("/detail/id")?.to_string())
        };
        let announcements = Inbox::of(text(&description["announcements_url"]), id);
        Self {
            queues,
            announcements,
        }
    }

    fn queue(&self, name: &str) -> &DeployedQueue {
        self.queues
            .get(name)
            .unwrap_or_else(|| panic!("no queue {name}"))
    }
}

/// Returns the numbers of visible, in-flight and delayed messages of a queue.
async fn counts(queue_url: &str) -> [u64; 3] {
    let get = client(queue_url)
        .get_queue_attributes()
        .queue_url(queue_url);
    let response = get
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .expect("the queue returns its attributes");
    let attributes = response.attributes.expect("the queue has attributes");
    [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ]
    .map(|name| {
        attributes
            .get(&name)
            .and_then(|count| count.parse().ok())
            .expect("the queue has this count")
    })
}

/// Returns a client for the queue at a URL, with connections of its own: they end with the runtime
/// of the test that opened them.
fn client(queue_url: &str) -> Client {
    let endpoint = Url::parse(queue_url)
        .expect("a queue has a URL")
        .origin()
        .ascii_serialization();
    Client::new(&emulator::sdk_config(&endpoint))
}

impl Inbox {
    /// Receives every message of a queue until the process ends. Of messages with an id, it stores
    /// the first of each.
    fn of(url: String, id: fn(&str) -> Option<String>) -> Self {
        let inbox = Self::default();
        let mut ids = HashSet::new();
        let (sqs, filled) = (client(&url), inbox.clone());
        RUNTIME.spawn(async move {
            loop {
                let receive = sqs
                    .receive_message()
                    .queue_url(&url)
                    .max_number_of_messages(10)
                    .wait_time_seconds(1);
                let received = receive.message_attribute_names("All").send().await;
                let Ok(received) = received else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                for message in received.messages.unwrap_or_default() {
                    let receipt = message.receipt_handle.unwrap_or_default();
                    let attributes = message.message_attributes.unwrap_or_default();
                    let reason = attributes
                        .get("reason")
                        .and_then(MessageAttributeValue::string_value);
                    let message = DeliveredMessage {
                        body: message.body.unwrap_or_default(),
                        reason: reason.map(str::to_owned),
                    };
                    if id(&message.body).is_none_or(|id| ids.insert(id)) {
                        filled
                            .0
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(message);
                    }
                    sqs.delete_message()
                        .queue_url(&url)
                        .receipt_handle(receipt)
                        .send()
                        .await
                        .ok();
                }
            }
        });
        inbox
    }

    fn after(&self, number: u64) -> Vec<DeliveredMessage> {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages
            .iter()
            .skip(usize::try_from(number).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }
}

impl Stack {
    /// Sends messages to a queue unchanged.
    pub async fn send(&self, queue: &str, messages: impl IntoIterator<Item = String>) {
        let url = self.queue_url(queue);
        let sqs = client(&url);
        let messages: Vec<_> = messages.into_iter().collect();
        for batch in messages.chunks(10) {
            let entries = batch.iter().enumerate().map(|(id, body)| {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message_body(body);
                entry.build().expect("the entry has an id and a body")
            });
            let send = sqs
                .send_message_batch()
                .queue_url(&url)
                .set_entries(Some(entries.collect()));
            let sent = send.send().await.expect("the queue accepts messages");
            assert!(sent.failed().is_empty(), "{sent:?}");
        }
    }

    fn queue_url(&self, name: &str) -> String {
        match &self.backend {
            Backend::Local { queue_urls, .. } => queue_urls[name].clone(),
            Backend::Deployed(deployed) => deployed.queue(name).url.clone(),
        }
    }

    /// Waits until every message of a queue is processed or dead-lettered.
    pub async fn until_empty(&self, queue: &str) {
        let url = self.queue_url(queue);
        wait_until("an empty queue", async || counts(&url).await == [0; 3]).await;
    }

    /// Returns true if no message of a queue is due. Delayed messages do not count.
    pub async fn is_idle(&self, queue: &str) -> bool {
        let [waiting, in_flight, _] = counts(&self.queue_url(queue)).await;
        waiting + in_flight == 0
    }

    /// Returns the dead letters of a queue that have arrived so far.
    pub fn dead_letters(&self, queue: &str) -> Vec<DeliveredMessage> {
        match &self.backend {
            Backend::Local { queues, .. } => {
                let dead_letters = queues
                    .contents(queue)
                    .expect("the queue exists")
                    .dead_letters
                    .into_iter();
                dead_letters
                    .map(|DeadLetterView { body, reason, .. }| DeliveredMessage { body, reason })
                    .collect()
            }
            Backend::Deployed(deployed) => deployed.queue(queue).dead_letters.after(0),
        }
    }

    /// Returns the announcements after this number, and the number of the last one.
    pub fn announced_after(&self, number: u64) -> (Vec<String>, u64) {
        match &self.backend {
            Backend::Local { events, .. } => {
                let (events, last) = events.after(number);
                (
                    events.iter().map(|event| event.get().to_owned()).collect(),
                    last,
                )
            }
            Backend::Deployed(deployed) => {
                let envelopes = deployed.announcements.after(number);
                let last = number + envelopes.len() as u64;
                let detail = |envelope: &DeliveredMessage| {
                    let envelope: Value =
                        serde_json::from_str(&envelope.body).expect("an event is JSON");
                    envelope["detail"].to_string()
                };
                (envelopes.iter().map(detail).collect(), last)
            }
        }
    }

    /// Returns the local queues, to pause them and to stop their consumers.
    pub fn queues(&self) -> &Queues {
        match &self.backend {
            Backend::Local { queues, .. } => queues,
            Backend::Deployed(_) => {
                panic!("the queues of a deployed stack cannot be paused")
            }
        }
    }
}

//! What stands behind the API of a stack: its queues, and the bus on which it announces.

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
    local::{DeadLetter, Events, LocalStack, Queues},
};
use reqwest::Url;
use serde_json::Value;

use super::{RUNTIME, Stack, wait_until};

/// Where messages go in, and where announcements come out.
#[derive(Clone)]
pub enum Backend {
    /// In this process, where they can be paused, and what works on them be killed.
    Local {
        queue_urls: BTreeMap<&'static str, String>,
        queues: Queues,
        events: Events,
    },
    /// Wherever it was deployed.
    Deployed(Arc<DeployedQueues>),
}

/// The queues of a deployed stack.
pub struct DeployedQueues {
    queues: BTreeMap<String, Queue>,
    announcements: Inbox,
}

struct Queue {
    url: String,
    dead_letters: Inbox,
}

/// Everything that a queue brought so far, in order, and once.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<Message>>>);

/// A message that a queue gave up, or that came over the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub body: String,
    /// What the function said that gave it up; not there for a message that was received too often,
    /// nor over the bus.
    pub reason: Option<String>,
}

impl Backend {
    /// What stands behind a stack in this process.
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
    /// The queues of a description, by their names on the local stack.
    pub fn of(description: &Value) -> Self {
        let text = |value: &Value| {
            value
                .as_str()
                .expect("the description has a text for each")
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
                    Queue {
                        url: text(&queue["url"]),
                        dead_letters,
                    },
                )
            });
        let queues = queues.collect();
        // What is announced twice, as it may be, has the same id.
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

    fn queue(&self, name: &str) -> &Queue {
        self.queues
            .get(name)
            .unwrap_or_else(|| panic!("there is no queue of {name}"))
    }
}

/// How many messages of a queue wait, are under way, and are for later.
async fn counts(queue_url: &str) -> [u64; 3] {
    let get = client(queue_url)
        .get_queue_attributes()
        .queue_url(queue_url);
    let response = get
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .expect("the queue tells how full it is");
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

/// A client for the queue at a URL, over connections of its own: they end with the runtime of the
/// test that made them.
fn client(queue_url: &str) -> Client {
    let endpoint = Url::parse(queue_url)
        .expect("a queue has a URL")
        .origin()
        .ascii_serialization();
    Client::new(&emulator::sdk_config(&endpoint))
}

impl Inbox {
    /// Takes whatever comes to a queue, until the process ends; of messages that have an id, the
    /// first of each.
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
                    let message = Message {
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

    fn after(&self, number: u64) -> Vec<Message> {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages
            .iter()
            .skip(usize::try_from(number).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }
}

impl Stack {
    /// Puts messages on a queue, as they stand.
    pub async fn send(&self, queue: &str, messages: impl IntoIterator<Item = String>) {
        let url = self.queue_url(queue);
        let sqs = client(&url);
        let messages: Vec<_> = messages.into_iter().collect();
        for batch in messages.chunks(10) {
            let entries = batch.iter().enumerate().map(|(id, body)| {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(id.to_string())
                    .message_body(body);
                entry.build().expect("it has an id and a body")
            });
            let send = sqs
                .send_message_batch()
                .queue_url(&url)
                .set_entries(Some(entries.collect()));
            let sent = send.send().await.expect("the queue takes messages");
            assert!(sent.failed().is_empty(), "{sent:?}");
        }
    }

    fn queue_url(&self, name: &str) -> String {
        match &self.backend {
            Backend::Local { queue_urls, .. } => queue_urls[name].clone(),
            Backend::Deployed(deployed) => deployed.queue(name).url.clone(),
        }
    }

    /// Waits until everything on a queue was handled, or given up.
    pub async fn until_empty(&self, queue: &str) {
        let url = self.queue_url(queue);
        wait_until("an empty queue", async || counts(&url).await == [0; 3]).await;
    }

    /// Whether nothing on a queue is to be handled now: what is left, if anything, is for later.
    pub async fn is_idle(&self, queue: &str) -> bool {
        let [waiting, under_way, _] = counts(&self.queue_url(queue)).await;
        waiting + under_way == 0
    }

    /// What a queue gave up, as far as it is known.
    pub fn dead_letters(&self, queue: &str) -> Vec<Message> {
        match &self.backend {
            Backend::Local { queues, .. } => {
                let letters = queues
                    .contents(queue)
                    .expect("there is such a queue")
                    .dead_letters
                    .into_iter();
                letters
                    .map(|DeadLetter { body, reason, .. }| Message { body, reason })
                    .collect()
            }
            Backend::Deployed(deployed) => deployed.queue(queue).dead_letters.after(0),
        }
    }

    /// What was announced after the event of this number, and the number of the last of it.
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
                let detail = |envelope: &Message| {
                    let envelope: Value =
                        serde_json::from_str(&envelope.body).expect("an event is JSON");
                    envelope["detail"].to_string()
                };
                (envelopes.iter().map(detail).collect(), last)
            }
        }
    }

    /// The queues, where they can be paused, and what works on them be killed.
    pub fn queues(&self) -> &Queues {
        match &self.backend {
            Backend::Local { queues, .. } => queues,
            Backend::Deployed(_) => {
                panic!(
                    "nobody can pause the queues of a deployed stack, nor kill what works on them"
                )
            }
        }
    }
}

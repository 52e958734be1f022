//! The destination of ticket events: an SQS queue, or the ticket queue of a local stack.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_sdk_sqs::Client;
use muster_contracts::events::inbound::organization_in;
use muster_domain::OrganizationId;
use muster_service::aws::sqs_send::{Message, Queue};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::{queue_address::QueueAddress, sqs_client};
use crate::commands::CALL_TIMEOUT;

/// A queue that exists. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum TicketQueue {
    LocalStack { client: reqwest::Client, url: Url },
    Queue(Queue),
}

/// Events that could not be sent. Other events of the call can have been sent.
#[derive(Debug)]
pub(super) struct SendFailure {
    /// The positions of the events.
    pub events: Vec<usize>,
    pub cause: anyhow::Error,
}

impl TicketQueue {
    /// Opens the queue and checks with one call that it exists.
    ///
    /// # Errors
    /// The queue does not exist, or the credentials are invalid. The error says how to fix it.
    pub(super) async fn new(destination: &QueueAddress) -> anyhow::Result<Self> {
        match destination {
            QueueAddress::LocalStack(url) => local_stack(url).await,
            QueueAddress::Queue(url) => queue(url).await,
        }
    }

    /// The maximum number of events of a call to [`TicketQueue::send`].
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::LocalStack { .. } => 100,
            Self::Queue(_) => Queue::MAX_BATCH,
        }
    }

    /// Sends events, at most [`TicketQueue::batch`], each with its organization as its message
    /// group.
    ///
    /// # Errors
    /// Returns the events that were not accepted in time.
    pub(super) async fn send(&self, events: &[String]) -> Result<(), SendFailure> {
        match self {
            Self::LocalStack { client, url } => {
                for (at, body) in bodies(events) {
                    post(client, url, body).await.map_err(|cause| SendFailure {
                        events: (at..events.len()).collect(),
                        cause,
                    })?;
                }
                Ok(())
            }
            Self::Queue(queue) => {
                let messages: Vec<_> = events
                    .iter()
                    .map(|event| with_message_group(event.clone(), None))
                    .collect();
                let sent = queue.send(&messages, Instant::now() + CALL_TIMEOUT).await;
                sent.map_err(|error| SendFailure {
                    events: error.messages.clone(),
                    cause: error.into(),
                })
            }
        }
    }
}

/// Returns a message with the event's organization as its message group, or with `default_group` if
/// the event names no organization. The local stack's own route does the same.
pub(super) fn with_message_group(body: String, default_group: Option<String>) -> Message {
    let group = organization_in(&body)
        .as_ref()
        .map(OrganizationId::to_string)
        .or(default_group);
    Message {
        group,
        ..Message::new(body)
    }
}

async fn local_stack(url: &Url) -> anyhow::Result<TicketQueue> {
    let client = local_client()?;
    call_local_stack(&client, url, "/_dev/queues", "--to").await?;
    Ok(TicketQueue::LocalStack {
        client,
        url: route(url, "/_dev/queues/tickets"),
    })
}

fn local_client() -> anyhow::Result<reqwest::Client> {
    // `HTTP_PROXY` must not apply to addresses of this machine.
    Ok(reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?)
}

/// Calls a local stack. `option` is the flag that has its address.
async fn call_local_stack(
    client: &reqwest::Client,
    url: &Url,
    path: &str,
    option: &str,
) -> anyhow::Result<reqwest::Response> {
    let response = client
        .get(route(url, path))
        .send()
        .await
        .map_err(|error| unreachable_error(url, option, error))?;
    ensure!(
        response.status().is_success(),
        "the server at {url} ({}) is not a local stack with a ticket queue: start `muster dev`, or name another with \
         {option}",
        response.status()
    );
    Ok(response)
}

/// The URLs of a local stack's ticket queue and of its dead-letter queue.
#[derive(Debug, Deserialize)]
pub(super) struct QueueLocation {
    pub url: String,
    pub dead_letters_url: String,
}

/// Asks a local stack for the URLs of its ticket queue. `option` is the flag that has its address.
///
/// # Errors
/// No local stack responds. The error says how to fix it.
pub(super) async fn locate_queue(url: &Url, option: &str) -> anyhow::Result<QueueLocation> {
    let response = call_local_stack(&local_client()?, url, "/_dev/queues/tickets", option).await?;
    response
        .json()
        .await
        .map_err(|error| unreachable_error(url, option, error))
}

fn route(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

fn unreachable_error(url: &Url, option: &str, error: reqwest::Error) -> anyhow::Error {
    let remedy = if error.is_connect() {
        format!("no server listens at {url}: start `muster dev`, or name a queue with {option}")
    } else {
        format!("{url} did not respond: check the output of `muster dev`, and try again")
    };
    anyhow::Error::from(error.without_url()).context(remedy)
}

/// Splits events into JSON arrays of bounded size, each with the position of its first event.
fn bodies(events: &[String]) -> Vec<(usize, Vec<&str>)> {
    const MAX_BYTES: usize = 256 * 1024;
    let mut bodies: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut bytes = 0;
    for (at, event) in events.iter().enumerate() {
        bytes += event.len() + 1;
        match bodies.last_mut() {
            Some((_, body)) if bytes <= MAX_BYTES => body.push(event),
            _ => {
                bytes = event.len() + 1;
                bodies.push((at, vec![event]));
            }
        }
    }
    bodies
}

async fn post(client: &reqwest::Client, url: &Url, events: Vec<&str>) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Accepted {
        accepted: usize,
    }
    let body = format!("[{}]", events.join(","));
    let response = client
        .post(url.clone())
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    let response = response.map_err(|error| unreachable_error(url, "--to", error))?;
    let status = response.status();
    let text = response
        .text()
        .await
        .map_err(|error| unreachable_error(url, "--to", error))?;
    if status != StatusCode::ACCEPTED {
        bail!("{url} responded {status}: {}", text.trim());
    }
    let Accepted { accepted } =
        serde_json::from_str(&text).with_context(|| format!("{url} responded: {}", text.trim()))?;
    ensure!(
        accepted == events.len(),
        "{url} accepted {accepted} of {} events",
        events.len()
    );
    Ok(())
}

async fn queue(url: &Url) -> anyhow::Result<TicketQueue> {
    let client = Client::from_conf(
        sqs_client::client_config(
            url,
            "send to a local stack: start `muster dev`, and leave out --to",
        )
        .await?
        .build(),
    );
    sqs_client::attributes(&client, url).await?;
    Ok(TicketQueue::Queue(Queue::new(client, url.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_have_their_own_batches() {
        let of = |bytes: usize| "x".repeat(bytes);
        let events = [
            of(200 * 1024),
            of(50 * 1024),
            of(10 * 1024),
            of(256 * 1024),
            of(1),
        ];
        let cut = bodies(&events);
        assert_eq!(
            cut.iter()
                .map(|(at, body)| (*at, body.len()))
                .collect::<Vec<_>>(),
            [(0, 2), (2, 1), (3, 1), (4, 1)]
        );
        assert!(bodies(&[]).is_empty());
    }
}

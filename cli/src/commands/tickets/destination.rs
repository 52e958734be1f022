//! Where events go: an SQS queue, or the local stack's.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use aws_sdk_sqs::{config::Region, error::ProvideErrorMetadata};
use muster::queue::{Message, Queue};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::super::{PATIENCE, aws_config};
use crate::{args::Destination, emulator};

/// A queue that answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Opened {
    LocalStack { client: reqwest::Client, url: Url },
    Queue(Queue),
}

/// What could not be sent, though a part of it may have been.
#[derive(Debug)]
pub(super) struct Failed {
    /// The positions of the events.
    pub events: Vec<usize>,
    pub cause: anyhow::Error,
}

impl Opened {
    /// Makes sure that the queue is there, with one call.
    ///
    /// # Errors
    /// It is not, or does not take what this environment has for credentials; says what to do.
    pub(super) async fn new(destination: &Destination) -> anyhow::Result<Self> {
        match destination {
            Destination::LocalStack(url) => local_stack(url).await,
            Destination::Queue(url) => queue(url).await,
        }
    }

    /// The most events to send in one call.
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::LocalStack { .. } => 100,
            Self::Queue(_) => Queue::MAX_BATCH,
        }
    }

    /// Sends events, at most [`Opened::batch`].
    ///
    /// # Errors
    /// Those that were not taken in time.
    pub(super) async fn send(&self, events: &[String]) -> Result<(), Failed> {
        match self {
            Self::LocalStack { client, url } => {
                for (at, body) in bodies(events) {
                    post(client, url, body)
                        .await
                        .map_err(|cause| Failed { events: (at..events.len()).collect(), cause })?;
                }
                Ok(())
            }
            Self::Queue(queue) => {
                let messages: Vec<_> = events.iter().cloned().map(Message::new).collect();
                let sent = queue.send(&messages, Instant::now() + PATIENCE).await;
                sent.map_err(|error| Failed { events: error.messages.clone(), cause: error.into() })
            }
        }
    }
}

async fn local_stack(url: &Url) -> anyhow::Result<Opened> {
    // A proxy has no business with this machine's own addresses.
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let answer = client.get(route(url, "/_dev/queues")).send().await.map_err(|error| unreachable(url, error))?;
    ensure!(
        answer.status().is_success(),
        "what answers at {url} ({}) is no local stack with a ticket queue: start `muster dev`, or name another with --to",
        answer.status()
    );
    Ok(Opened::LocalStack { client, url: route(url, "/_dev/queues/tickets") })
}

fn route(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

fn unreachable(url: &Url, error: reqwest::Error) -> anyhow::Error {
    let remedy = if error.is_connect() {
        format!("nobody listens at {url}: start `muster dev`, or name a queue with --to")
    } else {
        format!("{url} did not answer: look at what `muster dev` says, and try again")
    };
    anyhow::Error::from(error.without_url()).context(remedy)
}

/// JSON arrays of events, none longer than it must be, and at which event each begins.
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
    struct Answer {
        accepted: usize,
    }
    let body = format!("[{}]", events.join(","));
    let answer = client.post(url.clone()).header("content-type", "application/json").body(body).send().await;
    let answer = answer.map_err(|error| unreachable(url, error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| unreachable(url, error))?;
    if status != StatusCode::ACCEPTED {
        bail!("{url} answered {status}: {}", text.trim());
    }
    let Answer { accepted } =
        serde_json::from_str(&text).with_context(|| format!("{url} answered: {}", text.trim()))?;
    ensure!(accepted == events.len(), "{url} took {accepted} of {} events", events.len());
    Ok(())
}

async fn queue(url: &Url) -> anyhow::Result<Opened> {
    ensure!(
        url.path().rsplit_once('.').is_none_or(|(_, ending)| ending != "fifo"),
        "{url} is a FIFO queue: tickets go to a standard one, since Muster puts their events in order itself"
    );
    let config = if emulator::is_at(url) {
        emulator::sdk_config(&url.origin().ascii_serialization())
    } else {
        aws_config("send to a local stack: start `muster dev`, and leave out --to").await?
    };
    let mut builder = aws_sdk_sqs::config::Builder::from(&config);
    match region(url) {
        Some(region) => builder = builder.region(Region::new(region.to_owned())),
        None if config.region().is_none() => builder = builder.region(Region::from_static("us-east-1")),
        None => {}
    }
    if !is_public(url) {
        builder = builder.endpoint_url(url.origin().ascii_serialization());
    }
    let client = aws_sdk_sqs::Client::from_conf(builder.build());
    if let Err(error) = client.get_queue_attributes().queue_url(url.as_str()).send().await {
        let code = error.code().unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let remedy = match code {
            // Whoever may only send may send, and an emulator need not know the question.
            "AccessDenied" | "AccessDeniedException" | "UnsupportedOperation" => None,
            "NonExistentQueue" | "QueueDoesNotExist" => Some(format!(
                "there is no queue {url}: look at the outputs of the deployed stack, and at the region and account in the URL"
            )),
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException" => {
                Some(format!("{url} refuses these AWS credentials: check AWS_PROFILE, or what their user may do"))
            }
            _ => Some(format!("check that SQS answers at {url}, and try again")),
        };
        if let Some(remedy) = remedy {
            let cause = match error.message() {
                Some(message) => format!("{code}: {message}"),
                None => aws_sdk_sqs::error::DisplayErrorContext(error).to_string(),
            };
            return Err(anyhow!(cause).context(remedy));
        }
    }
    Ok(Opened::Queue(Queue::new(client, url.as_str())))
}

/// The region that a URL of AWS names: `sqs.eu-west-1.amazonaws.com`, and the names of VPC endpoints.
fn region(url: &Url) -> Option<&str> {
    let host = url.domain().filter(|host| host.contains(".amazonaws.com"))?;
    let mut labels = host.split('.').skip_while(|label| !matches!(*label, "sqs" | "sqs-fips"));
    labels.nth(1)
}

/// Whether this is where the SDK finds the queue by its region, or by what the environment says in place of it.
fn is_public(url: &Url) -> bool {
    let host = url.domain().unwrap_or_default();
    region(url).is_some_and(|region| host.trim_end_matches(".cn") == format!("sqs.{region}.amazonaws.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_tells_the_region() {
        for (url, of, public) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/t", Some("eu-west-1"), true),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/t", Some("cn-north-1"), true),
            ("https://sqs-fips.us-east-2.amazonaws.com/1/t", Some("us-east-2"), false),
            ("https://vpce-0a-b.sqs.us-east-1.vpce.amazonaws.com/1/t", Some("us-east-1"), false),
            ("http://127.0.0.1:4566/1/t", None, false),
            ("http://sqs.us-east-1.localhost.localstack.cloud:4566/1/t", None, false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((region(&url), is_public(&url)), (of, public), "{url}");
        }
    }

    #[test]
    fn large_events_travel_alone() {
        let of = |bytes: usize| "x".repeat(bytes);
        let events = [of(200 * 1024), of(50 * 1024), of(10 * 1024), of(256 * 1024), of(1)];
        let cut = bodies(&events);
        assert_eq!(
            cut.iter().map(|(at, body)| (*at, body.len())).collect::<Vec<_>>(),
            [(0, 2), (2, 1), (3, 1), (4, 1)]
        );
        assert!(bodies(&[]).is_empty());
    }
}

//! Where events go to, or come back from: an SQS queue, or the local stack's.

use std::{collections::HashMap, fmt, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use aws_sdk_sqs::{
    Client,
    config::Region,
    error::{ProvideErrorMetadata, SdkError},
    types::QueueAttributeName,
};
use muster_contracts::events::organization_in;
use muster_domain::OrganizationId;
use muster_service::aws::sqs_send::{Message, Queue};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::{
    commands::{PATIENCE, aws},
    emulator,
};

/// Where ticket events are sent to. An SQS queue's URL has a path, account and name; the local
/// stack's address has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A `muster dev`.
    LocalStack(url::Url),
    /// An SQS queue, or an emulator's.
    Queue(url::Url),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalStack(url) => f.write_str(&url.origin().ascii_serialization()),
            Self::Queue(url) => url.fmt(f),
        }
    }
}

pub(super) fn destination(text: &str) -> Result<Destination, String> {
    const RULE: &str = "neither an address of `muster dev`, such as http://127.0.0.1:3000, nor a queue's URL, such as \
                        https://sqs.eu-west-1.amazonaws.com/123456789012/tickets";
    let url = url::Url::parse(text).map_err(|_| RULE)?;
    let has_path = url.path().len() > 1;
    match url.scheme() {
        "http" if !has_path => Ok(Destination::LocalStack(url)),
        "http" | "https" if has_path => Ok(Destination::Queue(url)),
        _ => Err(RULE.to_owned()),
    }
}

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

    /// Sends events, at most [`Opened::batch`], each with its organization as its message group.
    ///
    /// # Errors
    /// Those that were not taken in time.
    pub(super) async fn send(&self, events: &[String]) -> Result<(), Failed> {
        match self {
            Self::LocalStack { client, url } => {
                for (at, body) in bodies(events) {
                    post(client, url, body).await.map_err(|cause| Failed {
                        events: (at..events.len()).collect(),
                        cause,
                    })?;
                }
                Ok(())
            }
            Self::Queue(queue) => {
                let messages: Vec<_> = events
                    .iter()
                    .map(|event| grouped(event.clone(), None))
                    .collect();
                let sent = queue.send(&messages, Instant::now() + PATIENCE).await;
                sent.map_err(|error| Failed {
                    events: error.messages.clone(),
                    cause: error.into(),
                })
            }
        }
    }
}

/// A message with the organization of its event as its group, or with this group where the event
/// names none. The local stack's own route does the same.
pub(super) fn grouped(body: String, otherwise: Option<String>) -> Message {
    let group = organization_in(&body)
        .as_ref()
        .map(OrganizationId::to_string)
        .or(otherwise);
    Message {
        group,
        ..Message::new(body)
    }
}

async fn local_stack(url: &Url) -> anyhow::Result<Opened> {
    let client = local_client()?;
    ask_local_stack(&client, url, "/_dev/queues", "--to").await?;
    Ok(Opened::LocalStack {
        client,
        url: route(url, "/_dev/queues/tickets"),
    })
}

fn local_client() -> anyhow::Result<reqwest::Client> {
    // A proxy has no business with this machine's own addresses.
    Ok(reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?)
}

/// Asks a local stack, whose address this option gave.
async fn ask_local_stack(
    client: &reqwest::Client,
    url: &Url,
    path: &str,
    option: &str,
) -> anyhow::Result<reqwest::Response> {
    let answer = client
        .get(route(url, path))
        .send()
        .await
        .map_err(|error| unreachable(url, option, error))?;
    ensure!(
        answer.status().is_success(),
        "what answers at {url} ({}) is no local stack with a ticket queue: start `muster dev`, or name another with \
         {option}",
        answer.status()
    );
    Ok(answer)
}

/// Where a local stack has its ticket queue and that one's dead letters, as SQS.
#[derive(Debug, Deserialize)]
pub(super) struct Located {
    pub url: String,
    pub dead_letters_url: String,
}

/// Asks a local stack, whose address this option gave, for its ticket queue.
///
/// # Errors
/// There is none; says what to do.
pub(super) async fn locate(url: &Url, option: &str) -> anyhow::Result<Located> {
    let answer = ask_local_stack(&local_client()?, url, "/_dev/queues/tickets", option).await?;
    answer
        .json()
        .await
        .map_err(|error| unreachable(url, option, error))
}

fn route(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

fn unreachable(url: &Url, option: &str, error: reqwest::Error) -> anyhow::Error {
    let remedy = if error.is_connect() {
        format!("nobody listens at {url}: start `muster dev`, or name a queue with {option}")
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
    let answer = client
        .post(url.clone())
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    let answer = answer.map_err(|error| unreachable(url, "--to", error))?;
    let status = answer.status();
    let text = answer
        .text()
        .await
        .map_err(|error| unreachable(url, "--to", error))?;
    if status != StatusCode::ACCEPTED {
        bail!("{url} answered {status}: {}", text.trim());
    }
    let Answer { accepted } =
        serde_json::from_str(&text).with_context(|| format!("{url} answered: {}", text.trim()))?;
    ensure!(
        accepted == events.len(),
        "{url} took {accepted} of {} events",
        events.len()
    );
    Ok(())
}

async fn queue(url: &Url) -> anyhow::Result<Opened> {
    let client = Client::from_conf(
        sqs(
            url,
            "send to a local stack: start `muster dev`, and leave out --to",
        )
        .await?
        .build(),
    );
    attributes(&client, url).await?;
    Ok(Opened::Queue(Queue::new(client, url.as_str())))
}

/// The configuration of a client for this queue. Without credentials for it the user may do
/// `otherwise`.
///
/// # Errors
/// It is a FIFO queue, or the environment has no credentials for AWS.
pub(super) async fn sqs(
    url: &Url,
    otherwise: &str,
) -> anyhow::Result<aws_sdk_sqs::config::Builder> {
    ensure!(
        url.path()
            .rsplit_once('.')
            .is_none_or(|(_, ending)| ending != "fifo"),
        "{url} is a FIFO queue: Muster's are standard ones, since it puts events in order itself"
    );
    let config = if emulator::is_at(url) {
        emulator::sdk_config(&url.origin().ascii_serialization())
    } else {
        aws::sdk_config(otherwise).await?
    };
    let mut builder = aws_sdk_sqs::config::Builder::from(&config);
    match region(url) {
        Some(region) => builder = builder.region(Region::new(region.to_owned())),
        None if config.region().is_none() => {
            builder = builder.region(Region::from_static("us-east-1"));
        }
        None => {}
    }
    if !is_public(url) {
        builder = builder.endpoint_url(url.origin().ascii_serialization());
    }
    Ok(builder)
}

/// A queue's attributes, with one call; none where they are kept from this user, or an emulator
/// knows of none.
///
/// # Errors
/// The queue is not there, or does not take what this environment has for credentials; says what to
/// do.
pub(super) async fn attributes(
    client: &Client,
    url: &Url,
) -> anyhow::Result<HashMap<QueueAttributeName, String>> {
    let asked = client
        .get_queue_attributes()
        .queue_url(url.as_str())
        .attribute_names(QueueAttributeName::All);
    match asked.send().await {
        Ok(answer) => Ok(answer.attributes.unwrap_or_default()),
        // Whoever may only send may send, and an emulator need not know the question.
        Err(error)
            if matches!(
                code(&error),
                "AccessDenied" | "AccessDeniedException" | "UnsupportedOperation"
            ) =>
        {
            Ok(HashMap::new())
        }
        Err(error) => Err(explain(url, error)),
    }
}

/// The code of what SQS says, without its older names' prefix.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error
        .code()
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default()
}

/// Says what went wrong with a queue, and what to do about it.
pub(super) fn explain<E>(url: &Url, error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = code(&error);
    let remedy = match code {
        "NonExistentQueue" | "QueueDoesNotExist" => format!(
            "there is no queue {url}: look at the outputs of the deployed stack, and at the region and account in the URL"
        ),
        "AccessDenied" | "AccessDeniedException" => {
            format!(
                "{url} does not let this user do that: docs/operations.md says what a command needs"
            )
        }
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => {
            format!(
                "{url} refuses these AWS credentials: check AWS_PROFILE, or what their user may do"
            )
        }
        _ => format!("check that SQS answers at {url}, and try again"),
    };
    let cause = match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => aws_sdk_sqs::error::DisplayErrorContext(error).to_string(),
    };
    anyhow!(cause).context(remedy)
}

/// The region that a URL of AWS names: `sqs.eu-west-1.amazonaws.com`, and the names of VPC
/// endpoints.
fn region(url: &Url) -> Option<&str> {
    let host = url
        .domain()
        .filter(|host| host.contains(".amazonaws.com"))?;
    let mut labels = host
        .split('.')
        .skip_while(|label| !matches!(*label, "sqs" | "sqs-fips"));
    labels.nth(1)
}

/// Whether this is where the SDK finds the queue by its region, or by what the environment says in
/// place of it.
fn is_public(url: &Url) -> bool {
    let host = url.domain().unwrap_or_default();
    region(url)
        .is_some_and(|region| host.trim_end_matches(".cn") == format!("sqs.{region}.amazonaws.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_a_queue_from_the_local_stack() {
        for local in [
            "http://127.0.0.1:3000",
            "http://localhost:3000/",
            "http://[::1]:8080",
        ] {
            assert!(
                matches!(destination(local), Ok(Destination::LocalStack(_))),
                "{local}"
            );
        }
        for queue in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/tickets",
            "http://127.0.0.1:4566/000000000000/tickets",
        ] {
            assert!(
                matches!(destination(queue), Ok(Destination::Queue(_))),
                "{queue}"
            );
        }
        for neither in [
            "",
            "tickets",
            "127.0.0.1:3000",
            "https://127.0.0.1:3000",
            "ftp://host/queue",
            "arn:aws:sqs:a:b:c",
        ] {
            assert!(destination(neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn the_url_tells_the_region() {
        for (url, of, public) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/1/t",
                Some("eu-west-1"),
                true,
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/t",
                Some("cn-north-1"),
                true,
            ),
            (
                "https://sqs-fips.us-east-2.amazonaws.com/1/t",
                Some("us-east-2"),
                false,
            ),
            (
                "https://vpce-0a-b.sqs.us-east-1.vpce.amazonaws.com/1/t",
                Some("us-east-1"),
                false,
            ),
            ("http://127.0.0.1:4566/1/t", None, false),
            (
                "http://sqs.us-east-1.localhost.localstack.cloud:4566/1/t",
                None,
                false,
            ),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((region(&url), is_public(&url)), (of, public), "{url}");
        }
    }

    #[test]
    fn large_events_travel_alone() {
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

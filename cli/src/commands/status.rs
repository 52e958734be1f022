//! `muster status`.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::Context;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use clap::Args;
use muster_domain::{ListTeams, Order, OrganizationId, PageRange, SortBy};
use muster_service::store::{Error, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    LIST_TIMEOUT, TableTarget,
    columns::columns,
    tickets::{queue_url, sqs_client},
    values,
};
use crate::{output, running::RunningStack};

/// The maximum number of pages of the index that are counted. Above that, the count is a lower
/// bound.
const MAX_PAGES: usize = 20;

/// The number of index entries of a page.
const PAGE_SIZE: usize = 1000;

/// The alternative to credentials for AWS.
const LOCAL_STACK_HINT: &str = "show a local stack: start `muster dev`, and leave out --queue";

/// `muster status`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster status
  muster status --organization acme --table muster
  muster status --organization acme --aws --queue https://sqs.eu-west-1.amazonaws.com/123456789012/tickets --json")]
pub struct Status {
    /// Organization of the tickets [default: the demo organization of the running `muster dev`]
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: Option<OrganizationId>,
    /// URL of an SQS queue to show, with its dead-letter queue. Can be repeated [default: the
    /// queues of the running `muster dev`]
    #[arg(long = "queue", value_name = "URL", value_parser = queue_url)]
    pub queues: Vec<Url>,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

/// The output.
#[derive(Debug, Serialize)]
struct Report {
    /// The address of the local stack.
    stack: Option<String>,
    table: String,
    queues: Vec<QueueStatus>,
    organization_id: String,
    waiting_tickets: u64,
    unrouted_tickets: usize,
    /// False if there are more unrouted tickets than were counted.
    unrouted_is_complete: bool,
}

/// The numbers of messages of a queue. None are unknown if the user may not read them.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct QueueStatus {
    name: String,
    visible: Option<u64>,
    in_flight: Option<u64>,
    dead_letters: Option<u64>,
}

impl Status {
    /// Prints the numbers of messages, waiting and unrouted tickets.
    ///
    /// # Errors
    /// No organization is named, the table, a queue or the local stack fails, or the output cannot
    /// be written.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            queues,
            json,
            target,
        } = self;
        let target = target.resolve().await?;
        let organization = target.organization(organization)?;
        let store = target.table().await?.until(Instant::now() + LIST_TIMEOUT);
        target.ensure_organization(&store, &organization).await?;
        let counted = async {
            let waiting = waiting(&store, &organization).await?;
            let (unrouted, is_complete) = unrouted(&store, &organization).await?;
            Ok::<_, Error>((waiting, unrouted, is_complete))
        };
        let (waiting_tickets, unrouted_tickets, unrouted_is_complete) =
            counted.await.map_err(|error| target.explain(error))?;
        let mut shown = match &target.stack {
            Some(stack) if queues.is_empty() => local_queues(stack).await?,
            _ => Vec::new(),
        };
        for url in &queues {
            shown.push(queue_status(url).await?);
        }
        let report = Report {
            stack: target
                .stack
                .as_ref()
                .map(|stack| stack.url.origin().ascii_serialization()),
            table: target.table,
            queues: shown,
            organization_id: organization.to_string(),
            waiting_tickets,
            unrouted_tickets,
            unrouted_is_complete,
        };
        if json {
            output::line(serde_json::to_string(&report)?)?;
        } else {
            output::write(|out| out.write_all(text(&report).as_bytes()))?;
        }
        Ok(())
    }
}

/// Returns the number of waiting tickets of all teams. One round trip for each megabyte of teams,
/// and one for their loads. The index of waiting tickets would lag behind, and it lacks tickets
/// that an earlier version wrote.
async fn waiting(store: &Store, organization: &OrganizationId) -> Result<u64, Error> {
    let teams = store.list_teams(organization, &all_teams()).await?.teams;
    Ok(teams.iter().map(|team| team.load.waiting_tickets).sum())
}

/// Returns the list of all teams with their loads.
pub(super) fn all_teams() -> ListTeams {
    ListTeams {
        page: PageRange {
            skip: 0,
            limit: usize::MAX,
        },
        search: None,
        sort_by: SortBy::CreatedAt,
        order: Order::Ascending,
        count: false,
        loads: true,
        max_bytes: usize::MAX,
    }
}

/// Returns the number of unrouted tickets in the index, and if these are all. One round trip for
/// each page of [`PAGE_SIZE`] entries.
async fn unrouted(store: &Store, organization: &OrganizationId) -> Result<(usize, bool), Error> {
    let (mut count, mut after) = (0, None);
    for _ in 0..MAX_PAGES {
        let page = store
            .unrouted_tickets(organization, after.as_deref(), PAGE_SIZE)
            .await?;
        count += page.entries.len();
        after = page.next;
        if after.is_none() {
            return Ok((count, true));
        }
    }
    Ok((count, false))
}

/// A queue in the response of `/_dev/queues`.
#[derive(Deserialize)]
struct LocalQueue {
    visible: u64,
    in_flight: u64,
    dead_letters: Vec<Value>,
}

async fn local_queues(stack: &RunningStack) -> anyhow::Result<Vec<QueueStatus>> {
    // `HTTP_PROXY` must not apply to addresses of this machine.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?;
    let read = async {
        let response = client.get(stack.url.join("/_dev/queues")?).send().await?;
        anyhow::Ok(response.json::<BTreeMap<String, LocalQueue>>().await?)
    };
    let queues = read
        .await
        .with_context(|| format!("{} did not show its queues: try again", stack.url))?;
    let shown = queues.into_iter().map(|(name, queue)| {
        let LocalQueue {
            visible,
            in_flight,
            dead_letters,
        } = queue;
        QueueStatus {
            name,
            visible: Some(visible),
            in_flight: Some(in_flight),
            dead_letters: Some(dead_letters.len() as u64),
        }
    });
    Ok(shown.collect())
}

/// Reads the attributes of a queue and of its dead-letter queue. Two calls.
async fn queue_status(url: &Url) -> anyhow::Result<QueueStatus> {
    let config = sqs_client::client_config(url, LOCAL_STACK_HINT).await?;
    let client = Client::from_conf(config.build());
    let attributes = sqs_client::attributes(&client, url).await?;
    let number = |attributes: &std::collections::HashMap<QueueAttributeName, String>, name| {
        attributes.get(&name).and_then(|text| text.parse().ok())
    };
    let dead_letters = match attributes
        .get(&QueueAttributeName::RedrivePolicy)
        .and_then(|policy| dead_letter_queue(url, policy))
    {
        Some(url) => number(
            &sqs_client::attributes(&client, &url).await?,
            QueueAttributeName::ApproximateNumberOfMessages,
        ),
        None => None,
    };
    Ok(QueueStatus {
        name: url.path().rsplit('/').next().unwrap_or_default().to_owned(),
        visible: number(&attributes, QueueAttributeName::ApproximateNumberOfMessages),
        in_flight: number(
            &attributes,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ),
        dead_letters,
    })
}

/// Returns the URL of the dead-letter queue of a redrive policy. It has the same account and region
/// (Amazon SQS Developer Guide, "Using dead-letter queues in Amazon SQS",
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>).
fn dead_letter_queue(url: &Url, policy: &str) -> Option<Url> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let name = policy["deadLetterTargetArn"].as_str()?.rsplit(':').next()?;
    let mut other = url.clone();
    other.path_segments_mut().ok()?.pop().push(name);
    Some(other)
}

fn text(report: &Report) -> String {
    let Report {
        stack,
        table,
        queues,
        organization_id,
        waiting_tickets,
        unrouted_tickets,
        unrouted_is_complete,
    } = report;
    let mut text = String::new();
    if !queues.is_empty() {
        let rows: Vec<_> = queues.iter().map(row).collect();
        text.push_str(&columns(
            ["QUEUE", "VISIBLE", "IN FLIGHT", "DEAD LETTERS"],
            &rows,
        ));
        text.push('\n');
    }
    let more = if *unrouted_is_complete {
        ""
    } else {
        "at least "
    };
    let place = stack.as_deref().unwrap_or("DynamoDB");
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Organization  {organization_id}, in the table {table} of {place}\n\
         Waiting       {waiting_tickets} tickets\n\
         Unrouted      {more}{unrouted_tickets} tickets\n"
    );
    if queues
        .iter()
        .any(|queue| queue.dead_letters.is_some_and(|count| count > 0))
    {
        text.push_str(
            "\n`muster tickets redrive --dry-run` shows dead letters and their reasons.\n",
        );
    }
    text
}

fn row(queue: &QueueStatus) -> [String; 4] {
    let QueueStatus {
        name,
        visible,
        in_flight,
        dead_letters,
    } = queue;
    let number = |count: &Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
    [
        name.clone(),
        number(visible),
        number(in_flight),
        number(dead_letters),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letter_queue_has_the_url_of_its_source() {
        let url = Url::parse("https://sqs.eu-west-1.amazonaws.com/123456789012/tickets").unwrap();
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead","maxReceiveCount":10}"#;
        assert_eq!(
            dead_letter_queue(&url, policy).unwrap().as_str(),
            "https://sqs.eu-west-1.amazonaws.com/123456789012/dead"
        );
        assert_eq!(dead_letter_queue(&url, "{}"), None);
    }

    #[test]
    fn unknown_and_incomplete_counts_are_marked() {
        let report = Report {
            stack: None,
            table: "muster".to_owned(),
            queues: vec![QueueStatus {
                name: "tickets".to_owned(),
                visible: Some(3),
                in_flight: None,
                dead_letters: Some(1),
            }],
            organization_id: "acme".to_owned(),
            waiting_tickets: 2,
            unrouted_tickets: 20_000,
            unrouted_is_complete: false,
        };
        assert_eq!(
            text(&report),
            "QUEUE    VISIBLE  IN FLIGHT  DEAD LETTERS\n\
             tickets  3        -          1\n\n\
             Organization  acme, in the table muster of DynamoDB\n\
             Waiting       2 tickets\n\
             Unrouted      at least 20000 tickets\n\n\
             `muster tickets redrive --dry-run` shows dead letters and their reasons.\n"
        );
    }
}

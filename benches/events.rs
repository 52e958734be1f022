//! Events of tickets, and batches of them as SQS delivers them.

use std::time::Duration;

use anyhow::ensure;
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Context, LambdaEvent};
use muster_cli::emulator;
use muster_domain::{OrganizationId, TeamId, Timestamp};
use muster_service::{aws::sqs_send::Queue, store::Table};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// The four sets of topics of the tickets: category and subcategory.
const TOPICS: [[&str; 2]; 4] = [
    ["networking", "vpn"],
    ["mail", "printer"],
    ["networking", "dns"],
    ["hardware", "printer"],
];

/// Returns the message of a new ticket of a team, with two topics.
pub fn new_ticket(org: &OrganizationId, team: TeamId, id: &str, n: usize) -> Value {
    let [category, subcategory] = TOPICS[n % TOPICS.len()];
    let at = Timestamp::now().secs();
    json!({
        "specversion": "1.0",
        "id": format!("created-{id}"),
        "source": "/desk",
        "type": "ticket.created",
        "time": Timestamp::now().iso8601_millis(),
        "data": { "organization_id": org.as_str(), "ticket": {
            "id": id,
            "status": "new",
            "priority": "high",
            "category": category,
            "subcategory": subcategory,
            "created_at": at,
            "updated_at": at,
            "assigned_team_id": format!("team_{}", team.uuid()),
        }},
    })
}

/// Returns the dependencies of the assignment function over a table.
pub fn assignment(fixture: &Fixture, table: Table) -> muster_assignment::Deps {
    let client = aws_sdk_sqs::Client::new(&emulator::sdk_config(&fixture.stack.aws_url));
    muster_assignment::Deps {
        table,
        dead_letters: Queue::new(client, fixture.stack.queue_url("tickets-dead-letters")),
        clock: std::sync::Arc::new(Timestamp::now),
    }
}

/// Returns the invocation of a function with messages of a queue, and a minute until its deadline.
///
/// # Errors
/// The clock is before 1970.
pub fn batch(messages: &[Value]) -> anyhow::Result<LambdaEvent<SqsEvent>> {
    let record = |(at, message): (usize, &Value)| {
        json!({
            "messageId": at.to_string(),
            "receiptHandle": "AQEB",
            "body": message.to_string(),
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1736064000000" },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:tickets",
            "awsRegion": "us-east-1",
        })
    };
    let records: Vec<_> = messages.iter().enumerate().map(record).collect();
    let mut context = Context::default();
    let deadline = Timestamp::now().plus(Duration::from_mins(1));
    context.deadline = u64::try_from(deadline.millis())?;
    let event = serde_json::from_value(json!({ "Records": records }))?;
    Ok(LambdaEvent::new(event, context))
}

/// Processes a batch of the ticket queue.
///
/// # Errors
/// A message failed.
pub async fn assign(
    deps: &muster_assignment::Deps,
    event: LambdaEvent<SqsEvent>,
) -> anyhow::Result<()> {
    let Ok(response) = muster_assignment::handle(event, deps).await;
    let failed = response.batch_item_failures.len();
    ensure!(failed == 0, "{failed} messages failed");
    Ok(())
}

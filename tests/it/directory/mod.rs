//! The directory function: user events update profiles, and profiles are copied into memberships.

mod commands;
mod copies;
mod dead_letter_server;
mod deletion;
mod events;
mod failures;

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::Client;
use lambda_http::{Context, LambdaEvent};
use muster_directory::{Deps, handle};
use muster_domain::{OrganizationId, Timestamp, User, UserId};
use muster_service::store::{Store, Table};
use serde_json::{Value, json};
use uuid::Uuid;

use self::dead_letter_server::DeadLetters;
use crate::support::{Organization, Stack, invoke::client_config};

/// An organization, and the dependencies of the directory function.
struct DirectoryFixture {
    org: Organization,
    dead_letters: DeadLetters,
    deps: Deps,
    /// The time of an invocation.
    time: Duration,
}

impl DirectoryFixture {
    async fn new() -> Self {
        let org = Stack::shared().organization().await;
        let client = Client::from_conf(client_config(&org.stack).build());
        Self::over(org, client).await
    }

    async fn over(org: Organization, client: Client) -> Self {
        let dead_letters = DeadLetters::default();
        let deps = Deps {
            table: Table::new(client, org.stack.table.as_str()),
            dead_letters: dead_letters.queue().await,
            clock: Arc::new(Timestamp::now),
        };
        Self {
            org,
            dead_letters,
            deps,
            time: Duration::from_secs(30),
        }
    }

    /// Invokes the function with messages, and returns the positions of those that failed.
    async fn handle_batch(&self, bodies: &[String]) -> Vec<usize> {
        let record = |(at, body): (usize, &String)| {
            json!({
                "messageId": at.to_string(), "receiptHandle": "r", "body": body, "md5OfBody": "", "awsRegion": "us-east-1",
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:users",
            })
        };
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        let event = serde_json::from_value(json!({ "Records": records })).expect("an SQS event");
        let mut context = Context::default();
        context.deadline =
            u64::try_from(Timestamp::now().plus(self.time).millis()).expect("the time is positive");
        let deps = self.deps.clone();
        // On a task of its own, as in a multi-threaded runtime.
        let handled =
            tokio::spawn(async move { handle(LambdaEvent::new(event, context), &deps).await });
        let Ok(response) = handled.await.expect("the function does not panic");
        response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.parse().expect("ours"))
            .collect()
    }

    async fn handle_all(&self, bodies: &[String]) {
        assert_eq!(self.handle_batch(bodies).await, [0_usize; 0]);
    }

    fn event(&self, kind: &str, at: i64, user: &Value) -> String {
        event_of(&self.org.id, kind, at, user)
    }

    async fn user(&self, id: UserId) -> Option<User> {
        self.store()
            .user(&self.org.id, id)
            .await
            .expect("the table can be read")
    }

    fn store(&self) -> Store {
        self.org.stack.store()
    }

    /// Copies a user's profile, page by page, and returns the number of pages.
    async fn copies(&self, id: UserId) -> usize {
        let (mut after, mut pages) = (None, 1);
        loop {
            let now = Timestamp::now();
            let page = self
                .store()
                .copy_profile(&self.org.id, id, after, now)
                .await
                .expect("the profile is copied");
            after = page.and_then(|page| page.next);
            if after.is_none() {
                return pages;
            }
            pages += 1;
        }
    }

    async fn itsm_team(&self, team: &str) -> Value {
        self.org.itsm.get(&format!("/v1/teams/{team}")).await.json["data"].clone()
    }
}

/// Returns an event at a second of its own, which also determines its id.
fn event_of(org: &OrganizationId, kind: &str, at: i64, user: &Value) -> String {
    json!({
        "specversion": "1.0", "id": format!("e{at}"), "source": "desk", "type": kind, "time": 1_736_064_000 + at,
        "data": {"organization_id": org.as_str(), "user": user},
    })
    .to_string()
}

fn new_id() -> UserId {
    UserId::new(Uuid::new_v4())
}

fn user_fields(id: UserId, name: &str) -> Value {
    json!({"id": id.uuid().to_string(), "name": name, "email": format!("{name}@acme.example"), "status": "active"})
}

//! The rules of tickets, from the queues to the responses of the API and the announcements.
//!
//! Where the two platforms write an event in different words or forms, the test runs for both.

mod adoption;
mod announcements;
mod cases;
mod closing;
mod deletion;
mod event;
mod forms;
mod placement;
mod poison;
mod strategies;
mod unrouted;
mod versions;
mod waiting;
mod workload;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::Timestamp;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::{event::PlatformEvent, placement::Placement};
use crate::support::{
    Client, Organization, Response, Stack, bare, fast_delivery,
    table::{Item, text},
    wait_until,
};

/// The time from which events count their seconds. It is in the past, so that no event is ahead of
/// the clock.
const MORNING: i64 = 1_736_064_000;

/// The visibility timeout of a failed message, on a local stack.
const SOON: Duration = Duration::from_secs(10);

/// Returns the stack that these tests share. Its batching window is zero.
async fn stack() -> Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK
        .get_or_init(|| Stack::with_fast_delivery(SOON))
        .await
        .clone()
}

/// Returns a stack for one test.
async fn own_stack() -> Stack {
    Stack::with_settings(fast_delivery(SOON)).await
}

/// The platform that writes an event and calls the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    TopTickets,
    Itsm,
}

impl Platform {
    const BOTH: [Self; 2] = [Self::TopTickets, Self::Itsm];

    fn team(self, id: &str) -> String {
        match self {
            Self::TopTickets => id.to_owned(),
            Self::Itsm => format!("team_{id}"),
        }
    }

    fn user(self, id: &str) -> String {
        match self {
            Self::TopTickets => id.to_owned(),
            Self::Itsm => format!("usr_{id}"),
        }
    }

    /// Returns a time, in seconds after [`MORNING`].
    fn time(self, after: i64) -> Value {
        match self {
            Self::TopTickets => json!(Timestamp::from_secs(MORNING + after).iso8601()),
            Self::Itsm => json!(MORNING + after),
        }
    }
}

/// An organization, and one platform with its clock.
struct PlatformFixture {
    org: Organization,
    platform: Platform,
    seconds: AtomicI64,
    announcements: Mutex<AnnouncementLog>,
}

/// The announcements of an organization that have been read.
#[derive(Default)]
struct AnnouncementLog {
    ours: Vec<Value>,
    /// The number of the last one.
    next: u64,
}

impl PlatformFixture {
    async fn new(platform: Platform) -> Self {
        Self::on(&stack().await, platform).await
    }

    async fn on(stack: &Stack, platform: Platform) -> Self {
        // Shown if a test fails.
        println!("platform: {platform:?}");
        Self::of(stack.organization().await, platform)
    }

    fn of(org: Organization, platform: Platform) -> Self {
        Self {
            org,
            platform,
            seconds: AtomicI64::new(0),
            announcements: Mutex::default(),
        }
    }

    /// Returns a user's id without a prefix.
    fn user(&self, n: usize) -> String {
        bare(&self.org.users[n])
    }

    fn users<const N: usize>(&self, ns: [usize; N]) -> [String; N] {
        ns.map(|n| self.user(n))
    }

    /// Creates a team with this strategy and these specializations. Returns its bare id.
    async fn team_of(&self, name: &str, strategy: &str, specializations: &[&str]) -> String {
        let body =
            json!({ "name": name, "queue_strategy": strategy, "specializations": specializations });
        let response = self.org.itsm.post("/v1/teams", body).await;
        assert_eq!(response.status, 201, "{response}");
        response.json["data"]["id"]
            .as_str()
            .and_then(|id| id.strip_prefix("team_"))
            .expect("an id with its prefix")
            .to_owned()
    }

    /// Creates a round-robin team of these users.
    async fn team<const N: usize>(&self, name: &str, members: [usize; N]) -> String {
        let team = self.team_of(name, "round_robin", &[]).await;
        for n in members {
            self.join(&team, n, &[]).await;
        }
        team
    }

    /// Creates a team with these specializations, and waits until the index has it.
    async fn team_with_topics<const N: usize>(
        &self,
        name: &str,
        topics: &[&str],
        members: [usize; N],
    ) -> String {
        let team = self.team_of(name, "round_robin", topics).await;
        for n in members {
            self.join(&team, n, &[]).await;
        }
        for topic in topics {
            self.until_indexed(&team, topic).await;
        }
        team
    }

    /// Waits until the index has a team under a topic.
    async fn until_indexed(&self, team: &str, topic: &str) {
        wait_until(topic, async || self.is_indexed(team, topic).await).await;
    }

    /// Returns true if the index has a team under a topic.
    async fn is_indexed(&self, team: &str, topic: &str) -> bool {
        let pk = format!("ORG#{}#SPEC#{}", self.org.id, topic.to_lowercase());
        let query = self
            .org
            .stack
            .dynamodb()
            .query()
            .table_name(&self.org.stack.table)
            .consistent_read(true);
        let query = query
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk));
        let entries = query
            .send()
            .await
            .expect("the table can be read")
            .items
            .unwrap_or_default();
        entries
            .iter()
            .any(|entry| text(entry, "sk").ends_with(team))
    }

    async fn join(&self, team: &str, n: usize, skills: &[&str]) {
        let body = json!({ "user_id": self.user(n), "skills": skills });
        let response = self
            .org
            .itsm
            .post(&format!("/v1/teams/{team}/members"), body)
            .await;
        assert_eq!(response.status, 201, "{response}");
    }

    async fn leave(&self, team: &str, n: usize) {
        let response = self
            .org
            .itsm
            .delete(&format!("/v1/teams/{team}/members/{}", self.user(n)))
            .await;
        assert_eq!(response.status, 204, "{response}");
    }

    /// Deletes a team over TopTickets.
    async fn delete_team(&self, team: &str) {
        let response = self
            .org
            .toptickets
            .delete(&format!("/v1/teams/{team}"))
            .await;
        assert_eq!(response.status, 204, "{response}");
    }

    /// Returns an event of a ticket that was opened in the morning. Each event is later than the
    /// previous one.
    fn ticket(&self, id: &str) -> PlatformEvent {
        let fields = json!({ "id": id, "status": "open", "created_at": self.platform.time(0) });
        let Value::Object(fields) = fields else {
            unreachable!("an object")
        };
        PlatformEvent {
            platform: self.platform,
            organization: self.org.id.to_string(),
            fields,
            event_id: None,
            event_time: None,
        }
        .at(self.seconds.fetch_add(10, SeqCst) + 10)
    }

    /// Sends events and waits until the queue is empty, so that all of them are processed.
    async fn send(&self, events: &[Value]) {
        self.send_to("tickets", events).await;
    }

    async fn send_to(&self, queue: &str, events: &[Value]) {
        self.org
            .stack
            .send(queue, events.iter().map(Value::to_string))
            .await;
        self.until_handled(queue).await;
    }

    async fn until_handled(&self, queue: &str) {
        self.org.stack.until_empty(queue).await;
    }

    /// Sends an event of a user in the platform's form.
    async fn user_event(&self, kind: &str, n: usize, mut fields: Value) {
        fields["id"] = json!(self.platform.user(&self.user(n)));
        let event = json!({
            "specversion": "1.0", "id": format!("{kind}.{n}"), "source": "/desk", "type": kind,
            "time": Timestamp::now().iso8601_millis(),
            "data": { "organization_id": self.org.id.as_str(), "user": fields },
        });
        self.send_to("users", &[event]).await;
    }

    fn client(&self) -> &Client {
        match self.platform {
            Platform::TopTickets => &self.org.toptickets,
            Platform::Itsm => &self.org.itsm,
        }
    }

    /// Returns the data of a response in the platform's contract, with bare ids.
    async fn get(&self, path: &str) -> Value {
        let response = self.client().get(path).await;
        assert_eq!(response.status, 200, "{response}");
        bare_ids(
            self.platform,
            if self.platform == Platform::Itsm {
                response.json["data"].clone()
            } else {
                response.json
            },
        )
    }

    async fn decision(&self, ticket: &str) -> Value {
        self.get(&format!("/v1/assignments/{ticket}")).await
    }

    async fn missing_decision(&self, ticket: &str) -> Response {
        let response = self
            .client()
            .get(&format!("/v1/assignments/{ticket}"))
            .await;
        assert_eq!(response.status, 404, "{response}");
        response
    }

    /// Returns the placement of a ticket.
    async fn placement(&self, ticket: &str) -> Placement {
        let decision = self.decision(ticket).await;
        let text = |field: &str| decision[field].as_str().map(str::to_owned);
        Placement {
            state: text("state").expect("a state"),
            team: text("team_id"),
            assignee: text("assignee_id"),
        }
    }

    /// Returns the assignees of these tickets.
    async fn assignees<const N: usize>(&self, tickets: [&str; N]) -> Vec<String> {
        let mut assignees = Vec::new();
        for ticket in tickets {
            assignees.push(
                self.placement(ticket)
                    .await
                    .assignee
                    .unwrap_or_else(|| panic!("{ticket} has no assignee")),
            );
        }
        assignees
    }

    /// Sends new tickets of a team, and returns their assignees.
    async fn assigned<const N: usize>(&self, team: &str, tickets: [&str; N]) -> Vec<String> {
        let events: Vec<_> = tickets
            .iter()
            .map(|id| self.ticket(id).team(team).created())
            .collect();
        self.send(&events).await;
        self.assignees(tickets).await
    }

    /// Returns a team's workload in the ITSM contract.
    async fn workload(&self, team: &str) -> Value {
        let response = self
            .org
            .itsm
            .get(&format!("/v1/teams/{team}/workload"))
            .await;
        assert_eq!(response.status, 200, "{response}");
        bare_ids(Platform::Itsm, response.json["data"].clone())
    }

    /// Returns a team's open tickets, and the open and in-progress tickets of each member in the
    /// order of joining.
    async fn load(&self, team: &str) -> (u64, Vec<(u64, u64)>) {
        let workload = self.workload(team).await;
        let number = |value: &Value| value.as_u64().expect("a count");
        let figures = |member: &Value| {
            (
                number(&member["open_tickets"]),
                number(&member["in_progress_tickets"]),
            )
        };
        let members = workload["members"].as_array().expect("members");
        (
            number(&workload["total_open_tickets"]),
            members.iter().map(figures).collect(),
        )
    }

    /// Waits until a ticket has this placement.
    async fn until_placed(&self, ticket: &str, place: &Placement) {
        wait_until(&format!("{ticket} {place}"), async || {
            self.placement(ticket).await == *place
        })
        .await;
    }

    /// Passes every announcement of the organization so far to a closure, in order.
    fn announced<T>(&self, read: impl FnOnce(&[Value]) -> T) -> T {
        let mut announcements = self.announcements.lock().expect("the lock is not poisoned");
        let AnnouncementLog { ours, next } = &mut *announcements;
        loop {
            let (events, after) = self.org.stack.announced_after(*next);
            if events.is_empty() {
                return read(ours);
            }
            let events = events
                .iter()
                .filter(|event| event.contains(self.org.id.as_str()));
            ours.extend(
                events.map(|event| serde_json::from_str::<Value>(event).expect("an event is JSON")),
            );
            *next = after;
        }
    }

    /// Returns the announcements of one subject, after all changes so far are announced.
    async fn announced_of(&self, subject: &str) -> Vec<Value> {
        let about = |event: &Value, subject: &str| event["subject"] == *subject;
        // Batches of the stream are announced one after the other. Within a batch, only
        // announcements of one subject keep their order. A second marker, created after the
        // announcement of the first, is therefore later than all that precedes the first.
        for _ in 0..2 {
            let marker = self
                .org
                .team(&format!("Marker {}", self.seconds.fetch_add(1, SeqCst)))
                .await;
            let marker = format!("teams/{marker}");
            wait_until("the announcement of the marker", async || {
                self.announced(|all| all.iter().any(|event| about(event, &marker)))
            })
            .await;
        }
        self.announced(|all| {
            all.iter()
                .filter(|event| about(event, subject))
                .cloned()
                .collect()
        })
    }
}

impl Stack {
    /// Returns an item in stored form.
    async fn item(&self, pk: &str, sk: &str) -> Option<Item> {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let get = self
            .dynamodb()
            .get_item()
            .table_name(&self.table)
            .key("pk", key(pk))
            .key("sk", key(sk));
        get.send().await.expect("the table can be read").item
    }
}

/// Returns a value with bare ids, and asserts that their prefixes are those of the contract.
fn bare_ids(platform: Platform, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let prefix = match name.as_str() {
                    "team_id" => "team_",
                    "user_id" | "assignee_id" => "usr_",
                    _ => return (name, bare_ids(platform, value)),
                };
                let id = value.as_str().map(|id| match platform {
                    Platform::Itsm => id
                        .strip_prefix(prefix)
                        .unwrap_or_else(|| panic!("{name} is {id}"))
                        .to_owned(),
                    Platform::TopTickets => id.to_owned(),
                });
                assert!(
                    id.as_ref().is_none_or(|id| id.len() == 36),
                    "{name} is {id:?}"
                );
                (name, json!(id))
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Array(values) => values
            .into_iter()
            .map(|value| bare_ids(platform, value))
            .collect(),
        other => other,
    }
}

/// Returns the kinds of announcements.
fn kinds(announcements: &[Value]) -> Vec<&str> {
    announcements
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

//! Inputs that real platforms and client libraries produce, each with the outcome it must have.
//!
//! `fixtures/cases/events.json` has events of both queues, `fixtures/cases/http.json` requests.
//! Each case has an organization and teams of its own. `fixtures/README.md` describes the format.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Platform, PlatformFixture, wait_until};
use crate::support::{Client, backend::DeliveredMessage, table::text};

const EVENTS: &str = "events.json";
const HTTP: &str = "http.json";

fn cases(file: &str, item: &str) -> Vec<Value> {
    let path = format!("{}/it/fixtures/cases/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("the fixtures are part of the repository");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("the fixtures are JSON");
    let cases: Vec<_> = cases
        .into_iter()
        .filter(|case| case["item"] == item)
        .collect();
    assert!(!cases.is_empty(), "{file} has no case of {item}");
    cases
}

/// The id of the ticket that a case is about.
fn ticket_of(case: &Value) -> &str {
    case["expect"]["ticket"]
        .as_str()
        .expect("the case names a ticket")
}

/// The organization of a case, and the teams of its placeholders.
struct FieldCase {
    fixture: PlatformFixture,
    /// Each placeholder with its value.
    values: Vec<(String, String)>,
}

/// Returns the user of `{uuid:n}`.
fn numbered(n: u128) -> Uuid {
    Uuid::from_u128(0x6f1e_1d00_0000_4000_8000_0000_0000_0000 + n)
}

impl FieldCase {
    async fn of(case: &Value) -> Self {
        let fixture = PlatformFixture::new(Platform::TopTickets).await;
        let mentions = |name: &str| case.to_string().contains(name);
        let mut values = vec![("{org}".to_owned(), fixture.org.id.to_string())];
        values.extend((0..10).map(|n| (format!("{{uuid:{n}}}"), numbered(n).to_string())));
        values.extend((0..2).map(|n| (format!("{{user{}}}", n + 1), fixture.user(n))));
        if mentions("{team}") {
            values.push((
                "{team}".to_owned(),
                fixture
                    .team_with_topics("Specialists", &["Topic-A"], [0, 1])
                    .await,
            ));
        }
        if mentions("{gone}") {
            let gone = fixture.team("Gone", []).await;
            let deleted = fixture.org.itsm.delete(&format!("/v1/teams/{gone}")).await;
            assert_eq!(deleted.status, 204, "{deleted}");
            values.push(("{gone}".to_owned(), gone));
        }
        if mentions("{solo}") {
            let solo = fixture.team("Solo", [2]).await;
            fixture.user_event("user.deactivated", 2, json!({})).await;
            let fixture = Self { fixture, values };
            fixture
                .until_member(
                    &solo,
                    &json!({ "id": fixture.fixture.user(2), "status": "inactive" }),
                )
                .await;
            let Self {
                fixture,
                mut values,
            } = fixture;
            values.push(("{solo}".to_owned(), solo));
            return Self { fixture, values };
        }
        Self { fixture, values }
    }

    fn value(&self, name: &str) -> &str {
        let value = self
            .values
            .iter()
            .find(|(placeholder, _)| placeholder == name);
        &value.unwrap_or_else(|| panic!("no value for {name}")).1
    }

    /// Replaces the placeholders of a text.
    fn filled(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
    }

    /// Replaces the placeholders of a value. `{"text of": x}` becomes the JSON text of `x`, and
    /// `{"base64 of": x}` its base64.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => json!(self.filled(text)),
            Value::Array(values) => values.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(fields) => match (fields.get("text of"), fields.get("base64 of")) {
                (Some(inner), _) => json!(self.resolve(inner).to_string()),
                (_, Some(inner)) => json!(BASE64_STANDARD.encode(self.resolve(inner).to_string())),
                _ => fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.resolve(value)))
                    .collect(),
            },
            other => other.clone(),
        }
    }

    /// Performs the steps of a case, each after the previous one was processed.
    async fn perform(&self, case: &Value) {
        let queue = case["queue"].as_str().expect("a case names its queue");
        for step in case["events"].as_array().expect("a case has events") {
            match step.as_str() {
                None => self.fixture.send_to(queue, &[self.resolve(step)]).await,
                Some("activate") => {
                    self.fixture
                        .user_event("user.updated", 2, json!({ "is_active": true }))
                        .await;
                }
                Some(join) => {
                    let team = join
                        .strip_prefix("join ")
                        .unwrap_or_else(|| panic!("an unknown step: {join}"));
                    self.join(&case["expect"]["member"]["id"], self.value(team))
                        .await;
                }
            }
        }
    }

    /// Adds the user of the case to a team.
    async fn join(&self, user: &Value, team: &str) {
        let body = json!({ "user_id": self.resolve(user) });
        let joined = self
            .fixture
            .org
            .itsm
            .post(&format!("/v1/teams/{team}/members"), body)
            .await;
        assert_eq!(joined.status, 201, "{joined}");
    }

    /// Compares the API, the queues and the table with the expectation of the case.
    async fn check(&self, case: &Value) {
        for (name, expected) in case["expect"]
            .as_object()
            .expect("a case expects something")
        {
            let expected = self.resolve(expected);
            match name.as_str() {
                "ticket" => {}
                "assignment" => {
                    let decision = self.fixture.decision(ticket_of(case)).await;
                    assert_has(&decision, &expected, "the assignment");
                }
                "each" => {
                    for (ticket, expected) in
                        expected.as_object().expect("an assignment for each ticket")
                    {
                        assert_has(&self.fixture.decision(ticket).await, expected, ticket);
                    }
                }
                "turns_taken" => {
                    assert_eq!(
                        self.fixture.decision(ticket_of(case)).await["turn"],
                        expected
                    );
                }
                "workload" => {
                    let workload = self.fixture.workload(self.value("{team}")).await;
                    assert_has(&workload, &expected, "the workload");
                }
                "member_hours" => {
                    assert_eq!(
                        self.hours(case).await,
                        expected,
                        "resolution hours of the assignee"
                    );
                }
                "order" => self.check_order(&expected).await,
                "dead_letter" => self.check_dead_letter(case, &expected).await,
                "member" => self.until_member(self.value("{team}"), &expected).await,
                "nowhere_in_table" => self.until_forgotten(&expected).await,
                other => panic!("an unknown expectation: {other}"),
            }
        }
    }

    async fn hours(&self, case: &Value) -> Value {
        let assignee = self.fixture.decision(ticket_of(case)).await["assignee_id"].clone();
        let workload = self.fixture.workload(self.value("{team}")).await;
        let mut members = workload["members"].as_array().expect("members").iter();
        members
            .find(|member| member["user_id"] == assignee)
            .expect("the assignee is a member")["avg_resolution_hours"]
            .clone()
    }

    /// Waits until all tickets have an assignee, and compares the order of their turns.
    async fn check_order(&self, expected: &Value) {
        let tickets: Vec<_> = expected
            .as_array()
            .expect("tickets")
            .iter()
            .map(|id| id.as_str().expect("an id"))
            .collect();
        let mut turns = Vec::new();
        for ticket in tickets {
            let is_assigned = async || self.fixture.decision(ticket).await["state"] == "assigned";
            wait_until(ticket, is_assigned).await;
            turns.push(
                self.fixture.decision(ticket).await["turn"]
                    .as_u64()
                    .expect("a turn"),
            );
        }
        assert!(turns.is_sorted(), "{expected} have the turns {turns:?}");
    }

    async fn check_dead_letter(&self, case: &Value, expected: &Value) {
        let queue = case["queue"].as_str().expect("a case names its queue");
        let ours = |letter: &DeliveredMessage| letter.body.contains(self.fixture.org.id.as_str());
        let letters = || {
            self.fixture
                .org
                .stack
                .dead_letters(queue)
                .into_iter()
                .filter(ours)
                .collect::<Vec<_>>()
        };
        let Some(parts) = expected.as_array() else {
            assert_eq!(letters(), []);
            return;
        };
        // A deployed queue delivers its dead letters with a delay.
        wait_until("a dead letter", async || !letters().is_empty()).await;
        let letters = letters();
        assert_eq!(letters.len(), 1, "{letters:?}");
        let reason = letters[0].reason.as_deref().expect("a reason");
        for part in parts {
            let part = part.as_str().expect("a text");
            assert!(reason.contains(part), "{part} is not in {reason:?}");
        }
    }

    async fn until_member(&self, team: &str, expected: &Value) {
        let shown = async || {
            let team = self
                .fixture
                .org
                .itsm
                .get(&format!("/v1/teams/{team}"))
                .await;
            let members = team.json["data"]["members"]
                .as_array()
                .expect("members")
                .clone();
            let id = format!("usr_{}", expected["id"].as_str().expect("an id"));
            members
                .into_iter()
                .find(|member| member["id"] == id)
                .expect("a member")
        };
        let mut rest = expected.clone();
        rest.as_object_mut().expect("an object").remove("id");
        wait_until(&format!("a member with {rest}"), async || {
            has(&shown().await, &rest)
        })
        .await;
    }

    /// Waits until no attribute of an item of the organization has any of these texts.
    async fn until_forgotten(&self, texts: &Value) {
        let texts: Vec<_> = texts
            .as_array()
            .expect("texts")
            .iter()
            .map(|text| text.as_str().expect("a text"))
            .collect();
        let stack = &self.fixture.org.stack;
        let remembered = async || {
            let items = stack
                .dynamodb()
                .scan()
                .table_name(&stack.table)
                .into_paginator()
                .items()
                .send();
            let items: Vec<_> = items
                .collect::<Result<_, _>>()
                .await
                .expect("the table can be read");
            let ours = |pk: &str| pk.split('#').nth(1) == Some(self.fixture.org.id.as_str());
            let mut ours = items
                .into_iter()
                .filter(|item| ours(text(item, "pk")))
                .map(|item| format!("{item:?}"));
            ours.any(|item| texts.iter().any(|text| item.contains(text)))
        };
        wait_until("no item with the text", async || !remembered().await).await;
    }
}

/// Returns true if each field of the expected object has the expected value.
fn has(shown: &Value, expected: &Value) -> bool {
    expected
        .as_object()
        .expect("an object")
        .iter()
        .all(|(name, value)| shown.get(name) == Some(value))
}

#[track_caller]
fn assert_has(shown: &Value, expected: &Value, what: &str) {
    assert!(has(shown, expected), "{what} is {shown}, not {expected}");
}

async fn check_events(item: &str) {
    for case in cases(EVENTS, item) {
        println!("case: {}", case["name"]);
        let fixture = FieldCase::of(&case).await;
        fixture.perform(&case).await;
        fixture.check(&case).await;
    }
}

#[tokio::test]
async fn events_of_one_second_order_by_time() {
    check_events("A1").await;
}

#[tokio::test]
async fn partial_events_change_only_their_fields() {
    check_events("A2").await;
}

#[tokio::test]
async fn empty_strings_are_absent() {
    check_events("A3").await;
}

#[tokio::test]
async fn words_compare_without_case_and_separators() {
    check_events("A4").await;
}

#[tokio::test]
async fn ids_times_and_envelopes_of_platforms_are_read() {
    check_events("A5").await;
}

#[tokio::test]
async fn dead_letter_names_every_fault() {
    check_events("A6").await;
}

#[tokio::test]
async fn missing_team_counts_as_no_team() {
    check_events("A7").await;
}

#[tokio::test]
async fn deleted_user_leaves_no_personal_data() {
    check_events("A8").await;
}

/// Sends the requests of a case and compares the responses.
async fn check_requests(fixture: &PlatformFixture, case: &Value) {
    for step in case["steps"].as_array().expect("a case has steps") {
        let is_toptickets = step["as"] == "toptickets";
        let client = if is_toptickets {
            &fixture.org.toptickets
        } else {
            &fixture.org.itsm
        };
        let (method, path) = step["request"]
            .as_str()
            .and_then(|request| request.split_once(' '))
            .expect("a request");
        let mut request = client.request(method.parse::<Method>().expect("a method"), path);
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().expect("a text"));
        }
        if step["body"].is_object() {
            request = request.json(&step["body"]);
        }
        let response = Client::send(request).await;
        assert_eq!(
            json!(response.status.as_u16()),
            step["status"],
            "{step}: {response}"
        );
        let holds = |expected: &Value, shown: &Value| expected.is_null() || expected == shown;
        assert!(
            holds(
                &step["found"],
                &response.json["meta"]["pagination"]["total"]
            ),
            "{step}: {response}"
        );
        assert!(
            holds(&step["field"], &response.json["error"]["details"]),
            "{step}: {response}"
        );
        assert!(
            holds(&step["violation"], &response.json["detail"][0]["type"]),
            "{step}: {response}"
        );
        if step["data"].is_object() {
            assert_has(&response.json["data"], &step["data"], "the response");
        }
    }
}

async fn check_http(item: &str) {
    for case in cases(HTTP, item) {
        println!("case: {}", case["name"]);
        let fixture = PlatformFixture::new(Platform::TopTickets).await;
        check_requests(&fixture, &case).await;
        if let Some(then) = case.get("then") {
            check_routed(&fixture, then).await;
        }
    }
}

/// Sends a ticket and waits until its team is the one of this name.
async fn check_routed(fixture: &PlatformFixture, then: &Value) {
    let mut ticket = fixture.ticket(then["ticket"]["id"].as_str().expect("an id"));
    for (field, value) in then["ticket"].as_object().expect("a ticket") {
        ticket = ticket.with(field, value.clone());
    }
    fixture.send(&[ticket.created()]).await;
    let teams = fixture.org.itsm.get("/v1/teams").await;
    let mut teams = teams.json["data"].as_array().expect("teams").iter();
    let team = teams
        .find(|team| team["name"] == then["routed_to"])
        .expect("the team")["id"]
        .clone();
    let id = then["ticket"]["id"].as_str().expect("an id");
    let is_routed = async || {
        let decision = fixture.org.itsm.get(&format!("/v1/assignments/{id}")).await;
        let data = &decision.json["data"];
        data["team_id"] == team && data["state"] == then["state"]
    };
    wait_until("the ticket is routed", is_routed).await;
}

#[tokio::test]
async fn names_and_tags_fold_by_unicode() {
    check_http("B").await;
}

#[tokio::test]
async fn idempotency_keys_are_separate_per_credential() {
    check_http("C2").await;
}

//! Messages that can never succeed, and the rest of their batch.

use std::time::Duration;

use muster_domain::Timestamp;
use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture, own_stack, wait_until};
use crate::support::Client;

const KINDS: &str =
    "type: must be ticket.created, ticket.updated, ticket.unassigned or ticket.deleted";
const STATUSES: &str =
    "must be one of new, open, in_progress, pending, on_hold, resolved, closed, cancelled";
const TIME: &str = "must be a time in ISO 8601 or in Unix seconds";

/// Returns the reason of a fault in a ticket's field.
fn of(field: &str, rule: &str) -> String {
    format!("data.ticket.{field}: {rule}")
}

/// Faulty events of a ticket that names this team, each with the reason of its dead letter.
struct FaultyEvents<'f> {
    fixture: &'f PlatformFixture,
    team: &'f str,
}

impl FaultyEvents<'_> {
    fn good(&self) -> Value {
        self.fixture.ticket("poison").team(self.team).created()
    }

    /// Returns an event with another value at a JSON pointer.
    fn with(&self, pointer: &str, value: Value) -> String {
        let mut event = self.good();
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        event
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("the parent exists")
            .insert(field.to_owned(), value);
        event.to_string()
    }

    /// Returns an event with another value of a ticket's field.
    fn ticket(&self, field: &str, value: Value) -> String {
        self.with(&format!("/data/ticket/{field}"), value)
    }

    /// Returns events with a fault outside of the ticket.
    fn of_envelope(&self) -> Vec<(String, String)> {
        vec![
            (
                json!("just a text").to_string(),
                "not a CloudEvent: not a JSON object".to_owned(),
            ),
            (
                json!([self.good()]).to_string(),
                "not a CloudEvent: not a JSON object".to_owned(),
            ),
            (
                json!({ "hello": "world" }).to_string(),
                "specversion: is required; id: is required; type: is required; data: is required"
                    .to_owned(),
            ),
            (
                json!({ "detail-type": "x", "detail": 7 }).to_string(),
                "detail: must be a CloudEvent".to_owned(),
            ),
            (
                self.with("/specversion", json!("0.3")),
                "specversion: must be 1.0".to_owned(),
            ),
            (
                self.with("/id", json!("")),
                "id: must have 1 to 256 bytes".to_owned(),
            ),
            (self.with("/type", json!("ticket.merged")), KINDS.to_owned()),
            (self.with("/type", json!("user.created")), KINDS.to_owned()),
            (
                self.with("/data", json!("x")),
                "data: must be an object".to_owned(),
            ),
            (
                self.with("/data/ticket", Value::Null),
                "data.ticket: is required".to_owned(),
            ),
            (
                self.with("/data/organization_id", Value::Null),
                "data.organization_id: is required".to_owned(),
            ),
            (
                self.with("/data/organization_id", json!("a b")),
                "data.organization_id: must have 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned(),
            ),
            (
                self.with("/data/organization_id", json!("nobody")),
                "data.organization_id: there is no such organization".to_owned(),
            ),
        ]
    }

    /// Returns events with a fault in one field of the ticket.
    fn of_ticket(&self) -> Vec<(String, String)> {
        let ahead = Timestamp::now().plus(Duration::from_hours(1));
        let (ahead, [team_field, user_field, due_field]) = match self.fixture.platform {
            Platform::TopTickets => (json!(ahead.iso8601()), ["team_id", "assignee_id", "due_at"]),
            Platform::Itsm => (
                json!(ahead.secs()),
                ["assigned_team_id", "assigned_user_id", "due_date"],
            ),
        };
        vec![
            (
                self.ticket("id", json!("a b")),
                of("id", "must have 1 to 128 characters of A-Z a-z 0-9 _ . : -"),
            ),
            (
                self.ticket("id", json!(7.5)),
                of("id", "must be a string or an integer of up to 64 bits"),
            ),
            (self.ticket("status", json!("lost")), of("status", STATUSES)),
            (
                self.ticket("priority", json!(4)),
                of("priority", "must be a string"),
            ),
            (
                self.ticket(team_field, json!("nowhere")),
                of(team_field, "must be a team's UUID"),
            ),
            (
                self.ticket(user_field, json!("nobody")),
                of(user_field, "must be a user's UUID"),
            ),
            (
                self.ticket("tags", json!("VPN")),
                of("tags", "must be an array of strings"),
            ),
            (self.ticket(due_field, json!("soon")), of(due_field, TIME)),
            (
                self.ticket("updated_at", ahead),
                of("updated_at", "is more than 5 minutes in the future"),
            ),
        ]
    }

    /// Returns an event without any time, and one with several faults.
    fn of_several_fields(&self) -> [(String, String); 2] {
        let mut timeless = self.good();
        timeless["time"] = Value::Null;
        timeless["data"]["ticket"]["updated_at"] = Value::Null;
        let mut several = self.fixture.ticket("poison").created();
        several["data"]["ticket"] = json!({
            "id": "poison", "status": "To Do", "updated_at": "yesterday", "assignee_id": 235_324,
            "resolved_at": "2020-04-02 14:03:31",
        });
        let faults = [
            of("updated_at", TIME),
            of("status", STATUSES),
            of("assignee_id", "must be a user's UUID"),
            of("resolved_at", TIME),
        ];
        [
            (
                timeless.to_string(),
                of("updated_at", "is required where the event has no time"),
            ),
            (several.to_string(), faults.join("; ")),
        ]
    }
}

/// Returns faulty events, each with the reason of its dead letter.
fn faulty_events(fixture: &PlatformFixture, team: &str) -> Vec<(String, String)> {
    let faulty = FaultyEvents { fixture, team };
    let mut events = faulty.of_envelope();
    events.extend(faulty.of_ticket());
    events.extend(faulty.of_several_fields());
    events
}

#[tokio::test]
async fn dead_letter_names_the_fault_of_a_ticket_event() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("One", [0]).await;
        let mut expected = faulty_events(&fixture, &team);
        // Faulty events without the organization's id cannot be told from those of other tests.
        expected.retain(|(body, _)| body.contains(fixture.org.id.as_str()));
        let good = fixture.ticket("good").team(&team).created().to_string();
        let bodies = expected.iter().map(|(body, _)| body.clone()).chain([good]);
        fixture.org.stack.send("tickets", bodies).await;
        fixture.until_handled("tickets").await;

        let letter = |body: &String| {
            fixture
                .org
                .stack
                .dead_letters("tickets")
                .into_iter()
                .find(|letter| letter.body == *body)
        };
        for (body, reason) in &expected {
            wait_until(body, async || letter(body).is_some()).await;
            assert_eq!(
                letter(body).and_then(|letter| letter.reason).as_ref(),
                Some(reason),
                "{body}"
            );
        }
        assert_eq!(
            fixture.placement("good").await,
            Placement::assigned(&team, &fixture.user(0))
        );
    }
}

#[tokio::test]
async fn sns_subscription_message_is_a_dead_letter() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let body = json!({
        "Type": "SubscriptionConfirmation", "MessageId": fixture.org.id.as_str(), "Token": "t",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:tickets", "Message": "You have chosen to subscribe",
        "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
    })
    .to_string();
    fixture.org.stack.send("tickets", [body.clone()]).await;
    let letter = || {
        fixture
            .org
            .stack
            .dead_letters("tickets")
            .into_iter()
            .find(|letter| letter.body == body)
    };
    wait_until("a dead letter", async || letter().is_some()).await;
    let reason = letter().and_then(|letter| letter.reason).expect("a reason");
    assert!(
        reason.starts_with("Type: SubscriptionConfirmation of SNS is no event"),
        "{reason}"
    );
}

#[tokio::test]
async fn dead_letter_names_the_fault_of_a_user_event() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let nobody = json!({
        "specversion": "1.0", "id": "1", "source": "/desk", "type": "user.created", "time": "2025-01-06T08:00:00Z",
        "data": { "organization_id": fixture.org.id.as_str(), "user": { "name": "Nobody" } },
    })
    .to_string();
    fixture.org.stack.send("users", [nobody.clone()]).await;
    let letters = || {
        fixture
            .org
            .stack
            .dead_letters("users")
            .into_iter()
            .filter(|letter| letter.body == nobody)
    };
    wait_until("a dead letter", async || letters().next().is_some()).await;
    let reasons: Vec<_> = letters()
        .map(|letter| letter.reason.unwrap_or_default())
        .collect();
    assert!(
        matches!(&*reasons, [reason] if reason.starts_with("data.user.id: ")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn poison_does_not_block_the_rest_of_its_batch() {
    for platform in Platform::BOTH {
        let stack = own_stack().await;
        let fixture = PlatformFixture::on(&stack, platform).await;
        let team = fixture.team("One", [0]).await;
        let mut expected = faulty_events(&fixture, &team);
        expected.push((
            "{\"specversion\": \"1.0\",".to_owned(),
            "not JSON: ".to_owned(),
        ));

        // Sent while the queue is paused, the messages form one batch, in which good and faulty
        // ones alternate.
        stack.queues().pause("tickets");
        for (n, (body, _)) in expected.iter().enumerate() {
            let good = fixture.ticket(&format!("good-{n}")).team(&team).created();
            for body in [body.clone(), good.to_string()] {
                // The endpoint reads an array as several messages.
                let body = if body.starts_with('[') {
                    format!("[{body}]")
                } else {
                    body
                };
                let request = stack
                    .anonymous()
                    .request(reqwest::Method::POST, "/_dev/queues/tickets")
                    .body(body);
                let response =
                    Client::send(request.header("content-type", "application/json")).await;
                assert_eq!(response.json, json!({ "accepted": 1 }), "{response}");
            }
        }
        stack.queues().resume("tickets");
        fixture.until_handled("tickets").await;

        let shown = stack.anonymous().get("/_dev/queues").await;
        let letters = shown.json["tickets"]["dead_letters"]
            .as_array()
            .expect("a list");
        assert_eq!(letters.len(), expected.len(), "{shown}");
        for (body, reason) in &expected {
            let letter = letters.iter().find(|letter| letter["body"] == *body);
            let letter = letter.unwrap_or_else(|| panic!("not among the dead letters: {body}"));
            let reason_shown = letter["reason"].as_str().expect("a reason");
            assert!(
                reason_shown == reason
                    || reason_shown.starts_with("not JSON: ") && reason == "not JSON: ",
                "{reason_shown}, not {reason}"
            );
            assert_eq!(
                letter["receives"], 0,
                "not received by the function itself: {letter}"
            );
        }
        for n in 0..expected.len() {
            let place = Placement::assigned(&team, &fixture.user(0));
            assert_eq!(fixture.placement(&format!("good-{n}")).await, place);
        }
        assert_eq!(fixture.load(&team).await.0, expected.len() as u64);
        fixture.missing_decision("poison").await;
        assert_eq!(
            fixture.announced_of("tickets/poison").await,
            [json!(null); 0]
        );
    }
}

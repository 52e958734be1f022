//! The forms in which a source can write an event: envelopes, encodings, ids, times and empty
//! strings.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture};

fn in_event_bridge(event: &Value) -> Value {
    json!({
        "version": "0", "id": "b-1", "detail-type": "ticket.created", "source": "desk", "account": "123456789012",
        "time": "2026-03-02T09:00:00Z", "region": "eu-west-1", "resources": [], "detail": event,
    })
}

fn in_sns(event: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "10000000-0000-4000-8000-000000000002",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:tickets", "Message": event.to_string(),
        "Timestamp": "2026-03-02T09:00:00.000Z", "SignatureVersion": "1",
    })
}

fn in_base64(event: &Value) -> Value {
    let mut event = event.clone();
    let data = event["data"].take().to_string();
    event["data_base64"] = json!(STANDARD.encode(data));
    event
}

/// Creates a team of one member and sends events. Returns the placement that each ticket should
/// have.
async fn sent(
    platform: Platform,
    events: impl FnOnce(&PlatformFixture, &str) -> Vec<Value>,
) -> (PlatformFixture, Placement) {
    let fixture = PlatformFixture::new(platform).await;
    let team = fixture.team("One", [0]).await;
    let events = events(&fixture, &team);
    fixture.send(&events).await;
    let placement = Placement::assigned(&team, &fixture.user(0));
    (fixture, placement)
}

#[tokio::test]
async fn every_envelope_and_encoding_is_read() {
    let (fixture, placement) = sent(Platform::Itsm, |fixture, team| {
        let event = |id: &str| fixture.ticket(id).team(team).created();
        vec![
            in_base64(&event("base64")),
            in_event_bridge(&event("bridge")),
            in_sns(&event("sns")),
            in_sns(&in_event_bridge(&event("bridge-in-sns"))),
            in_event_bridge(&in_sns(&in_base64(&event("sns-in-bridge")))),
        ]
    })
    .await;
    for id in ["base64", "bridge", "sns", "bridge-in-sns", "sns-in-bridge"] {
        assert_eq!(fixture.placement(id).await, placement, "{id}");
    }
}

#[tokio::test]
async fn integer_id_names_the_same_ticket_as_its_text() {
    let (fixture, placement) = sent(Platform::TopTickets, |fixture, team| {
        let numbered = fixture
            .ticket("35436")
            .team(team)
            .with("id", 35_436)
            .created();
        let resolved = fixture.ticket("7").team(team).with("id", 7).created();
        vec![numbered, resolved]
    })
    .await;
    assert_eq!(fixture.placement("35436").await, placement);
    fixture
        .send(&[fixture
            .ticket("7")
            .status("resolved")
            .resolved(60)
            .updated()])
        .await;
    assert_eq!(fixture.placement("7").await.state, "closed");
}

#[tokio::test]
async fn every_form_of_rfc_3339_time_is_read() {
    let (fixture, placement) = sent(Platform::TopTickets, |fixture, team| {
        let at = |id: &str, created: &str, updated: &str| {
            fixture
                .ticket(id)
                .team(team)
                .with("created_at", created)
                .with("updated_at", updated)
                .created()
        };
        vec![
            at(
                "offset",
                "2025-01-05T19:59:59.123456789+11:00",
                "2025-01-05T14:30:00.5+05:30",
            ),
            at("lower", "2025-01-05t08:00:00z", "2025-01-05 09:00:00Z"),
            at("leap", "2016-12-31T23:59:60Z", "2025-01-05T09:00:00-00:00"),
        ]
    })
    .await;
    for id in ["offset", "lower", "leap"] {
        assert_eq!(fixture.placement(id).await, placement, "{id}");
    }
}

#[tokio::test]
async fn empty_texts_are_absent() {
    let fields = [
        "assigned_user_id",
        "assignee_id",
        "team_id",
        "resolved_at",
        "due_at",
        "due_date",
        "created_at",
        "category",
        "subcategory",
        "tags",
        "priority",
    ];
    let (fixture, placement) = sent(Platform::Itsm, |fixture, team| {
        fields
            .map(|field| fixture.ticket(field).team(team).with(field, "").created())
            .to_vec()
    })
    .await;
    for field in fields {
        assert_eq!(fixture.placement(field).await, placement, "{field}");
    }
}

//! The functions behind the queues, the table's stream and the schedule, working together.

use std::time::Duration;

use muster_domain::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Organization, Stack, bare, wait_until};

/// The visibility timeout of most tests.
const SOON: Duration = Duration::from_millis(200);

/// A visibility timeout that is longer than a slow batch.
const LATER: Duration = Duration::from_secs(2);

fn ticket_created(org: &Organization, team: &str, ticket: &str) -> Value {
    let now = Timestamp::now().iso8601();
    let ticket = json!({ "id": ticket, "status": "open", "team_id": team, "created_at": now, "updated_at": now });
    json!({
        "specversion": "1.0",
        "id": format!("{}.created", ticket["id"]),
        "source": "/tests",
        "type": "ticket.created",
        "time": now,
        "data": { "organization_id": org.id.as_str(), "ticket": ticket },
    })
}

async fn send(org: &Organization, events: &[Value]) {
    org.stack
        .send("tickets", events.iter().map(Value::to_string))
        .await;
}

/// Returns the announcements of an organization, in order.
fn announcements(org: &Organization) -> Vec<Value> {
    let (events, _) = org.stack.announced_after(0);
    let events = events
        .iter()
        .map(|event| serde_json::from_str(event).expect("an event is JSON"));
    events
        .filter(|event: &Value| event.to_string().contains(org.id.as_str()))
        .collect()
}

#[tokio::test]
async fn queued_ticket_is_assigned_and_announced() {
    let org = Stack::with_fast_delivery(SOON).await.organization().await;
    let team = org.team("Support").await;
    org.member(&team, &org.users[0]).await;
    send(&org, &[ticket_created(&org, &team, "T-1")]).await;
    org.stack.until_empty("tickets").await;

    let decision = org.toptickets.get("/v1/assignments/T-1").await;
    assert_eq!(decision.json["state"], "assigned", "{decision}");
    assert_eq!(
        decision.json["assignee_id"],
        bare(&org.users[0]),
        "{decision}"
    );
    let workload = org.itsm.get(&format!("/v1/teams/{team}/workload")).await;
    assert_eq!(workload.json["data"]["total_open_tickets"], 1, "{workload}");
    let types = || {
        announcements(&org)
            .iter()
            .map(|event| event["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let expected: Vec<String> = ["team.created", "member.added", "ticket.assigned"]
        .map(str::to_owned)
        .to_vec();
    wait_until("announcements", async || {
        Vec::len(&types()) >= expected.len()
    })
    .await;
    assert_eq!(types(), expected);
}

#[tokio::test]
async fn killed_invocations_lose_or_repeat_no_ticket() {
    const TICKETS: usize = 150;
    let org = Stack::with_fast_delivery(LATER).await.organization().await;
    let team = org.team("Support").await;
    for user in &org.users[..3] {
        org.member(&team, user).await;
    }
    let events: Vec<_> = (0..TICKETS)
        .map(|n| ticket_created(&org, &team, &format!("T-{n}")))
        .collect();
    for events in events.chunks(15) {
        send(&org, events).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        org.stack.queues().kill("tickets");
    }
    org.stack.until_empty("tickets").await;
    assert_eq!(org.stack.dead_letters("tickets"), []);
    let workload = org.itsm.get(&format!("/v1/teams/{team}/workload")).await;
    assert_eq!(
        workload.json["data"]["total_open_tickets"], TICKETS,
        "{workload}"
    );
    let members = workload.json["data"]["members"]
        .as_array()
        .expect("members");
    let shares: Vec<_> = members
        .iter()
        .map(|member| member["open_tickets"].as_u64().expect("a number"))
        .collect();
    assert_eq!(shares, [TICKETS as u64 / 3; 3], "{workload}");
}

#[tokio::test]
async fn message_failing_ten_times_is_a_dead_letter() {
    let stack = Stack::with_fast_delivery(SOON).await;
    let nonsense = format!(
        "an unknown job is retried, because a newer version may support it: {}",
        Uuid::new_v4()
    );
    stack.send("jobs", [nonsense.clone()]).await;
    let letters = || {
        stack
            .dead_letters("jobs")
            .into_iter()
            .filter(|letter| letter.body == nonsense)
    };
    wait_until("a dead letter", async || letters().next().is_some()).await;
    assert_eq!(
        letters().map(|letter| letter.reason).collect::<Vec<_>>(),
        [None]
    );
}

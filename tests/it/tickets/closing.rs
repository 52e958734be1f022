//! Closed tickets: their credit, and the events that revoke it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Placement, Platform, PlatformEvent, PlatformFixture, wait_until};

const HOUR: i64 = 3600;

impl PlatformFixture {
    /// Returns a team's `sla_compliance_rate`, and each member's `avg_resolution_hours`.
    async fn credits(&self, team: &str) -> (Value, Vec<Value>) {
        let workload = self.workload(team).await;
        let members = workload["members"].as_array().expect("members");
        let hours = members
            .iter()
            .map(|member| member["avg_resolution_hours"].clone());
        (workload["sla_compliance_rate"].clone(), hours.collect())
    }

    /// Creates a ticket that the member of its team resolves by its due date, in two hours.
    async fn resolved(&self, id: &str, team: &str) {
        let ticket = |status: &str| self.ticket(id).team(team).status(status).due(2 * HOUR);
        self.send(&[ticket("open").at(HOUR).created()]).await;
        self.send(&[ticket("resolved").at(3 * HOUR).resolved(2 * HOUR).updated()])
            .await;
    }
}

/// Sets the fields of the last event.
type SetFields = fn(PlatformEvent) -> PlatformEvent;

/// Returns the last status, the fields of the last event, the resolution hours and the SLA rate.
fn credit_cases() -> [(&'static str, SetFields, Value, Value); 8] {
    [
        (
            "resolved",
            |ticket| ticket.resolved(2 * HOUR).due(2 * HOUR),
            json!(2.0),
            json!(1.0),
        ),
        (
            "resolved",
            |ticket| ticket.resolved(2 * HOUR).due(2 * HOUR - 1),
            json!(2.0),
            json!(0.0),
        ),
        (
            "resolved",
            |ticket| ticket.resolved(HOUR),
            json!(1.0),
            Value::Null,
        ),
        (
            "closed",
            |ticket| ticket.resolved(2 * HOUR).due(3 * HOUR),
            json!(2.0),
            json!(1.0),
        ),
        // Without `resolved_at`, `updated_at` is the time of the resolution: three hours.
        (
            "resolved",
            |ticket| ticket.due(3 * HOUR),
            json!(3.0),
            json!(1.0),
        ),
        (
            "closed",
            |ticket| ticket.due(3 * HOUR - 1),
            json!(3.0),
            json!(0.0),
        ),
        // 4 min 30 s are 0.075 hours, which round to 0.1.
        (
            "resolved",
            |ticket| ticket.resolved(270),
            json!(0.1),
            Value::Null,
        ),
        (
            "cancelled",
            |ticket| ticket.resolved(2 * HOUR).due(2 * HOUR),
            Value::Null,
            Value::Null,
        ),
    ]
}

#[tokio::test]
async fn resolved_and_closed_are_credited_but_not_cancelled() {
    let cases = credit_cases();
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        for (n, (status, set_fields, hours, rate)) in cases.iter().enumerate() {
            let team = fixture.team(&format!("Team {n}"), [0]).await;
            let ticket = |status: &str| fixture.ticket(&format!("t{n}")).team(&team).status(status);
            fixture
                .send(&[ticket("in_progress").at(60).created()])
                .await;
            assert_eq!(fixture.load(&team).await, (1, vec![(1, 1)]));
            fixture
                .send(&[set_fields(ticket(status)).at(3 * HOUR).updated()])
                .await;
            assert_eq!(fixture.load(&team).await, (0, vec![(0, 0)]), "case {n}");
            assert_eq!(
                fixture.credits(&team).await,
                (rate.clone(), vec![hours.clone()]),
                "case {n}"
            );
            let placement = Placement::closed(Some(&team), Some(&fixture.user(0)));
            assert_eq!(
                fixture.placement(&format!("t{n}")).await,
                placement,
                "case {n}"
            );
        }
    }
}

#[tokio::test]
async fn assignee_at_close_gets_the_credit() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Two", [0, 1]).await;
    fixture
        .send(&[fixture.ticket("a").team(&team).created()])
        .await;
    let last = fixture
        .ticket("a")
        .team(&team)
        .status("resolved")
        .assignee(&fixture.user(1))
        .at(HOUR)
        .resolved(HOUR);
    fixture.send(&[last.updated()]).await;
    assert_eq!(
        fixture.credits(&team).await,
        (Value::Null, vec![Value::Null, json!(1.0)])
    );
    assert_eq!(fixture.load(&team).await, (0, vec![(0, 0), (0, 0)]));
}

#[tokio::test]
async fn closing_a_resolved_ticket_keeps_its_credit() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("One", [0]).await;
        fixture.resolved("a", &team).await;
        let credits = (json!(1.0), vec![json!(2.0)]);
        assert_eq!(fixture.credits(&team).await, credits);
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("closed")
                .at(9 * HOUR)
                .updated()])
            .await;
        assert_eq!(fixture.credits(&team).await, credits);
    }
}

#[tokio::test]
async fn reopen_cancel_and_delete_revoke_the_credit() {
    type Ends = fn(PlatformEvent) -> Value;
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let ends: [(&str, Ends, u64); 3] = [
            ("reopened", |ticket| ticket.status("open").updated(), 1),
            (
                "cancelled",
                |ticket| ticket.status("cancelled").updated(),
                0,
            ),
            ("deleted", PlatformEvent::deleted, 0),
        ];
        for (how, end, open) in ends {
            let team = fixture.team(how, [0]).await;
            fixture.resolved(how, &team).await;
            fixture.resolved(&format!("{how}-stays"), &team).await;
            assert_eq!(
                fixture.credits(&team).await,
                (json!(1.0), vec![json!(2.0)]),
                "{how}"
            );
            fixture
                .send(&[end(fixture
                    .ticket(&format!("{how}-stays"))
                    .team(&team)
                    .at(4 * HOUR))])
                .await;
            assert_eq!(
                fixture.credits(&team).await,
                (json!(1.0), vec![json!(2.0)]),
                "{how}"
            );
            fixture
                .send(&[end(fixture.ticket(how).team(&team).at(4 * HOUR))])
                .await;
            assert_eq!(
                fixture.credits(&team).await,
                (Value::Null, vec![Value::Null]),
                "{how}"
            );
            assert_eq!(
                fixture.load(&team).await,
                (2 * open, vec![(2 * open, 0)]),
                "{how}"
            );
        }
        // Closed again, the ticket is credited with its new times.
        let again = fixture
            .ticket("reopened")
            .status("resolved")
            .due(2 * HOUR)
            .at(6 * HOUR)
            .updated();
        fixture.send(&[again]).await;
        let team = fixture.placement("reopened").await.team.expect("a team");
        assert_eq!(fixture.credits(&team).await, (json!(0.0), vec![json!(6.0)]));
    }
}

#[tokio::test]
async fn reopened_ticket_returns_to_assignee_without_turn() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Two", [0, 1]).await;
        fixture.resolved("a", &team).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .at(4 * HOUR)
                .updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 1), (0, 0)]));
        let decision = fixture.decision("a").await;
        assert_eq!(
            decision["reason"],
            "Reopened, and back with its previous assignee."
        );
        assert_eq!(
            (&decision["turn"], &decision["strategy"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            fixture.assigned(&team, ["b", "c"]).await,
            fixture.users([1, 0])
        );
        assert_eq!(fixture.decision("c").await["turn"], 3);
    }
}

#[tokio::test]
async fn reopened_ticket_of_ineligible_assignee_is_routed() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let [left, idle] = [
            fixture.team("Left", [0, 1]).await,
            fixture.team("Idle", [2, 3]).await,
        ];
        fixture.resolved("left", &left).await;
        fixture.resolved("idle", &idle).await;
        fixture.leave(&left, 0).await;
        let fields = if platform == Platform::Itsm {
            json!({ "status": "inactive" })
        } else {
            json!({ "is_active": false })
        };
        fixture.user_event("user.updated", 2, fields).await;
        wait_until("the copy of the profile", async || {
            fixture.workload(&idle).await["members"][0]["status"] == "inactive"
        })
        .await;
        let reopened = |id: &str| fixture.ticket(id).status("open").at(4 * HOUR).updated();
        fixture.send(&[reopened("left"), reopened("idle")]).await;
        assert_eq!(
            fixture.placement("left").await,
            Placement::assigned(&left, &fixture.user(1))
        );
        assert_eq!(
            fixture.placement("idle").await,
            Placement::assigned(&idle, &fixture.user(3))
        );
        assert_eq!(fixture.decision("idle").await["turn"], 2);
        assert_eq!(
            fixture.credits(&left).await,
            (Value::Null, vec![Value::Null])
        );
    }
}

#[tokio::test]
async fn ticket_first_seen_closed_is_credited_in_existing_team() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("One", [0]).await;
        let seen = |id: &str| {
            fixture
                .ticket(id)
                .status("closed")
                .resolved(HOUR)
                .due(HOUR)
                .at(2 * HOUR)
        };
        let nowhere = Uuid::new_v4().to_string();
        let events = [
            seen("whole")
                .team(&team)
                .assignee(&fixture.user(0))
                .created(),
            seen("nobodys").team(&team).due(HOUR - 1).updated(),
            seen("teamless").assignee(&fixture.user(0)).updated(),
            seen("nowhere")
                .team(&nowhere)
                .assignee(&fixture.user(0))
                .updated(),
        ];
        fixture.send(&events).await;
        // Both tickets count for the team, and the assigned one for its member.
        assert_eq!(fixture.credits(&team).await, (json!(0.5), vec![json!(1.0)]));
        assert_eq!(fixture.load(&team).await, (0, vec![(0, 0)]));
        assert_eq!(
            fixture.placement("whole").await,
            Placement::closed(Some(&team), Some(&fixture.user(0)))
        );
        assert_eq!(
            fixture.placement("nobodys").await,
            Placement::closed(Some(&team), None)
        );
        assert_eq!(
            fixture.placement("nowhere").await,
            Placement::closed(None, Some(&fixture.user(0)))
        );
        assert_eq!(
            fixture.decision("whole").await["reason"],
            "It was closed before it was ever seen open."
        );
        assert_eq!(
            fixture.announced_of("tickets/whole").await,
            [json!(null); 0]
        );

        // A reopened ticket returns to its assignee, or is routed.
        let reopened = |id: &str| fixture.ticket(id).status("open").at(3 * HOUR).updated();
        fixture
            .send(&[reopened("whole"), reopened("nobodys")])
            .await;
        assert_eq!(fixture.load(&team).await, (2, vec![(2, 0)]));
        assert_eq!(
            fixture.credits(&team).await,
            (Value::Null, vec![Value::Null])
        );
    }
}

#[tokio::test]
async fn closed_waiting_ticket_is_not_assigned() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Nobody", []).await;
        fixture
            .send(&[
                fixture.ticket("a").team(&team).created(),
                fixture.ticket("b").team(&team).created(),
            ])
            .await;
        assert_eq!(fixture.load(&team).await, (2, vec![]));
        fixture
            .send(&[fixture.ticket("a").status("cancelled").updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (1, vec![]));
        fixture.join(&team, 0, &[]).await;
        fixture
            .until_placed("b", &Placement::assigned(&team, &fixture.user(0)))
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::closed(Some(&team), None)
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 0)]));
    }
}

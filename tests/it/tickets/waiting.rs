//! Tickets of teams without an eligible member, and changes of users that affect tickets.

use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture, wait_until};

impl PlatformFixture {
    /// Sends the active status of a user in the platform's form, and waits until the team shows it.
    async fn set_active(&self, team: &str, n: usize, active: bool) {
        let status = if active { "active" } else { "inactive" };
        let fields = match self.platform {
            Platform::TopTickets => json!({ "is_active": active }),
            Platform::Itsm => json!({ "status": status }),
        };
        self.user_event("user.updated", n, fields).await;
        wait_until(status, async || self.status(team, n).await == status).await;
    }

    /// Returns a member's status in the workload.
    async fn status(&self, team: &str, n: usize) -> Value {
        let workload = self.workload(team).await;
        let members = workload["members"].as_array().expect("members");
        let member = members
            .iter()
            .find(|member| member["user_id"] == self.user(n))
            .expect("a member");
        member["status"].clone()
    }
}

#[tokio::test]
async fn ticket_without_eligible_member_waits_with_its_team() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Nobody", []).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(fixture.placement("a").await, Placement::waiting(&team));
        let decision = fixture.decision("a").await;
        assert_eq!(decision["reason"], "The team has no members.");
        assert_eq!(
            (&decision["strategy"], &decision["turn"]),
            (&json!("round_robin"), &Value::Null)
        );

        let team = fixture.team("Idle", [0]).await;
        fixture.set_active(&team, 0, false).await;
        fixture
            .send(&[fixture
                .ticket("b")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(fixture.placement("b").await, Placement::waiting(&team));
        let decision = fixture.decision("b").await;
        assert_eq!(decision["reason"], "None of 1 members is eligible.");
        assert_eq!(
            (&decision["considered"], &decision["eligible"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(decision["candidates"][0]["why_not"], "inactive");
        // The ticket counts for the team, and for no member.
        assert_eq!(fixture.load(&team).await, (1, vec![(0, 0)]));
        assert_eq!(kinds_of(&fixture, "b").await, ["ticket.waiting"]);
    }
}

async fn kinds_of(fixture: &PlatformFixture, ticket: &str) -> Vec<String> {
    let announced = fixture.announced_of(&format!("tickets/{ticket}")).await;
    super::kinds(&announced)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn waiting_tickets_are_assigned_by_priority_then_age() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Nobody", []).await;
        let ticket = |id: &str, priority: &str, opened: i64| {
            fixture
                .ticket(id)
                .team(&team)
                .priority(priority)
                .opened(opened)
                .created()
        };
        let events = [
            ticket("low", "low", 0),
            ticket("medium", "medium", 100),
            ticket("unknown", "whatever", 90),
            ticket("high", "high", 300),
            ticket("newer", "critical", 500),
            ticket("older", "critical", 400),
        ];
        fixture.send(&events).await;
        assert_eq!(fixture.load(&team).await, (6, vec![]));
        fixture.join(&team, 0, &[]).await;
        wait_until("every ticket is assigned", async || {
            fixture.load(&team).await == (6, vec![(6, 0)])
        })
        .await;
        for (turn, ticket) in (1..).zip(["older", "newer", "high", "unknown", "medium", "low"]) {
            assert_eq!(fixture.decision(ticket).await["turn"], turn, "{ticket}");
        }
        assert_eq!(
            kinds_of(&fixture, "low").await,
            ["ticket.waiting", "ticket.assigned"]
        );
    }
}

#[tokio::test]
async fn waiting_tickets_are_assigned_when_a_member_returns() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Leaves", [0]).await;
    assert_eq!(fixture.assigned(&team, ["a"]).await, fixture.users([0]));
    fixture.leave(&team, 0).await;
    fixture
        .send(&[fixture.ticket("b").team(&team).created()])
        .await;
    assert_eq!(fixture.placement("b").await, Placement::waiting(&team));
    assert_eq!(fixture.load(&team).await, (2, vec![]));
    fixture.join(&team, 0, &[]).await;
    fixture
        .until_placed("b", &Placement::assigned(&team, &fixture.user(0)))
        .await;
    assert_eq!(fixture.load(&team).await, (2, vec![(2, 0)]));
}

#[tokio::test]
async fn waiting_tickets_are_assigned_when_a_user_is_active_again() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let [one, other] = [
            fixture.team("One", [0]).await,
            fixture.team("Other", [0]).await,
        ];
        fixture.user_event("user.deactivated", 0, json!({})).await;
        for team in [&one, &other] {
            wait_until("the copy of the profile", async || {
                fixture.status(team, 0).await == "inactive"
            })
            .await;
        }
        fixture
            .send(&[
                fixture.ticket("a").team(&one).created(),
                fixture.ticket("b").team(&other).created(),
            ])
            .await;
        assert_eq!(
            (fixture.placement("a").await, fixture.placement("b").await),
            (Placement::waiting(&one), Placement::waiting(&other))
        );
        fixture.set_active(&one, 0, true).await;
        fixture
            .until_placed("a", &Placement::assigned(&one, &fixture.user(0)))
            .await;
        fixture
            .until_placed("b", &Placement::assigned(&other, &fixture.user(0)))
            .await;
    }
}

#[tokio::test]
async fn profile_copy_leaves_no_due_message() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Copies", [0]).await;
    fixture.set_active(&team, 0, false).await;
    // The second pass is delayed.
    wait_until("no message is due", async || {
        fixture.org.stack.is_idle("jobs").await
    })
    .await;
}

#[tokio::test]
async fn drain_assigns_waiting_tickets_by_the_strategy() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Spread", [0, 1, 2]).await;
    for n in 0..3 {
        fixture.user_event("user.deactivated", n, json!({})).await;
    }
    wait_until("the copies of the profiles", async || {
        let workload = fixture.workload(&team).await;
        workload["members"]
            .as_array()
            .is_some_and(|all| all.iter().all(|member| member["status"] == "inactive"))
    })
    .await;
    let events: Vec<_> = (0..12)
        .map(|n| fixture.ticket(&format!("t{n}")).team(&team).created())
        .collect();
    fixture.send(&events).await;
    assert_eq!(
        fixture.load(&team).await,
        (12, vec![(0, 0), (0, 0), (0, 0)])
    );
    fixture.set_active(&team, 1, true).await;
    wait_until("every ticket is assigned", async || {
        fixture.load(&team).await.1[1].0 == 12
    })
    .await;
    // The next turns go to the members with the oldest ones.
    fixture.set_active(&team, 0, true).await;
    fixture.set_active(&team, 2, true).await;
    assert_eq!(
        fixture.assigned(&team, ["a", "b", "c"]).await,
        fixture.users([0, 2, 1])
    );
}

#[tokio::test]
async fn deactivated_user_keeps_tickets_and_gets_no_new_one() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Two", [0, 1]).await;
        let status = |id: &str| {
            fixture
                .ticket(id)
                .team(&team)
                .status("in_progress")
                .created()
        };
        fixture.send(&[status("a"), status("b")]).await;
        fixture.user_event("user.deactivated", 0, json!({})).await;
        wait_until("the copy of the profile", async || {
            fixture.status(&team, 0).await == "inactive"
        })
        .await;
        assert_eq!(
            fixture.assigned(&team, ["c", "d"]).await,
            fixture.users([1, 1])
        );
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.load(&team).await, (4, vec![(1, 1), (3, 1)]));
        assert_eq!(fixture.workload(&team).await["total_members"], 2);
        // The counters are unchanged, and the reactivated user has the next turn.
        fixture.set_active(&team, 0, true).await;
        assert_eq!(fixture.load(&team).await, (4, vec![(1, 1), (3, 1)]));
        assert_eq!(fixture.assigned(&team, ["e"]).await, fixture.users([0]));
    }
}

#[tokio::test]
async fn deleted_user_is_inactive_and_keeps_tickets() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Two", [0, 1]).await;
        assert_eq!(fixture.assigned(&team, ["a"]).await, fixture.users([0]));
        fixture.user_event("user.deleted", 0, json!({})).await;
        wait_until("the copy of the profile", async || {
            fixture.status(&team, 0).await == "inactive"
        })
        .await;
        assert_eq!(
            fixture.assigned(&team, ["b", "c"]).await,
            fixture.users([1, 1])
        );
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 0), (2, 0)]));
        // A deleted user cannot be reactivated.
        fixture
            .user_event(
                "user.updated",
                0,
                json!({ "status": "active", "is_active": true }),
            )
            .await;
        assert_eq!(fixture.assigned(&team, ["d"]).await, fixture.users([1]));
    }
}

#[tokio::test]
async fn suspended_user_is_not_eligible() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("One", [0]).await;
    fixture
        .user_event("user.updated", 0, json!({ "status": "suspended" }))
        .await;
    wait_until("the copy of the profile", async || {
        fixture.status(&team, 0).await == "suspended"
    })
    .await;
    fixture
        .send(&[fixture.ticket("a").team(&team).created()])
        .await;
    assert_eq!(fixture.placement("a").await, Placement::waiting(&team));
    assert_eq!(
        fixture.decision("a").await["candidates"][0]["why_not"],
        "suspended"
    );
}

//! Tickets whose team has nobody who could have them, and what users who come and go mean for
//! tickets.

use serde_json::{Value, json};

use super::{Place, Scene, Words, until};

impl Scene {
    /// Says that a user is active or not, in the platform's words, and waits until the team shows
    /// it.
    async fn says_active(&self, team: &str, n: usize, active: bool) {
        let status = if active { "active" } else { "inactive" };
        let said = match self.words {
            Words::TopTickets => json!({ "is_active": active }),
            Words::Itsm => json!({ "status": status }),
        };
        self.user_event("user.updated", n, said).await;
        until(status, async || self.status(team, n).await == status).await;
    }

    /// A member's status, as the workload shows it.
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
async fn where_nobody_is_eligible_a_ticket_waits_with_its_team() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Nobody", []).await;
        scene
            .send(&[scene
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(scene.place("a").await, Place::waiting(&team));
        let decision = scene.decision("a").await;
        assert_eq!(decision["reason"], "The team has no members.");
        assert_eq!(
            (&decision["strategy"], &decision["turn"]),
            (&json!("round_robin"), &Value::Null)
        );

        let team = scene.team("Idle", [0]).await;
        scene.says_active(&team, 0, false).await;
        scene
            .send(&[scene
                .ticket("b")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(scene.place("b").await, Place::waiting(&team));
        let decision = scene.decision("b").await;
        assert_eq!(decision["reason"], "None of 1 members is eligible.");
        assert_eq!(
            (&decision["considered"], &decision["eligible"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(decision["candidates"][0]["why_not"], "inactive");
        // In the team's total, and nobody's own.
        assert_eq!(scene.load(&team).await, (1, vec![(0, 0)]));
        assert_eq!(kinds_of(&scene, "b").await, ["ticket.waiting"]);
    }
}

async fn kinds_of(scene: &Scene, ticket: &str) -> Vec<String> {
    let announced = scene.announced_of(&format!("tickets/{ticket}")).await;
    super::kinds(&announced)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn waiting_tickets_are_assigned_by_priority_and_then_by_age_once_somebody_joins() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Nobody", []).await;
        let ticket = |id: &str, priority: &str, opened: i64| {
            scene
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
        scene.send(&events).await;
        assert_eq!(scene.load(&team).await, (6, vec![]));
        scene.join(&team, 0, &[]).await;
        until("everything given out", async || {
            scene.load(&team).await == (6, vec![(6, 0)])
        })
        .await;
        for (turn, ticket) in (1..).zip(["older", "newer", "high", "unknown", "medium", "low"]) {
            assert_eq!(scene.decision(ticket).await["turn"], turn, "{ticket}");
        }
        assert_eq!(
            kinds_of(&scene, "low").await,
            ["ticket.waiting", "ticket.assigned"]
        );
    }
}

#[tokio::test]
async fn waiting_tickets_are_assigned_when_a_member_returns() {
    let scene = Scene::new(Words::TopTickets).await;
    let team = scene.team("Leaves", [0]).await;
    assert_eq!(scene.assigned(&team, ["a"]).await, scene.users([0]));
    scene.leave(&team, 0).await;
    scene.send(&[scene.ticket("b").team(&team).created()]).await;
    assert_eq!(scene.place("b").await, Place::waiting(&team));
    assert_eq!(scene.load(&team).await, (2, vec![]));
    scene.join(&team, 0, &[]).await;
    scene
        .until_placed("b", &Place::assigned(&team, &scene.user(0)))
        .await;
    assert_eq!(scene.load(&team).await, (2, vec![(2, 0)]));
}

#[tokio::test]
async fn waiting_tickets_are_assigned_when_a_user_is_active_again() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let [one, other] = [scene.team("One", [0]).await, scene.team("Other", [0]).await];
        scene.user_event("user.deactivated", 0, json!({})).await;
        for team in [&one, &other] {
            until("the copy", async || {
                scene.status(team, 0).await == "inactive"
            })
            .await;
        }
        scene
            .send(&[
                scene.ticket("a").team(&one).created(),
                scene.ticket("b").team(&other).created(),
            ])
            .await;
        assert_eq!(
            (scene.place("a").await, scene.place("b").await),
            (Place::waiting(&one), Place::waiting(&other))
        );
        scene.says_active(&one, 0, true).await;
        scene
            .until_placed("a", &Place::assigned(&one, &scene.user(0)))
            .await;
        scene
            .until_placed("b", &Place::assigned(&other, &scene.user(0)))
            .await;
    }
}

#[tokio::test]
async fn profile_copy_is_done_with_for_the_moment() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("Copies", [0]).await;
    scene.says_active(&team, 0, false).await;
    // The second look waits on the queue for its time.
    until("nothing to do now", async || {
        scene.org.stack.has_nothing_due("jobs").await
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_spread_by_the_strategy() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("Spread", [0, 1, 2]).await;
    for n in 0..3 {
        scene.user_event("user.deactivated", n, json!({})).await;
    }
    until("the copies", async || {
        let workload = scene.workload(&team).await;
        workload["members"]
            .as_array()
            .is_some_and(|all| all.iter().all(|member| member["status"] == "inactive"))
    })
    .await;
    let events: Vec<_> = (0..12)
        .map(|n| scene.ticket(&format!("t{n}")).team(&team).created())
        .collect();
    scene.send(&events).await;
    assert_eq!(scene.load(&team).await, (12, vec![(0, 0), (0, 0), (0, 0)]));
    scene.says_active(&team, 1, true).await;
    until("everything given out", async || {
        scene.load(&team).await.1[1].0 == 12
    })
    .await;
    // The next come to those who come next.
    scene.says_active(&team, 0, true).await;
    scene.says_active(&team, 2, true).await;
    assert_eq!(
        scene.assigned(&team, ["a", "b", "c"]).await,
        scene.users([0, 2, 1])
    );
}

#[tokio::test]
async fn a_deactivated_user_gets_nothing_new_stays_a_member_and_keeps_what_they_have() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Two", [0, 1]).await;
        let status = |id: &str| scene.ticket(id).team(&team).status("in_progress").created();
        scene.send(&[status("a"), status("b")]).await;
        scene.user_event("user.deactivated", 0, json!({})).await;
        until("the copy", async || {
            scene.status(&team, 0).await == "inactive"
        })
        .await;
        assert_eq!(scene.assigned(&team, ["c", "d"]).await, scene.users([1, 1]));
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(0))
        );
        assert_eq!(scene.load(&team).await, (4, vec![(1, 1), (3, 1)]));
        assert_eq!(scene.workload(&team).await["total_members"], 2);
        // The workload right after the activation: the same, and the next turn is theirs.
        scene.says_active(&team, 0, true).await;
        assert_eq!(scene.load(&team).await, (4, vec![(1, 1), (3, 1)]));
        assert_eq!(scene.assigned(&team, ["e"]).await, scene.users([0]));
    }
}

#[tokio::test]
async fn a_deleted_user_is_shown_as_inactive_and_keeps_what_they_have() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Two", [0, 1]).await;
        assert_eq!(scene.assigned(&team, ["a"]).await, scene.users([0]));
        scene.user_event("user.deleted", 0, json!({})).await;
        until("the copy", async || {
            scene.status(&team, 0).await == "inactive"
        })
        .await;
        assert_eq!(scene.assigned(&team, ["b", "c"]).await, scene.users([1, 1]));
        assert_eq!(scene.load(&team).await, (3, vec![(1, 0), (2, 0)]));
        // Nobody comes back from that.
        scene
            .user_event(
                "user.updated",
                0,
                json!({ "status": "active", "is_active": true }),
            )
            .await;
        assert_eq!(scene.assigned(&team, ["d"]).await, scene.users([1]));
    }
}

#[tokio::test]
async fn a_suspended_user_is_not_eligible_either() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("One", [0]).await;
    scene
        .user_event("user.updated", 0, json!({ "status": "suspended" }))
        .await;
    until("the copy", async || {
        scene.status(&team, 0).await == "suspended"
    })
    .await;
    scene.send(&[scene.ticket("a").team(&team).created()]).await;
    assert_eq!(scene.place("a").await, Place::waiting(&team));
    assert_eq!(
        scene.decision("a").await["candidates"][0]["why_not"],
        "suspended"
    );
}

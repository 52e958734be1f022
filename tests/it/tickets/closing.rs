//! The end of a ticket, what it is credited with, and what takes that back.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, Scene, Ticket, Words, until};

const HOUR: i64 = 3600;

impl Scene {
    /// A team's `sla_compliance_rate`, and each present member's `avg_resolution_hours`.
    async fn credits(&self, team: &str) -> (Value, Vec<Value>) {
        let workload = self.workload(team).await;
        let members = workload["members"].as_array().expect("members");
        let hours = members
            .iter()
            .map(|member| member["avg_resolution_hours"].clone());
        (workload["sla_compliance_rate"].clone(), hours.collect())
    }

    /// A ticket that its team's member resolved by its due date, in two hours.
    async fn resolved(&self, id: &str, team: &str) {
        let ticket = |status: &str| self.ticket(id).team(team).status(status).due(2 * HOUR);
        self.send(&[ticket("open").at(HOUR).created()]).await;
        self.send(&[ticket("resolved").at(3 * HOUR).resolved(2 * HOUR).updated()])
            .await;
    }
}

#[tokio::test]
async fn resolved_and_closed_tickets_are_credited_and_cancelled_ones_are_not() {
    /// What the last event says, besides its status.
    type Says = fn(Ticket) -> Ticket;
    let cases: [(&str, Says, Value, Value); 8] = [
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
        // Without `resolved_at` it is `updated_at` that counts: three hours.
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
        // 4 min 30 s are 0.075 hours, which is more than half of 0.1.
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
    ];
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        for (n, (status, says, hours, rate)) in cases.iter().enumerate() {
            let team = scene.team(&format!("Team {n}"), [0]).await;
            let ticket = |status: &str| scene.ticket(&format!("t{n}")).team(&team).status(status);
            scene.send(&[ticket("in_progress").at(60).created()]).await;
            assert_eq!(scene.load(&team).await, (1, vec![(1, 1)]));
            scene
                .send(&[says(ticket(status)).at(3 * HOUR).updated()])
                .await;
            assert_eq!(scene.load(&team).await, (0, vec![(0, 0)]), "case {n}");
            assert_eq!(
                scene.credits(&team).await,
                (rate.clone(), vec![hours.clone()]),
                "case {n}"
            );
            let place = Place::closed(Some(&team), Some(&scene.user(0)));
            assert_eq!(scene.place(&format!("t{n}")).await, place, "case {n}");
        }
    }
}

#[tokio::test]
async fn whoever_has_it_at_the_close_is_credited_with_it() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("Two", [0, 1]).await;
    scene.send(&[scene.ticket("a").team(&team).created()]).await;
    let last = scene
        .ticket("a")
        .team(&team)
        .status("resolved")
        .assignee(&scene.user(1))
        .at(HOUR)
        .resolved(HOUR);
    scene.send(&[last.updated()]).await;
    assert_eq!(
        scene.credits(&team).await,
        (Value::Null, vec![Value::Null, json!(1.0)])
    );
    assert_eq!(scene.load(&team).await, (0, vec![(0, 0), (0, 0)]));
}

#[tokio::test]
async fn from_resolved_to_closed_the_credit_stays_what_it_was() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("One", [0]).await;
        scene.resolved("a", &team).await;
        let credits = (json!(1.0), vec![json!(2.0)]);
        assert_eq!(scene.credits(&team).await, credits);
        scene
            .send(&[scene
                .ticket("a")
                .team(&team)
                .status("closed")
                .at(9 * HOUR)
                .updated()])
            .await;
        assert_eq!(scene.credits(&team).await, credits);
    }
}

#[tokio::test]
async fn reopening_cancelling_and_deleting_take_the_credit_back() {
    type Ends = fn(Ticket) -> Value;
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let ends: [(&str, Ends, u64); 3] = [
            ("reopened", |ticket| ticket.status("open").updated(), 1),
            (
                "cancelled",
                |ticket| ticket.status("cancelled").updated(),
                0,
            ),
            ("deleted", Ticket::deleted, 0),
        ];
        for (how, end, open) in ends {
            let team = scene.team(how, [0]).await;
            scene.resolved(how, &team).await;
            scene.resolved(&format!("{how}-stays"), &team).await;
            assert_eq!(
                scene.credits(&team).await,
                (json!(1.0), vec![json!(2.0)]),
                "{how}"
            );
            scene
                .send(&[end(scene
                    .ticket(&format!("{how}-stays"))
                    .team(&team)
                    .at(4 * HOUR))])
                .await;
            assert_eq!(
                scene.credits(&team).await,
                (json!(1.0), vec![json!(2.0)]),
                "{how}"
            );
            scene
                .send(&[end(scene.ticket(how).team(&team).at(4 * HOUR))])
                .await;
            assert_eq!(
                scene.credits(&team).await,
                (Value::Null, vec![Value::Null]),
                "{how}"
            );
            assert_eq!(
                scene.load(&team).await,
                (2 * open, vec![(2 * open, 0)]),
                "{how}"
            );
        }
        // Closed once more, it is credited with what it is then.
        let again = scene
            .ticket("reopened")
            .status("resolved")
            .due(2 * HOUR)
            .at(6 * HOUR)
            .updated();
        scene.send(&[again]).await;
        let team = scene.place("reopened").await.team.expect("a team");
        assert_eq!(scene.credits(&team).await, (json!(0.0), vec![json!(6.0)]));
    }
}

#[tokio::test]
async fn a_reopened_ticket_goes_to_the_same_assignee_and_takes_no_turn() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Two", [0, 1]).await;
        scene.resolved("a", &team).await;
        scene
            .send(&[scene
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .at(4 * HOUR)
                .updated()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(0))
        );
        assert_eq!(scene.load(&team).await, (1, vec![(1, 1), (0, 0)]));
        let decision = scene.decision("a").await;
        assert_eq!(
            decision["reason"],
            "Reopened, and back with its previous assignee."
        );
        assert_eq!(
            (&decision["turn"], &decision["strategy"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(scene.assigned(&team, ["b", "c"]).await, scene.users([1, 0]));
        assert_eq!(scene.decision("c").await["turn"], 3);
    }
}

#[tokio::test]
async fn a_reopened_ticket_whose_assignee_is_not_eligible_is_routed() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let [left, idle] = [
            scene.team("Left", [0, 1]).await,
            scene.team("Idle", [2, 3]).await,
        ];
        scene.resolved("left", &left).await;
        scene.resolved("idle", &idle).await;
        scene.leave(&left, 0).await;
        let said = if words == Words::Itsm {
            json!({ "status": "inactive" })
        } else {
            json!({ "is_active": false })
        };
        scene.user_event("user.updated", 2, said).await;
        until("the copy", async || {
            scene.workload(&idle).await["members"][0]["status"] == "inactive"
        })
        .await;
        let reopened = |id: &str| scene.ticket(id).status("open").at(4 * HOUR).updated();
        scene.send(&[reopened("left"), reopened("idle")]).await;
        assert_eq!(
            scene.place("left").await,
            Place::assigned(&left, &scene.user(1))
        );
        assert_eq!(
            scene.place("idle").await,
            Place::assigned(&idle, &scene.user(3))
        );
        assert_eq!(scene.decision("idle").await["turn"], 2);
        assert_eq!(scene.credits(&left).await, (Value::Null, vec![Value::Null]));
    }
}

#[tokio::test]
async fn a_ticket_first_seen_closed_is_credited_if_its_team_exists() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("One", [0]).await;
        let seen = |id: &str| {
            scene
                .ticket(id)
                .status("closed")
                .resolved(HOUR)
                .due(HOUR)
                .at(2 * HOUR)
        };
        let nowhere = Uuid::new_v4().to_string();
        let events = [
            seen("whole").team(&team).assignee(&scene.user(0)).created(),
            seen("nobodys").team(&team).due(HOUR - 1).updated(),
            seen("teamless").assignee(&scene.user(0)).updated(),
            seen("nowhere")
                .team(&nowhere)
                .assignee(&scene.user(0))
                .updated(),
        ];
        scene.send(&events).await;
        // Both of the team's count there, and what has an assignee in it for them.
        assert_eq!(scene.credits(&team).await, (json!(0.5), vec![json!(1.0)]));
        assert_eq!(scene.load(&team).await, (0, vec![(0, 0)]));
        assert_eq!(
            scene.place("whole").await,
            Place::closed(Some(&team), Some(&scene.user(0)))
        );
        assert_eq!(
            scene.place("nobodys").await,
            Place::closed(Some(&team), None)
        );
        assert_eq!(
            scene.place("nowhere").await,
            Place::closed(None, Some(&scene.user(0)))
        );
        assert_eq!(
            scene.decision("whole").await["reason"],
            "It was closed before it was ever seen open."
        );
        assert_eq!(scene.announced_of("tickets/whole").await, [json!(null); 0]);

        // Reopened, it goes where it was, or is routed.
        let reopened = |id: &str| scene.ticket(id).status("open").at(3 * HOUR).updated();
        scene.send(&[reopened("whole"), reopened("nobodys")]).await;
        assert_eq!(scene.load(&team).await, (2, vec![(2, 0)]));
        assert_eq!(scene.credits(&team).await, (Value::Null, vec![Value::Null]));
    }
}

#[tokio::test]
async fn a_waiting_ticket_that_is_closed_waits_no_longer() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Nobody", []).await;
        scene
            .send(&[
                scene.ticket("a").team(&team).created(),
                scene.ticket("b").team(&team).created(),
            ])
            .await;
        assert_eq!(scene.load(&team).await, (2, vec![]));
        scene
            .send(&[scene.ticket("a").status("cancelled").updated()])
            .await;
        assert_eq!(scene.load(&team).await, (1, vec![]));
        scene.join(&team, 0, &[]).await;
        scene
            .until_placed("b", &Place::assigned(&team, &scene.user(0)))
            .await;
        assert_eq!(scene.place("a").await, Place::closed(Some(&team), None));
        assert_eq!(scene.load(&team).await, (1, vec![(1, 0)]));
    }
}

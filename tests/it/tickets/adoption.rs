//! What persons do: they assign tickets themselves, and take them from somebody.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, Scene, Words, kinds};

#[tokio::test]
async fn an_assignee_whom_a_person_named_is_adopted_without_a_turn() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0, 1, 2]).await;
        scene
            .send(&[scene
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(scene.load(&team).await, (1, vec![(1, 1), (0, 0), (0, 0)]));
        let named = scene
            .ticket("a")
            .team(&team)
            .status("in_progress")
            .assignee(&scene.user(2));
        scene.send(&[named.updated()]).await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(2))
        );
        assert_eq!(scene.load(&team).await, (1, vec![(0, 0), (0, 0), (1, 1)]));
        let decision = scene.decision("a").await;
        assert_eq!(decision["reason"], "Assigned outside of Muster.");
        let nothing = ["strategy", "turn", "fallback"].map(|field| decision[field].clone());
        assert_eq!(nothing, [const { Value::Null }; 3], "{decision}");
        // Neither the team's turn moved nor anybody's latest.
        assert_eq!(
            scene.assigned(&team, ["b", "c", "d"]).await,
            scene.users([1, 2, 0])
        );
        assert_eq!(scene.decision("d").await["turn"], 4);
    }
}

#[tokio::test]
async fn what_one_batch_takes_and_gives_comes_out_even() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0]).await;
        let given = |id: &str| scene.ticket(id).team(&team).assignee(&scene.user(0));
        scene.send(&[given("a").created()]).await;
        scene
            .send(&[
                given("a").status("cancelled").updated(),
                given("b").created(),
            ])
            .await;
        assert_eq!(scene.place("a").await.state, "closed");
        assert_eq!(
            scene.place("b").await,
            Place::assigned(&team, &scene.user(0))
        );
        assert_eq!(scene.load(&team).await, (1, vec![(1, 0)]));
    }
}

#[tokio::test]
async fn a_new_ticket_may_have_an_assignee_already() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0, 1]).await;
        scene
            .send(&[scene
                .ticket("a")
                .team(&team)
                .assignee(&scene.user(1))
                .created()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(1))
        );
        // Without a team it is theirs as well, and counts in no team.
        scene
            .send(&[scene.ticket("b").assignee(&scene.user(1)).created()])
            .await;
        let place = scene.place("b").await;
        assert_eq!(
            (place.state.as_str(), place.team, place.assignee),
            ("assigned", None, Some(scene.user(1)))
        );
        assert_eq!(scene.load(&team).await, (1, vec![(0, 0), (1, 0)]));
        assert_eq!(scene.assigned(&team, ["c"]).await, scene.users([0]));
    }
}

#[tokio::test]
async fn tickets_of_somebody_who_is_no_member_or_unknown_count_in_the_team_alone() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0]).await;
        let stranger = Uuid::new_v4().to_string();
        let named = |id: &str, user: &str| {
            scene
                .ticket(id)
                .team(&team)
                .status("in_progress")
                .assignee(user)
                .created()
        };
        scene
            .send(&[
                named("a", &scene.user(5)),
                named("b", &stranger),
                named("c", &stranger),
            ])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(5))
        );
        assert_eq!(scene.place("c").await, Place::assigned(&team, &stranger));
        assert_eq!(scene.load(&team).await, (3, vec![(0, 0)]));
        let workload = scene.workload(&team).await;
        assert_eq!(
            (
                &workload["total_members"],
                &workload["avg_tickets_per_member"]
            ),
            (&json!(1), &json!(3.0))
        );

        // Nobody shows them, and they are given nothing.
        let members = scene
            .get(&format!("/v1/teams/{team}/members"))
            .await
            .to_string();
        let shown = scene.get(&format!("/v1/teams/{team}")).await.to_string();
        for who in [&scene.user(5), &stranger] {
            assert!(
                !members.contains(who) && !shown.contains(who),
                "{members} {shown}"
            );
        }
        assert_eq!(scene.assigned(&team, ["d", "e"]).await, scene.users([0, 0]));
        assert_eq!(scene.decision("e").await["considered"], 1);
        assert_eq!(
            scene
                .announced_of(&format!("teams/{team}/members/{}", scene.user(5)))
                .await,
            [json!(null); 0]
        );

        // Whoever joins after all finds what is theirs.
        scene.join(&team, 5, &[]).await;
        assert_eq!(scene.load(&team).await, (5, vec![(2, 0), (1, 1)]));
    }
}

#[tokio::test]
async fn the_platforms_echo_of_our_decision_changes_nothing() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0, 1]).await;
        scene.send(&[scene.ticket("a").team(&team).created()]).await;
        let decision = scene.decision("a").await;
        for _ in 0..2 {
            scene
                .send(&[scene
                    .ticket("a")
                    .team(&team)
                    .assignee(&scene.user(0))
                    .updated()])
                .await;
        }
        assert_eq!(scene.decision("a").await, decision);
        assert_eq!(scene.load(&team).await, (1, vec![(1, 0), (0, 0)]));
        assert_eq!(scene.assigned(&team, ["b"]).await, scene.users([1]));
        assert_eq!(
            kinds(&scene.announced_of("tickets/a").await),
            ["ticket.assigned"]
        );
    }
}

#[tokio::test]
async fn an_unassigned_ticket_is_routed_again_and_the_previous_assignee_comes_last() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0, 1, 2]).await;
        assert_eq!(
            scene.assigned(&team, ["a", "b", "c"]).await,
            scene.users([0, 1, 2])
        );
        // It would be the turn of the one from whom it was taken.
        scene
            .send(&[scene.ticket("a").team(&team).unassigned()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(1))
        );
        assert_eq!(scene.load(&team).await, (3, vec![(0, 0), (2, 0), (1, 0)]));
        let decision = scene.decision("a").await;
        assert_eq!(
            (&decision["turn"], &decision["eligible"]),
            (&json!(4), &json!(3)),
            "{decision}"
        );
        let last = &decision["candidates"][2];
        assert_eq!(last["user_id"], scene.user(0));
        assert_eq!(
            (&last["eligible"], &last["why_not"]),
            (&json!(true), &json!("previous_assignee"))
        );
        // Their turn is still to come.
        assert_eq!(scene.assigned(&team, ["d"]).await, scene.users([0]));
    }
}

#[tokio::test]
async fn the_only_eligible_member_gets_an_unassigned_ticket_back_and_it_is_announced_again() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Alone", [0]).await;
        scene.send(&[scene.ticket("a").team(&team).created()]).await;
        scene
            .send(&[scene.ticket("a").team(&team).unassigned()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(0))
        );
        assert_eq!(scene.load(&team).await, (1, vec![(1, 0)]));
        let announced = scene.announced_of("tickets/a").await;
        assert_eq!(kinds(&announced), ["ticket.assigned", "ticket.assigned"]);
        assert_eq!(announced[1]["data"]["decision"]["turn"], 2);
        assert_eq!(announced[1]["data"]["previous_assignee_id"], scene.user(0));
    }
}

#[tokio::test]
async fn an_unassignment_that_is_older_than_the_assignment_takes_nothing_away() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("Rotation", [0, 1]).await;
    scene
        .send(&[scene
            .ticket("a")
            .team(&team)
            .assignee(&scene.user(1))
            .at(100)
            .created()])
        .await;
    scene
        .send(&[scene.ticket("a").team(&team).at(90).unassigned()])
        .await;
    assert_eq!(
        scene.place("a").await,
        Place::assigned(&team, &scene.user(1))
    );
    // What is said after it counts, whoever had it.
    scene.send(&[scene.ticket("a").at(110).unassigned()]).await;
    assert_eq!(
        scene.place("a").await,
        Place::assigned(&team, &scene.user(0))
    );
}

#[tokio::test]
async fn an_unassigned_ticket_whose_team_has_nobody_else_eligible_waits() {
    let scene = Scene::new(Words::TopTickets).await;
    let team = scene.team("Alone", [0]).await;
    scene.send(&[scene.ticket("a").team(&team).created()]).await;
    scene.leave(&team, 0).await;
    assert_eq!(
        scene.load(&team).await,
        (1, vec![]),
        "a removed member's ticket stays theirs, and the team's"
    );
    assert_eq!(
        scene.place("a").await,
        Place::assigned(&team, &scene.user(0))
    );
    scene.send(&[scene.ticket("a").unassigned()]).await;
    assert_eq!(scene.place("a").await, Place::waiting(&team));
    assert_eq!(scene.load(&team).await, (1, vec![]));
}

#[tokio::test]
async fn a_person_may_assign_a_waiting_or_an_unrouted_ticket_and_somebody_inactive() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Nobody", []).await;
        scene
            .send(&[
                scene.ticket("a").team(&team).created(),
                scene.ticket("b").created(),
            ])
            .await;
        assert_eq!(
            (scene.place("a").await, scene.place("b").await),
            (Place::waiting(&team), Place::unrouted())
        );
        // User 12 is inactive.
        let events = [
            scene.ticket("a").assignee(&scene.user(12)).updated(),
            scene
                .ticket("b")
                .team(&team)
                .assignee(&scene.user(12))
                .updated(),
        ];
        scene.send(&events).await;
        for ticket in ["a", "b"] {
            assert_eq!(
                scene.place(ticket).await,
                Place::assigned(&team, &scene.user(12)),
                "{ticket}"
            );
        }
        // None is left to wait for whoever joins.
        scene.join(&team, 0, &[]).await;
        assert_eq!(scene.assigned(&team, ["c"]).await, scene.users([0]));
        assert_eq!(scene.load(&team).await, (3, vec![(1, 0)]));
    }
}

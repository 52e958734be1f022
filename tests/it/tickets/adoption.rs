//! Assignments and unassignments by persons.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Placement, Platform, PlatformFixture, kinds};

#[tokio::test]
async fn assignee_named_by_person_is_adopted_without_turn() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1, 2]).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 1), (0, 0), (0, 0)]));
        let named = fixture
            .ticket("a")
            .team(&team)
            .status("in_progress")
            .assignee(&fixture.user(2));
        fixture.send(&[named.updated()]).await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(2))
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(0, 0), (0, 0), (1, 1)]));
        let decision = fixture.decision("a").await;
        assert_eq!(decision["reason"], "Assigned outside of Muster.");
        let nothing = ["strategy", "turn", "fallback"].map(|field| decision[field].clone());
        assert_eq!(nothing, [const { Value::Null }; 3], "{decision}");
        // Neither the turn of the team nor that of the user advanced.
        assert_eq!(
            fixture.assigned(&team, ["b", "c", "d"]).await,
            fixture.users([1, 2, 0])
        );
        assert_eq!(fixture.decision("d").await["turn"], 4);
    }
}

#[tokio::test]
async fn batch_that_closes_and_assigns_leaves_exact_counters() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0]).await;
        let given = |id: &str| fixture.ticket(id).team(&team).assignee(&fixture.user(0));
        fixture.send(&[given("a").created()]).await;
        fixture
            .send(&[
                given("a").status("cancelled").updated(),
                given("b").created(),
            ])
            .await;
        assert_eq!(fixture.placement("a").await.state, "closed");
        assert_eq!(
            fixture.placement("b").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 0)]));
    }
}

#[tokio::test]
async fn new_ticket_with_assignee_is_adopted() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .assignee(&fixture.user(1))
                .created()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(1))
        );
        // Without a team, the ticket is assigned and counts in no team.
        fixture
            .send(&[fixture.ticket("b").assignee(&fixture.user(1)).created()])
            .await;
        let placement = fixture.placement("b").await;
        assert_eq!(
            (placement.state.as_str(), placement.team, placement.assignee),
            ("assigned", None, Some(fixture.user(1)))
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(0, 0), (1, 0)]));
        assert_eq!(fixture.assigned(&team, ["c"]).await, fixture.users([0]));
    }
}

#[tokio::test]
async fn ticket_of_non_member_counts_in_team_load_only() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0]).await;
        let stranger = Uuid::new_v4().to_string();
        let named = |id: &str, user: &str| {
            fixture
                .ticket(id)
                .team(&team)
                .status("in_progress")
                .assignee(user)
                .created()
        };
        fixture
            .send(&[
                named("a", &fixture.user(5)),
                named("b", &stranger),
                named("c", &stranger),
            ])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(5))
        );
        assert_eq!(
            fixture.placement("c").await,
            Placement::assigned(&team, &stranger)
        );
        assert_eq!(fixture.load(&team).await, (3, vec![(0, 0)]));
        let workload = fixture.workload(&team).await;
        assert_eq!(
            (
                &workload["total_members"],
                &workload["avg_tickets_per_member"]
            ),
            (&json!(1), &json!(3.0))
        );

        // No response shows these users, and they get no tickets.
        let members = fixture
            .get(&format!("/v1/teams/{team}/members"))
            .await
            .to_string();
        let shown = fixture.get(&format!("/v1/teams/{team}")).await.to_string();
        for user in [&fixture.user(5), &stranger] {
            assert!(
                !members.contains(user) && !shown.contains(user),
                "{members} {shown}"
            );
        }
        assert_eq!(
            fixture.assigned(&team, ["d", "e"]).await,
            fixture.users([0, 0])
        );
        assert_eq!(fixture.decision("e").await["considered"], 1);
        assert_eq!(
            fixture
                .announced_of(&format!("teams/{team}/members/{}", fixture.user(5)))
                .await,
            [json!(null); 0]
        );

        // A user who joins later gets the counters of their tickets.
        fixture.join(&team, 5, &[]).await;
        assert_eq!(fixture.load(&team).await, (5, vec![(2, 0), (1, 1)]));
    }
}

#[tokio::test]
async fn echo_of_a_decision_changes_no_state() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        fixture
            .send(&[fixture.ticket("a").team(&team).created()])
            .await;
        let decision = fixture.decision("a").await;
        for _ in 0..2 {
            fixture
                .send(&[fixture
                    .ticket("a")
                    .team(&team)
                    .assignee(&fixture.user(0))
                    .updated()])
                .await;
        }
        assert_eq!(fixture.decision("a").await, decision);
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 0), (0, 0)]));
        assert_eq!(fixture.assigned(&team, ["b"]).await, fixture.users([1]));
        assert_eq!(
            kinds(&fixture.announced_of("tickets/a").await),
            ["ticket.assigned"]
        );
    }
}

#[tokio::test]
async fn unassigned_ticket_ranks_previous_assignee_last() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1, 2]).await;
        assert_eq!(
            fixture.assigned(&team, ["a", "b", "c"]).await,
            fixture.users([0, 1, 2])
        );
        // The round robin would select the previous assignee.
        fixture
            .send(&[fixture.ticket("a").team(&team).unassigned()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(1))
        );
        assert_eq!(fixture.load(&team).await, (3, vec![(0, 0), (2, 0), (1, 0)]));
        let decision = fixture.decision("a").await;
        assert_eq!(
            (&decision["turn"], &decision["eligible"]),
            (&json!(4), &json!(3)),
            "{decision}"
        );
        let last = &decision["candidates"][2];
        assert_eq!(last["user_id"], fixture.user(0));
        assert_eq!(
            (&last["eligible"], &last["why_not"]),
            (&json!(true), &json!("previous_assignee"))
        );
        // The previous assignee still has the next turn.
        assert_eq!(fixture.assigned(&team, ["d"]).await, fixture.users([0]));
    }
}

#[tokio::test]
async fn only_eligible_member_gets_unassigned_ticket_back() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Alone", [0]).await;
        fixture
            .send(&[fixture.ticket("a").team(&team).created()])
            .await;
        fixture
            .send(&[fixture.ticket("a").team(&team).unassigned()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 0)]));
        let announced = fixture.announced_of("tickets/a").await;
        assert_eq!(kinds(&announced), ["ticket.assigned", "ticket.assigned"]);
        assert_eq!(announced[1]["data"]["decision"]["turn"], 2);
        assert_eq!(
            announced[1]["data"]["previous_assignee_id"],
            fixture.user(0)
        );
    }
}

#[tokio::test]
async fn unassignment_older_than_assignment_is_ignored() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0, 1]).await;
    fixture
        .send(&[fixture
            .ticket("a")
            .team(&team)
            .assignee(&fixture.user(1))
            .at(100)
            .created()])
        .await;
    fixture
        .send(&[fixture.ticket("a").team(&team).at(90).unassigned()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(1))
    );
    // A later unassignment applies to any assignee.
    fixture
        .send(&[fixture.ticket("a").at(110).unassigned()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(0))
    );
}

#[tokio::test]
async fn unassigned_ticket_without_eligible_member_waits() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Alone", [0]).await;
    fixture
        .send(&[fixture.ticket("a").team(&team).created()])
        .await;
    fixture.leave(&team, 0).await;
    assert_eq!(
        fixture.load(&team).await,
        (1, vec![]),
        "the ticket stays with the removed member and the team"
    );
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(0))
    );
    fixture.send(&[fixture.ticket("a").unassigned()]).await;
    assert_eq!(fixture.placement("a").await, Placement::waiting(&team));
    assert_eq!(fixture.load(&team).await, (1, vec![]));
}

#[tokio::test]
async fn person_assigns_open_tickets_to_an_inactive_user() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Nobody", []).await;
        fixture
            .send(&[
                fixture.ticket("a").team(&team).created(),
                fixture.ticket("b").created(),
            ])
            .await;
        assert_eq!(
            (fixture.placement("a").await, fixture.placement("b").await),
            (Placement::waiting(&team), Placement::unrouted())
        );
        // User 12 is inactive.
        let events = [
            fixture.ticket("a").assignee(&fixture.user(12)).updated(),
            fixture
                .ticket("b")
                .team(&team)
                .assignee(&fixture.user(12))
                .updated(),
        ];
        fixture.send(&events).await;
        for ticket in ["a", "b"] {
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::assigned(&team, &fixture.user(12)),
                "{ticket}"
            );
        }
        // No ticket is left to wait for a new member.
        fixture.join(&team, 0, &[]).await;
        assert_eq!(fixture.assigned(&team, ["c"]).await, fixture.users([0]));
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 0)]));
    }
}

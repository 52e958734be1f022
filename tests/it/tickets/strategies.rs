//! The selection of a member by each strategy, and the recorded decision.

use muster_domain::Timestamp;
use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture, wait_until};

#[tokio::test]
async fn round_robin_starts_in_order_of_joining_and_rotates() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [2, 0, 1]).await;
        let assignees = fixture
            .assigned(&team, ["a", "b", "c", "d", "e", "f", "g"])
            .await;
        assert_eq!(assignees, fixture.users([2, 0, 1, 2, 0, 1, 2]));
        // The turn advances once for each decision.
        for (turn, ticket) in (1..).zip(["a", "b", "c", "d", "e", "f", "g"]) {
            assert_eq!(fixture.decision(ticket).await["turn"], turn);
        }
    }
}

#[tokio::test]
async fn new_member_starts_at_the_current_turn() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0, 1]).await;
    assert_eq!(
        fixture.assigned(&team, ["a", "b", "c", "d"]).await,
        fixture.users([0, 1, 0, 1])
    );
    fixture.join(&team, 2, &[]).await;
    // A new member gets no earlier turns, and ranks after the existing members.
    assert_eq!(
        fixture.assigned(&team, ["e", "f", "g", "h"]).await,
        fixture.users([0, 1, 2, 0])
    );
}

#[tokio::test]
async fn removal_and_return_keep_the_turns_of_others() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Rotation", [0, 1, 2, 3]).await;
    assert_eq!(
        fixture.assigned(&team, ["a", "b"]).await,
        fixture.users([0, 1])
    );
    fixture.leave(&team, 1).await;
    assert_eq!(fixture.assigned(&team, ["c"]).await, fixture.users([2]));
    fixture.leave(&team, 0).await;
    assert_eq!(fixture.assigned(&team, ["d"]).await, fixture.users([3]));
    fixture.join(&team, 0, &[]).await;
    fixture.join(&team, 1, &[]).await;
    // The last turn of each member is unchanged: 1, 2, 3, 4.
    assert_eq!(
        fixture.assigned(&team, ["e", "f", "g", "h", "i"]).await,
        fixture.users([0, 1, 2, 3, 0])
    );
}

#[tokio::test]
async fn returning_member_does_not_catch_up() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0, 1]).await;
    fixture.leave(&team, 0).await;
    assert_eq!(
        fixture.assigned(&team, ["a", "b", "c", "d"]).await,
        fixture.users([1, 1, 1, 1])
    );
    fixture.join(&team, 0, &[]).await;
    assert_eq!(
        fixture.assigned(&team, ["e", "f", "g"]).await,
        fixture.users([0, 1, 0])
    );
}

#[tokio::test]
async fn least_busy_ranks_by_open_tickets_then_rotation() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_of("Busy", "least_busy", &[]).await;
        for n in 0..3 {
            fixture.join(&team, n, &[]).await;
        }
        assert_eq!(
            fixture.assigned(&team, ["a", "b", "c", "d"]).await,
            fixture.users([0, 1, 2, 0])
        );
        fixture
            .send(&[fixture.ticket("b").status("resolved").updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (3, vec![(2, 0), (0, 0), (1, 0)]));
        assert_eq!(fixture.assigned(&team, ["e"]).await, fixture.users([1]));

        let decision = fixture.decision("e").await;
        let shown = |field: &str| {
            let candidates = decision["candidates"].as_array().expect("candidates");
            candidates
                .iter()
                .map(|candidate| candidate[field].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("user_id"), fixture.users([1, 2, 0]));
        assert_eq!(
            shown("open_tickets"),
            [0, 1, 2],
            "the counters of the workload before the decision"
        );
        assert_eq!(shown("last_turn"), [2, 3, 4]);
        let reason =
            "Fewest open tickets (0) of 3 eligible members, then the longest wait for a turn.";
        assert_eq!(decision["reason"], reason);
        // Each has one ticket, so the turns decide: 3 for user 2, 5 for user 1.
        assert_eq!(fixture.assigned(&team, ["f"]).await, fixture.users([2]));
    }
}

#[tokio::test]
async fn skill_based_matches_category_subcategory_and_tags() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_of("Skilled", "skill_based", &[]).await;
        for (n, skills) in [
            (0, ["VPN", "Ärger"]),
            (1, ["dns", "Network"]),
            (2, ["Printer", "network"]),
        ] {
            fixture.join(&team, n, &skills).await;
        }
        let about = |id: &str, category: Value, subcategory: Value, tags: Value| {
            let ticket = fixture.ticket(id).team(&team).with("category", category);
            ticket
                .with("subcategory", subcategory)
                .with("tags", tags)
                .created()
        };
        fixture
            .send(&[
                about("category", json!("vpn"), Value::Null, Value::Null),
                about(
                    "subcategory",
                    json!("Hardware"),
                    json!("PRINTER"),
                    json!([]),
                ),
                about("tags", Value::Null, Value::Null, json!(["x", "DNS"])),
                about("case", json!("ÄRGER"), Value::Null, json!([])),
                about("most", json!("network"), json!("printer"), json!(["vpn"])),
            ])
            .await;
        let tickets = ["category", "subcategory", "tags", "case", "most"];
        assert_eq!(
            fixture.assignees(tickets).await,
            fixture.users([0, 2, 1, 0, 2])
        );
        let decision = fixture.decision("most").await;
        assert_eq!(
            (&decision["strategy"], &decision["fallback"]),
            (&json!("skill_based"), &Value::Null)
        );
        assert_eq!(decision["candidates"][0]["matched_skills"], 2, "{decision}");
        assert_eq!(decision["candidates"][1]["matched_skills"], 1, "{decision}");

        // With equal skills, the member with fewer open tickets is selected: user 1 with one
        // against two.
        fixture
            .send(&[about(
                "least_busy",
                json!("NETWORK"),
                Value::Null,
                json!([]),
            )])
            .await;
        assert_eq!(fixture.assignees(["least_busy"]).await, fixture.users([1]));
    }
}

#[tokio::test]
async fn skill_in_another_unicode_form_matches() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team_of("Skilled", "skill_based", &[]).await;
    fixture.join(&team, 0, &["VPN"]).await;
    fixture.join(&team, 1, &["SD-WAN \u{ff21}"]).await;
    fixture
        .send(&[fixture
            .ticket("wide")
            .team(&team)
            .about("sd-wan a")
            .created()])
        .await;
    assert_eq!(fixture.assignees(["wide"]).await, fixture.users([1]));
    let decision = fixture.decision("wide").await;
    assert_eq!(
        (
            &decision["candidates"][0]["matched_skills"],
            &decision["fallback"]
        ),
        (&json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn skill_based_without_match_falls_back_to_least_busy() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_of("Skilled", "skill_based", &[]).await;
        fixture.join(&team, 0, &["VPN"]).await;
        fixture.join(&team, 1, &[]).await;
        fixture
            .send(&[fixture.ticket("a").team(&team).about("vpn").created()])
            .await;
        fixture
            .send(&[fixture.ticket("b").team(&team).about("coffee").created()])
            .await;
        assert_eq!(fixture.assignees(["a", "b"]).await, fixture.users([0, 1]));
        let decision = fixture.decision("b").await;
        assert_eq!(
            (&decision["strategy"], &decision["fallback"]),
            (&json!("skill_based"), &json!("least_busy"))
        );
        let reason = "No skill matches; fewest open tickets (0) of 2 eligible members, then the longest wait.";
        assert_eq!(decision["reason"], reason);
    }
}

/// Asserts that a time of the platform's contract is after this one, in seconds.
fn assert_decided_after(platform: Platform, decided_at: &Value, before: i64) {
    match platform {
        Platform::Itsm => assert!(
            decided_at.as_i64().is_some_and(|at| at > before),
            "{decided_at}"
        ),
        Platform::TopTickets => {
            let at = decided_at.as_str().expect("a string");
            assert!(
                at > Timestamp::from_secs(before).iso8601().as_str() && at.ends_with('Z'),
                "{at}"
            );
        }
    }
}

#[tokio::test]
async fn decision_has_every_field_of_the_contracts() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Four", [0, 1, 2, 3]).await;
        fixture.user_event("user.deactivated", 1, json!({})).await;
        wait_until("the copy of the profile", async || {
            fixture.workload(&team).await["members"][1]["status"] == "inactive"
        })
        .await;
        let before = Timestamp::now().secs() - 60;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .created()])
            .await;
        let decision = fixture.decision("a").await;

        let candidate = |n: usize, status: Value| {
            json!({
                "user_id": fixture.user(n), "open_tickets": 0, "last_turn": 0, "matched_skills": 0,
                "eligible": status == Value::Null, "why_not": status,
            })
        };
        let expected = json!({
            "ticket_id": "a", "team_id": team, "assignee_id": fixture.user(0), "state": "assigned", "status": "in_progress",
            "priority": "medium", "created_at": decision["created_at"], "due_at": null,
            "strategy": "round_robin", "turn": 1,
            "reason": "Longest wait for a turn (since turn 0) of 3 eligible members.",
            "fallback": null, "considered": 4, "eligible": 3,
            "candidates": [candidate(0, Value::Null), candidate(2, Value::Null), candidate(3, Value::Null)],
            "decided_at": decision["decided_at"],
        });
        assert_eq!(decision, expected);
        assert_decided_after(platform, &decision["decided_at"], before);

        // An ineligible candidate ranks last, with the reason.
        fixture.leave(&team, 3).await;
        fixture
            .send(&[fixture.ticket("b").team(&team).created()])
            .await;
        let decision = fixture.decision("b").await;
        assert_eq!(
            (&decision["considered"], &decision["eligible"]),
            (&json!(3), &json!(2))
        );
        assert_eq!(
            decision["candidates"][2],
            candidate(1, json!("inactive")),
            "{decision}"
        );
        let listed = fixture.get(&format!("/v1/teams/{team}/assignments")).await;
        assert_eq!(
            listed[0], decision,
            "the newest decision is the first: {listed}"
        );
    }
}

#[tokio::test]
async fn only_eligible_member_gets_every_ticket() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Alone", [0]).await;
    assert_eq!(
        fixture.assigned(&team, ["a", "b", "c"]).await,
        fixture.users([0, 0, 0])
    );
    assert_eq!(
        fixture.decision("c").await["reason"],
        "The only eligible member of 1."
    );
}

#[tokio::test]
async fn batch_is_routed_in_the_order_of_event_versions() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Rotation", [0, 1, 2]).await;
    let at = |id: &str, seconds: i64| fixture.ticket(id).team(&team).at(seconds).created();
    fixture
        .send(&[at("third", 30), at("first", 10), at("second", 20)])
        .await;
    assert_eq!(
        fixture.assignees(["first", "second", "third"]).await,
        fixture.users([0, 1, 2])
    );
    assert_eq!(
        fixture.placement("third").await,
        Placement::assigned(&team, &fixture.user(2))
    );
}

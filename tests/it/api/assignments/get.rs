//! `GET /v1/assignments/{ticket_id}`.

use serde_json::json;

use super::{TEAM, technical_support};
use crate::{
    api::{ClockedStack, golden},
    support::{
        Stack, bare,
        ticket_items::{assigned, unrouted, waiting},
    },
};

#[tokio::test]
async fn assignment_matches_the_golden() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = technical_support(&clocked).await;
    let mut ticket = assigned(TEAM, &org.users[0], 1_736_064_000_123);
    ticket["status"] = json!("in_progress");
    let candidate = |id: &str, open: u64, last_turn: u64| json!({ "user_id": id, "open_tickets": open, "last_turn": last_turn, "matched_skills": 0 });
    let mut candidates = [
        candidate("123e4567-e89b-12d3-a456-426614174000", 2, 40),
        candidate("234f5678-e90c-12d3-b456-526714174111", 1, 41),
        candidate("f6e5d4c3-b2a1-0987-fedc-ba9876543210", 0, 7),
    ];
    candidates[1]["why_not"] = json!("previous_assignee");
    candidates[2]["why_not"] = json!("inactive");
    ticket["decision"] = json!({
        "reason": "strategy",
        "strategy": "skill_based",
        "turn": 42,
        "fallback": "least_busy",
        "considered": 3,
        "eligible": 2,
        "candidates": candidates,
        "decided_at": 1_736_064_000_123_i64,
    });
    org.put_ticket("TKT-2024:001", &ticket).await;
    for path in [
        "/v1/assignments/TKT-2024:001",
        "/v1/assignments/TKT%2D2024%3A001?x=y",
    ] {
        let response = org.toptickets.get(path).await;
        assert_eq!(
            (response.status.as_u16(), &response.text),
            (200, &golden!("toptickets/get_assignment.json"))
        );
        let response = org.itsm.get(path).await;
        assert_eq!(
            (response.status.as_u16(), &response.text),
            (200, &golden!("itsm/get_assignment.json"))
        );
    }
}

#[tokio::test]
async fn assignment_reports_the_ticket_state() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let mine = format!("usr_{}", bare(&org.users[0]));
    let ours = format!("team_{team}");
    let mut closed = assigned(&team, &org.users[0], 1);
    (closed["state"], closed["status"]) = (json!("closed"), json!("resolved"));
    let no_team = "No team's specializations match its category, subcategory or tags.";
    for (id, ticket, expected) in [
        (
            "assigned",
            assigned(&team, &org.users[0], 1),
            json!([
                ours,
                mine,
                "round_robin",
                1,
                "The only eligible member of 1."
            ]),
        ),
        (
            "waiting",
            waiting(&team, 1),
            json!([ours, null, "round_robin", null, "The team has no members."]),
        ),
        (
            "unrouted",
            unrouted(1),
            json!([null, null, null, null, no_team]),
        ),
        (
            "closed",
            closed,
            json!([
                ours,
                mine,
                "round_robin",
                1,
                "The only eligible member of 1."
            ]),
        ),
    ] {
        org.put_ticket(id, &ticket).await;
        let response = org.itsm.get(&format!("/v1/assignments/{id}")).await;
        let data = &response.json["data"];
        let reported = ["team_id", "assignee_id", "strategy", "turn", "reason"]
            .map(|field| data[field].clone());
        assert_eq!(
            (json!(reported), &data["state"]),
            (expected, &json!(id)),
            "{response}"
        );
        assert_eq!(data["status"], ticket["status"], "{response}");
    }
}

//! Decisions, one and a team's: what contracts.md adds to the documents. The goldens are Muster's
//! own.

use muster_domain::{OrganizationId, User, UserId, UserStatus};
use serde_json::{Value, json};

use super::{Scene, golden, itsm_error, toptickets_error};
use crate::support::{
    Client, Organization, Response, Stack, bare, n,
    ticket_items::{assigned, waiting},
    user,
};

const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Alice, and the team of the TopTickets document without members.
async fn technical_support(scene: &Scene) -> Organization {
    let id = UserId::parse("123e4567-e89b-12d3-a456-426614174000").expect("a user's id");
    let alice = User {
        id,
        ..user("Alice Johnson", UserStatus::Active)
    };
    let org = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    let org = scene.stack.organization_of(org, vec![alice]).await;
    scene.next_team(TEAM);
    org.team("Technical Support").await;
    org
}

#[tokio::test]
async fn a_decision_is_explained() {
    let scene = Scene::at(1_736_064_000).await;
    let org = technical_support(&scene).await;
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
async fn a_decision_says_where_the_ticket_is() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let mine = format!("usr_{}", bare(&org.users[0]));
    let ours = format!("team_{team}");
    let mut unrouted = waiting(&team, 1);
    unrouted
        .as_object_mut()
        .expect("an object")
        .remove("team_id");
    unrouted["state"] = json!("unrouted");
    unrouted["decision"] = json!({
        "reason": "no_team_matches", "considered": 0, "eligible": 0, "candidates": [], "decided_at": 1,
    });
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
            unrouted,
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
        let said = ["team_id", "assignee_id", "strategy", "turn", "reason"]
            .map(|field| data[field].clone());
        assert_eq!(
            (json!(said), &data["state"]),
            (expected, &json!(id)),
            "{response}"
        );
        assert_eq!(data["status"], ticket["status"], "{response}");
    }
}

#[tokio::test]
async fn decisions_of_a_team_are_listed_assigned_first() {
    let scene = Scene::at(1_736_064_000).await;
    let org = technical_support(&scene).await;
    org.put_ticket("A-1", &assigned(TEAM, &org.users[0], 1_736_064_000_000))
        .await;
    org.put_ticket("W-1", &waiting(TEAM, 1_736_519_400_000))
        .await;
    org.set_load(TEAM, &[("open_tickets", n(2)), ("waiting_tickets", n(1))])
        .await;
    let path = format!("/v1/teams/{TEAM}/assignments");
    let listed = org.toptickets.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("toptickets/list_assignments.json"))
    );
    let listed = org.itsm.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("itsm/list_assignments.json"))
    );
}

/// The tickets on a page.
async fn listed(client: &Client, team: &str, query: &str) -> Vec<String> {
    let response = client
        .get(&format!("/v1/teams/{team}/assignments?{query}"))
        .await;
    let items = response
        .json
        .as_array()
        .or_else(|| response.json["data"].as_array());
    let items = items.unwrap_or_else(|| panic!("no list: {response}"));
    items
        .iter()
        .map(|item| item["ticket_id"].as_str().expect("a text").to_owned())
        .collect()
}

fn pagination(response: &Response) -> &Value {
    &response.json["meta"]["pagination"]
}

#[tokio::test]
async fn open_tickets_are_listed_page_by_page() {
    let org = Stack::shared().organization().await;
    let (team, other) = (org.team("Team").await, org.team("Other").await);
    assert_eq!(
        listed(&org.toptickets, &team, "").await,
        <[&str; 0]>::default()
    );
    for (id, decided_at) in [("a1", 1), ("a3", 3), ("a5", 5), ("a7", 7), ("b5", 5)] {
        org.put_ticket(id, &assigned(&team, &org.users[0], decided_at))
            .await;
    }
    // The times of the decisions do not count for tickets that wait.
    for (id, priority, created_at, decided_at) in [
        ("w2", "critical", 9, 2),
        ("w4", "low", 1, 4),
        ("w6", "high", 3, 6),
        ("w5", "critical", 4, 5),
        ("v5", "critical", 4, 8),
    ] {
        let mut ticket = waiting(&team, decided_at);
        (ticket["priority"], ticket["created_at"]) = (json!(priority), json!(created_at));
        org.put_ticket(id, &ticket).await;
    }
    org.set_load(&team, &[("open_tickets", n(10)), ("waiting_tickets", n(5))])
        .await;
    // None of these is an open ticket of the team.
    org.put_ticket("theirs", &assigned(&other, &org.users[0], 6))
        .await;
    let mut closed = assigned(&team, &org.users[0], 6);
    closed["state"] = json!("closed");
    org.put_ticket("closed", &closed).await;

    let all = ["a7", "b5", "a5", "a3", "a1", "v5", "w5", "w2", "w6", "w4"];
    for (state, all) in [
        ("", &all[..]),
        ("&state=assigned", &all[..5]),
        ("&state=waiting", &all[5..]),
    ] {
        for limit in [1, 2, 4, 10, 100] {
            for skip in 0..12 {
                let expected: Vec<_> = all.iter().skip(skip).take(limit).copied().collect();
                let query = format!("limit={limit}&skip={skip}{state}");
                assert_eq!(
                    listed(&org.toptickets, &team, &query).await,
                    expected,
                    "{query}"
                );
            }
            for (page, expected) in all.chunks(limit).chain([&[][..]]).enumerate() {
                let query = format!("limit={limit}&page={}{state}", page + 1);
                assert_eq!(listed(&org.itsm, &team, &query).await, expected, "{query}");
            }
        }
    }
    let pages = [
        (
            "limit=4&page=2",
            json!({ "page": 2, "limit": 4, "total": 10, "totalPages": 3, "hasMore": true }),
        ),
        (
            "limit=4&page=1",
            json!({ "page": 1, "limit": 4, "total": 10, "totalPages": 3, "hasMore": true }),
        ),
        (
            "state=assigned",
            json!({ "page": 1, "limit": 20, "total": 5, "totalPages": 1, "hasMore": false }),
        ),
        (
            "state=waiting&limit=3&page=2",
            json!({ "page": 2, "limit": 3, "total": 5, "totalPages": 2, "hasMore": false }),
        ),
    ];
    for (query, expected) in pages {
        let response = org
            .itsm
            .get(&format!("/v1/teams/{team}/assignments?{query}"))
            .await;
        assert_eq!(pagination(&response), &expected, "{query}");
    }
    let past_the_end = org
        .itsm
        .get(&format!(
            "/v1/teams/{team}/assignments?page=99999999999999999999999"
        ))
        .await;
    assert_eq!(
        (
            &past_the_end.json["data"],
            &pagination(&past_the_end)["total"]
        ),
        (&json!([]), &json!(10))
    );
}

#[tokio::test]
async fn unknown_state_of_assignments_is_refused() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for state in [
        "",
        "closed",
        "Waiting",
        "unrouted",
        "%ff",
        "assigned,waiting",
    ] {
        let path = format!("/v1/teams/{team}/assignments");
        let response = org.toptickets.get(&format!("{path}?state={state}")).await;
        assert_eq!(
            toptickets_error(&response),
            (400, "query.state: type_error.enum".to_owned()),
            "{state}"
        );
        let response = org
            .itsm
            .get(&format!("{path}?state={state}&cursor=x"))
            .await;
        let details = json!({ "field": "state", "constraint": "isEnum" });
        assert_eq!(
            itsm_error(&response, &path),
            (400, "VALIDATION_ERROR".to_owned(), details),
            "{state}"
        );
    }
}

#[tokio::test]
async fn a_page_of_more_tickets_than_one_read_takes_is_whole() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let mut expected = Vec::new();
    for number in 0..250 {
        let id = format!("T-{number:03}");
        org.put_ticket(&id, &assigned(&team, &org.users[0], 1_000 + number / 3))
            .await;
        expected.insert(0, id);
    }
    org.set_load(&team, &[("open_tickets", n(250))]).await;
    assert_eq!(listed(&org.itsm, &team, "limit=1000").await, expected);
    assert_eq!(
        listed(&org.itsm, &team, "limit=110&page=3").await,
        expected[220..]
    );
}

#[tokio::test]
async fn ticket_behind_a_stale_index_entry_is_left_out() {
    let org = Stack::shared().organization().await;
    let (team, other) = (org.team("Team").await, org.team("Other").await);
    let was = |decided_at| assigned(&team, &org.users[0], decided_at);
    let mut closed = was(9);
    closed["state"] = json!("closed");
    org.put_ticket_indexed_as("closed", &closed, &was(8)).await;
    let mut deleted = was(9);
    deleted["state"] = json!("deleted");
    org.put_ticket_indexed_as("deleted", &deleted, &was(7))
        .await;
    org.put_ticket_indexed_as("moved", &assigned(&other, &org.users[0], 9), &was(6))
        .await;
    // Assigned since the index was written: the list shows it in its new place.
    org.put_ticket_indexed_as("again", &was(3), &waiting(&team, 3))
        .await;
    org.put_ticket("there", &was(4)).await;
    org.set_load(&team, &[("open_tickets", n(6)), ("waiting_tickets", n(1))])
        .await;
    for client in [&org.toptickets, &org.itsm] {
        assert_eq!(listed(client, &team, "").await, ["there", "again"]);
        assert_eq!(listed(client, &team, "state=assigned").await, ["there"]);
        assert_eq!(listed(client, &team, "state=waiting").await, [""; 0]);
    }
}

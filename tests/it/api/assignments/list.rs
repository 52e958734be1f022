//! `GET /v1/teams/{team_id}/assignments`.

use serde_json::{Value, json};

use super::{TEAM, technical_support};
use crate::{
    api::{ClockedStack, golden, itsm_error, toptickets_error},
    support::{
        Client, Organization, Response, Stack, n,
        ticket_items::{assigned, waiting},
    },
};

#[tokio::test]
async fn assignment_list_has_assigned_tickets_first() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = technical_support(&clocked).await;
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

/// Returns the ticket ids on a page.
async fn listed_tickets(client: &Client, team: &str, query: &str) -> Vec<String> {
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

/// Creates a team with five assigned and five waiting tickets, and tickets that the list omits.
async fn team_with_ten_open_tickets(org: &Organization) -> String {
    let (team, other) = (org.team("Team").await, org.team("Other").await);
    for (id, decided_at) in [("a1", 1), ("a3", 3), ("a5", 5), ("a7", 7), ("b5", 5)] {
        org.put_ticket(id, &assigned(&team, &org.users[0], decided_at))
            .await;
    }
    // Waiting tickets are ordered by priority and creation, not by the time of the decision.
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
    team
}

#[tokio::test]
async fn assignment_list_pages_open_tickets() {
    let org = Stack::shared().organization().await;
    let empty = org.team("Empty").await;
    assert_eq!(
        listed_tickets(&org.toptickets, &empty, "").await,
        <[&str; 0]>::default()
    );
    let team = team_with_ten_open_tickets(&org).await;

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
                    listed_tickets(&org.toptickets, &team, &query).await,
                    expected,
                    "{query}"
                );
            }
            for (page, expected) in all.chunks(limit).chain([&[][..]]).enumerate() {
                let query = format!("limit={limit}&page={}{state}", page + 1);
                assert_eq!(
                    listed_tickets(&org.itsm, &team, &query).await,
                    expected,
                    "{query}"
                );
            }
        }
    }
}

#[tokio::test]
async fn assignment_list_reports_its_pagination() {
    let org = Stack::shared().organization().await;
    let team = team_with_ten_open_tickets(&org).await;
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
async fn unknown_assignment_state_is_rejected() {
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
async fn page_over_one_batch_read_is_complete() {
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
    assert_eq!(
        listed_tickets(&org.itsm, &team, "limit=1000").await,
        expected
    );
    assert_eq!(
        listed_tickets(&org.itsm, &team, "limit=110&page=3").await,
        expected[220..]
    );
}

#[tokio::test]
async fn ticket_with_stale_index_entry_is_omitted() {
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
    // Assigned after the index entry was written: the list shows it in its new place.
    org.put_ticket_indexed_as("again", &was(3), &waiting(&team, 3))
        .await;
    org.put_ticket("there", &was(4)).await;
    org.set_load(&team, &[("open_tickets", n(6)), ("waiting_tickets", n(1))])
        .await;
    for client in [&org.toptickets, &org.itsm] {
        assert_eq!(listed_tickets(client, &team, "").await, ["there", "again"]);
        assert_eq!(
            listed_tickets(client, &team, "state=assigned").await,
            ["there"]
        );
        assert_eq!(
            listed_tickets(client, &team, "state=waiting").await,
            [""; 0]
        );
    }
}

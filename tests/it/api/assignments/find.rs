//! `GET /v1/assignments`.

use serde_json::{Value, json};

use super::technical_support;
use crate::{
    api::{ClockedStack, golden},
    support::{
        Client, Organization, Response, Stack, bare,
        ticket_items::{assigned, unrouted, waiting},
    },
};

/// Returns a ticket with another priority and time of creation.
fn of_age(mut ticket: Value, priority: &str, created_at: i64) -> Value {
    (ticket["priority"], ticket["created_at"]) = (json!(priority), json!(created_at));
    ticket
}

#[tokio::test]
async fn found_tickets_match_the_golden() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = technical_support(&clocked).await;
    let mut urgent = of_age(unrouted(1_736_062_801_000), "high", 1_736_062_800_000);
    (urgent["status"], urgent["due_at"]) = (json!("open"), json!(1_736_091_600_000_i64));
    org.put_ticket("U-2", &urgent).await;
    let other = of_age(unrouted(1_736_052_001_000), "medium", 1_736_052_000_000);
    org.put_ticket("U-1", &other).await;
    let path = "/v1/assignments?state=unrouted";
    let found = org.toptickets.get(path).await;
    assert_eq!(
        (found.status.as_u16(), &found.text),
        (200, &golden!("toptickets/find_assignments.json"))
    );
    let found = org.itsm.get(path).await;
    assert_eq!(
        (found.status.as_u16(), &found.text),
        (200, &golden!("itsm/find_assignments.json"))
    );
}

/// Returns the ticket ids of a page.
fn ids(response: &Response) -> Vec<String> {
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

/// Returns the query of the next page, from the `Link` header or the cursor of the pagination.
fn next_query(response: &Response, query: &str) -> Option<String> {
    let link = response.header("link");
    if response.json.is_array() {
        if link.is_empty() {
            return None;
        }
        let next = link.strip_prefix("<?").expect("a relative reference");
        let next = next.strip_suffix(">; rel=\"next\"").expect("a next page");
        return Some(next.to_owned());
    }
    assert_eq!(link, "", "only TopTickets has the header");
    let pagination = &response.json["meta"]["pagination"];
    assert_eq!(
        pagination.as_object().map(serde_json::Map::len),
        Some(3),
        "{response}"
    );
    assert!(pagination["limit"].is_number(), "{response}");
    let cursor = pagination["nextCursor"].as_str();
    assert_eq!(pagination["hasMore"], json!(cursor.is_some()), "{response}");
    cursor.map(|cursor| format!("{query}&cursor={cursor}"))
}

/// Returns the ticket ids of all pages. Each page but the last is followed by another.
async fn pages(client: &Client, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(query.to_owned());
    while let Some(page) = next {
        let response = client.get(&format!("/v1/assignments?{page}")).await;
        assert_eq!(response.status, 200, "{page}: {response}");
        pages.push(ids(&response));
        next = next_query(&response, query);
        assert!(pages.len() < 20, "{query} has no end");
    }
    pages
}

/// Creates two teams with assigned and waiting tickets, and unrouted tickets. Returns the teams.
async fn organization_with_tickets(org: &Organization) -> [String; 2] {
    let teams = [org.team("Team").await, org.team("Other").await];
    let [team, other] = &teams;
    for (id, user, decided_at) in [("a1", 0, 1), ("a3", 1, 3), ("b3", 0, 3), ("a5", 0, 5)] {
        org.put_ticket(id, &assigned(team, &org.users[user], decided_at))
            .await;
    }
    org.put_ticket("o4", &assigned(other, &org.users[0], 4))
        .await;
    for (id, team, priority, created_at) in [
        ("w1", team, "high", 4),
        ("w2", other, "high", 3),
        ("w3", team, "critical", 9),
        ("w4", other, "low", 1),
        ("w5", team, "high", 2),
    ] {
        let ticket = of_age(waiting(team, 7), priority, created_at);
        org.put_ticket(id, &ticket).await;
    }
    for (id, priority, created_at) in [
        ("u1", "medium", 4),
        ("u2", "high", 9),
        ("u3", "medium", 4),
        ("u4", "medium", 3),
    ] {
        let ticket = of_age(unrouted(7), priority, created_at);
        org.put_ticket(id, &ticket).await;
    }
    let mut closed = assigned(team, &org.users[0], 6);
    closed["state"] = json!("closed");
    org.put_ticket("closed", &closed).await;
    teams
}

#[tokio::test]
async fn pages_of_found_tickets_follow_the_order_of_the_list() {
    let org = Stack::shared().organization().await;
    let [team, other] = organization_with_tickets(&org).await;
    for (query, expected) in [
        ("state=unrouted".to_owned(), "u2 u4 u1 u3"),
        ("state=unrouted&priority=medium".to_owned(), "u4 u1 u3"),
        ("state=unrouted&priority=low".to_owned(), ""),
        ("state=waiting".to_owned(), "w3 w5 w2 w1 w4"),
        ("state=waiting&priority=high".to_owned(), "w5 w2 w1"),
        (format!("state=waiting&team_id={team}"), "w3 w5 w1"),
        (
            format!("state=waiting&team_id=team_{other}&priority=low"),
            "w4",
        ),
        (format!("state=assigned&team_id={team}"), "a5 b3 a3 a1"),
        (format!("state=assigned&team_id={other}"), "o4"),
    ] {
        let all: Vec<_> = expected.split_whitespace().collect();
        for limit in [1, 2, 3, 100] {
            let mut expected: Vec<_> = all.chunks(limit).map(<[&str]>::to_vec).collect();
            if expected.is_empty() {
                expected.push(Vec::new());
            }
            for client in org.clients() {
                let query = format!("{query}&limit={limit}");
                assert_eq!(pages(client, &query).await, expected, "{query}");
            }
        }
    }
}

/// The index does not know assignees, so their filter leaves out tickets of a page.
#[tokio::test]
async fn assignee_filter_leaves_out_tickets_of_a_page() {
    let org = Stack::shared().organization().await;
    let [team, _] = organization_with_tickets(&org).await;
    let of_user = |user: usize| {
        let user = bare(&org.users[user]);
        format!("state=assigned&team_id={team}&assignee_id={user}&limit=2")
    };
    for client in org.clients() {
        assert_eq!(
            pages(client, &of_user(0)).await,
            [vec!["a5", "b3"], vec!["a1"]]
        );
        assert_eq!(pages(client, &of_user(1)).await, [vec![], vec!["a3"]]);
    }
}

#[tokio::test]
async fn default_limit_is_that_of_the_contract() {
    let org = Stack::shared().organization().await;
    for number in 0..101 {
        org.put_ticket(&format!("U-{number:03}"), &unrouted(1))
            .await;
    }
    for (client, limit) in org.clients().into_iter().zip([50, 20]) {
        let found = pages(client, "state=unrouted").await;
        let lengths: Vec<_> = found.iter().map(Vec::len).collect();
        assert_eq!(lengths.first(), Some(&limit));
        assert_eq!(lengths.iter().sum::<usize>(), 101);
        let largest = pages(client, "state=unrouted&limit=100").await;
        assert_eq!([largest[0].len(), largest[1].len()], [100, 1]);
    }
}

#[tokio::test]
async fn row_has_the_priority_and_the_times_of_the_ticket() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let mut ticket = of_age(assigned(&team, &org.users[0], 1), "low", 1_736_064_000_123);
    org.put_ticket("without", &ticket).await;
    ticket["due_at"] = json!(1_736_067_600_999_i64);
    org.put_ticket("with", &ticket).await;
    for (id, toptickets, itsm) in [
        ("without", Value::Null, Value::Null),
        ("with", json!("2025-01-05T09:00:00Z"), json!(1_736_067_600)),
    ] {
        let path = format!("/v1/assignments/{id}");
        let row = org.toptickets.get(&path).await.json;
        assert_eq!(
            [&row["priority"], &row["created_at"], &row["due_at"]],
            [&json!("low"), &json!("2025-01-05T08:00:00Z"), &toptickets]
        );
        let row = org.itsm.get(&path).await.json["data"].clone();
        assert_eq!(
            [&row["priority"], &row["created_at"], &row["due_at"]],
            [&json!("low"), &json!(1_736_064_000), &itsm]
        );
    }
}

/// The index is eventually consistent. The table determines the content of a page.
#[tokio::test]
async fn found_ticket_with_stale_index_entry_is_omitted() {
    let org = Stack::shared().organization().await;
    let (team, other) = (org.team("Team").await, org.team("Other").await);
    let was = |priority: &str| of_age(waiting(&team, 1), priority, 1);
    let mut deleted = waiting(&team, 1);
    deleted["state"] = json!("deleted");
    org.put_ticket_indexed_as("assigned", &assigned(&team, &org.users[0], 9), &was("high"))
        .await;
    org.put_ticket_indexed_as("deleted", &deleted, &was("high"))
        .await;
    org.put_ticket_indexed_as("moved", &waiting(&other, 1), &was("medium"))
        .await;
    // The page shows the present priority, in its place.
    org.put_ticket_indexed_as("raised", &was("critical"), &was("low"))
        .await;
    org.put_ticket("there", &was("high")).await;
    for client in org.clients() {
        for (query, expected) in [
            ("state=waiting".to_owned(), "raised there moved"),
            (format!("state=waiting&team_id={team}"), "raised there"),
            ("state=waiting&priority=low".to_owned(), ""),
            ("state=waiting&priority=high".to_owned(), "there"),
        ] {
            let expected: Vec<_> = expected.split_whitespace().collect();
            assert_eq!(pages(client, &query).await, [expected], "{query}");
        }
        // A page can be empty although another follows.
        let empty_first = pages(client, "state=waiting&priority=high&limit=1").await;
        assert_eq!(empty_first, [vec![], vec![], vec!["there"]]);
    }
}

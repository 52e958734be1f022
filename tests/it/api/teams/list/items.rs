//! The teams and the fields of a list.

use serde_json::{Value, json};

use super::{create_teams, field_of_all, items, list, totals};
use crate::support::{Stack, bare, n};

#[tokio::test]
async fn team_is_listed_from_creation_to_deletion() {
    let (org, other) = (
        Stack::shared().organization().await,
        Stack::shared().organization().await,
    );
    other.team("Another organization's").await;
    for number in 1..=5 {
        let client = org.clients()[number % 2];
        let created = client
            .post("/v1/teams", json!({ "name": format!("Team {number}") }))
            .await;
        assert_eq!(created.status, 201, "{created}");
        assert_eq!(items(&list(&org.toptickets, "").await).len(), number);
        let listed = list(&org.itsm, "limit=1").await;
        assert_eq!(field_of_all(&listed, "name"), [format!("Team {number}")]);
        assert_eq!(totals(&listed).0, number as u64);
    }
    for left in (0..5).rev() {
        let newest = field_of_all(&list(&org.itsm, "limit=1").await, "id").remove(0);
        assert_eq!(
            org.clients()[left % 2]
                .delete(&format!("/v1/teams/{newest}"))
                .await
                .status,
            204
        );
        assert_eq!(items(&list(&org.toptickets, "").await).len(), left);
        assert_eq!(totals(&list(&org.itsm, "").await).0, left as u64);
        assert_eq!(totals(&list(&org.itsm, "search=team").await).0, left as u64);
    }
}

#[tokio::test]
async fn list_counts_members_and_open_tickets() {
    let org = Stack::shared().organization().await;
    let ids = create_teams(&org, &["One", "Two"]).await;
    for member in &org.users[..3] {
        org.member(&ids[0], member).await;
    }
    let path = format!("/v1/teams/{}/members/{}", ids[0], bare(&org.users[1]));
    assert_eq!(org.toptickets.delete(&path).await.status, 204);
    org.set_load(
        &ids[1],
        &[("open_tickets", n(7)), ("waiting_tickets", n(2))],
    )
    .await;
    for query in [
        "sortOrder=asc",
        "sortBy=name",
        "sortBy=updatedAt&search=o&sortOrder=desc",
    ] {
        let response = list(&org.itsm, query).await;
        let mut counts: Vec<_> = items(&response)
            .iter()
            .map(|team| {
                (
                    team["name"].as_str(),
                    team["member_count"].as_u64(),
                    team["open_tickets"].as_u64(),
                )
            })
            .collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [
                (Some("One"), Some(2), Some(0)),
                (Some("Two"), Some(0), Some(7))
            ],
            "{query}"
        );
    }
}

#[tokio::test]
async fn list_shows_teams_of_both_contracts() {
    let org = Stack::shared().organization().await;
    org.toptickets
        .post("/v1/teams", json!({ "name": "Plain" }))
        .await;
    org.itsm
        .post(
            "/v1/teams",
            json!({ "name": "Led", "lead_id": bare(&org.users[0]), "description": "" }),
        )
        .await;
    let response = list(&org.itsm, "sortOrder=asc").await;
    let fields = |at: usize| {
        let team = &items(&response)[at];
        [
            "lead_id",
            "description",
            "queue_strategy",
            "specializations",
        ]
        .map(|field| team[field].clone())
    };
    let lead = json!(format!("usr_{}", bare(&org.users[0])));
    assert_eq!(
        fields(0),
        [Value::Null, Value::Null, json!("round_robin"), json!([])]
    );
    assert_eq!(
        fields(1),
        [lead, json!(""), json!("round_robin"), json!([])]
    );
    let response = list(&org.toptickets, "").await;
    assert_eq!(
        items(&response)[0]["description"],
        Value::Null,
        "{response}"
    );
    assert_eq!(items(&response)[1]["description"], "", "{response}");
}

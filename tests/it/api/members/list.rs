//! `GET /v1/teams/{team_id}/members`. The goldens are Muster's own.

use serde_json::{Value, json};

use super::{TEAM, items, technical_support};
use crate::{
    api::{
        ClockedStack, golden,
        teams::{get_team, member_numbers, organization, patch_team, remove_member},
        ticking_stack,
    },
    support::{Client, Organization, bare, n},
};

#[tokio::test]
async fn members_are_shown_in_join_order_everywhere() {
    let org = organization().await;
    let id = org.team("Team").await;
    let order = [7, 2, 9, 0, 5, 3];
    for at in order {
        org.member(&id, &org.users[at]).await;
    }
    assert_eq!(member_numbers(&get_team(&org, &id).await), order);
    assert_eq!(
        remove_member(&org.toptickets, &id, &org.users[9])
            .await
            .status,
        204
    );
    assert_eq!(
        remove_member(&org.itsm, &id, &org.users[7]).await.status,
        204
    );
    let left = [2, 0, 5, 3];
    assert_eq!(member_numbers(&get_team(&org, &id).await), left);
    assert_eq!(
        member_numbers(&org.toptickets.get(&format!("/v1/teams/{id}")).await.json),
        left
    );
    assert_eq!(
        member_numbers(&org.itsm.get(&format!("/v1/teams/{id}/workload")).await.json["data"]),
        left
    );
    assert_eq!(
        member_numbers(&patch_team(&org, &id, json!({ "description": "d" })).await),
        left
    );
    assert_eq!(
        member_numbers(&patch_team(&org, &id, json!({ "name": "Renamed" })).await),
        left
    );
    let response = org
        .toptickets
        .post(
            &format!("/v1/teams/{id}/members"),
            json!({ "user_id": bare(&org.users[9]) }),
        )
        .await;
    assert_eq!(
        member_numbers(&response.json),
        [2, 0, 5, 3, 9],
        "a returning member joins last"
    );
}

#[tokio::test]
async fn inactive_member_is_shown_as_inactive() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    let inactive = aws_sdk_dynamodb::types::AttributeValue::S("inactive".to_owned());
    org.set_membership(&id, &org.users[0], &[("status", inactive)])
        .await;
    assert_eq!(
        get_team(&org, &id).await["members"][0]["status"],
        "inactive"
    );
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await;
    assert_eq!(
        workload.json["data"]["members"][0]["status"], "inactive",
        "{workload}"
    );
}

#[tokio::test]
async fn member_list_matches_the_golden() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = technical_support(&clocked).await;
    let figures = [("open_tickets", n(5)), ("in_progress_tickets", n(3))];
    org.set_membership(TEAM, &org.users[0], &figures).await;
    let path = format!("/v1/teams/{TEAM}/members");
    let listed = org.toptickets.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("toptickets/list_members.json"))
    );
    let listed = org.itsm.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("itsm/list_members.json"))
    );
}

/// Returns the members on a page, as positions in the organization's users.
async fn listed_members(
    org: &Organization,
    client: &Client,
    team: &str,
    query: &str,
) -> Vec<usize> {
    let response = client
        .get(&format!("/v1/teams/{team}/members?{query}"))
        .await;
    let place = |member: &Value| {
        let id = member["id"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("usr_");
        org.users
            .iter()
            .position(|user| bare(user) == id)
            .expect("a known user")
    };
    items(&response).iter().map(place).collect()
}

#[tokio::test]
async fn member_list_pages_are_in_join_order() {
    let org = ticking_stack().await.organization().await;
    let team = org.team("Team").await;
    for at in [4, 2, 0, 3, 1] {
        org.member(&team, &org.users[at]).await;
    }
    for (query, expected) in [
        ("", &[4, 2, 0, 3, 1][..]),
        ("limit=2", &[4, 2]),
        ("limit=2&skip=2", &[0, 3]),
        ("limit=2&offset=4", &[1]),
        ("skip=1&offset=3", &[2, 0, 3, 1]),
        ("skip=5", &[]),
        ("skip=99999999999999999999999999", &[]),
        ("page=2&search=x&sortBy=x&cursor=x", &[4, 2, 0, 3, 1]),
    ] {
        assert_eq!(
            listed_members(&org, &org.toptickets, &team, query).await,
            expected,
            "{query}"
        );
    }
    for (query, expected, pagination) in [
        ("", &[4, 2, 0, 3, 1][..], (1, 20, 1, false)),
        ("limit=2", &[4, 2], (1, 2, 3, true)),
        ("limit=2&page=2", &[0, 3], (2, 2, 3, true)),
        ("limit=2&page=3", &[1], (3, 2, 3, false)),
        ("limit=2&page=4", &[], (4, 2, 3, false)),
        (
            "limit=1000&search=x&sortBy=x&skip=1",
            &[4, 2, 0, 3, 1],
            (1, 1000, 1, false),
        ),
    ] {
        assert_eq!(
            listed_members(&org, &org.itsm, &team, query).await,
            expected,
            "{query}"
        );
        let (page, limit, pages, more) = pagination;
        let expected = json!({ "page": page, "limit": limit, "total": 5, "totalPages": pages, "hasMore": more });
        let response = org
            .itsm
            .get(&format!("/v1/teams/{team}/members?{query}"))
            .await;
        assert_eq!(response.json["meta"]["pagination"], expected, "{query}");
    }
}

#[tokio::test]
async fn removed_member_is_not_listed_and_returns_last() {
    let org = ticking_stack().await.organization().await;
    let team = org.team("Team").await;
    assert_eq!(
        org.toptickets
            .get(&format!("/v1/teams/{team}/members"))
            .await
            .text,
        "[]"
    );
    for at in [0, 1] {
        org.member(&team, &org.users[at]).await;
    }
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&path).await.status, 204);
    assert_eq!(listed_members(&org, &org.itsm, &team, "").await, [1]);
    org.member(&team, &org.users[0]).await;
    assert_eq!(
        listed_members(&org, &org.toptickets, &team, "").await,
        [1, 0]
    );
}

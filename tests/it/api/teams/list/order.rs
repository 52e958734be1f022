//! Sort orders and searches.

use serde_json::json;

use super::{create_teams, field_of_all, list, reversed, totals};
use crate::{
    api::{ClockedStack, ticking_stack},
    support::{Stack, bare},
};

#[tokio::test]
async fn names_sort_by_folded_code_points() {
    let org = Stack::shared().organization().await;
    // In UTF-16 order, the crab would sort before U+FFFD.
    let expected = [
        "10", "9", "_x", "Alpha", "ALPHA 2", "beta", "Zeta", "zeta 2", "Éclair", "\u{fffd}", "🦀",
    ];
    let mut created = expected;
    created.reverse();
    created.swap(0, 5);
    create_teams(&org, &created).await;
    assert_eq!(
        field_of_all(&list(&org.itsm, "sortBy=name&sortOrder=asc").await, "name"),
        expected
    );
    let backwards = reversed(&expected.map(str::to_owned));
    assert_eq!(
        field_of_all(&list(&org.itsm, "sortBy=name").await, "name"),
        backwards
    );
    assert_eq!(
        field_of_all(
            &list(&org.itsm, "sortBy=name&sortOrder=desc&limit=3&page=2").await,
            "name"
        ),
        backwards[3..6]
    );
}

#[tokio::test]
async fn ties_sort_by_id_in_list_direction() {
    let clocked = ClockedStack::at(1_700_000_000).await;
    let org = clocked.stack.organization().await;
    let ids = [3, 1, 4, 2].map(|digit| format!("0000000{digit}-0000-0000-0000-000000000000"));
    for id in &ids {
        clocked.next_team(id);
        org.team(&format!("Team {id}")).await;
    }
    let order = async |query: &str| {
        let ids = field_of_all(&list(&org.itsm, query).await, "id");
        ids.iter()
            .map(|id| id["team_0000000".len()..][..1].to_owned())
            .collect::<String>()
    };
    for sort_by in ["createdAt", "updatedAt", "name"] {
        assert_eq!(
            order(&format!("sortBy={sort_by}&sortOrder=asc")).await,
            "1234",
            "{sort_by}"
        );
        assert_eq!(
            order(&format!("sortBy={sort_by}&sortOrder=desc")).await,
            "4321",
            "{sort_by}"
        );
    }
    clocked.set(1_700_000_060);
    for id in [&ids[3], &ids[0]] {
        assert_eq!(
            org.itsm
                .patch(&format!("/v1/teams/{id}"), json!({ "description": "new" }))
                .await
                .status,
            200
        );
    }
    assert_eq!(order("sortBy=updatedAt&sortOrder=asc").await, "1423");
    assert_eq!(order("sortBy=updatedAt").await, "3241");
    assert_eq!(order("sortBy=createdAt").await, "4321");
}

#[tokio::test]
async fn roster_change_moves_team_in_update_order() {
    let org = ticking_stack().await.organization().await;
    let ids = create_teams(&org, &["One", "Two", "Three"]).await;
    org.member(&ids[1], &org.users[0]).await;
    assert_eq!(
        field_of_all(&list(&org.itsm, "sortBy=updatedAt").await, "name"),
        ["Two", "Three", "One"]
    );
    org.member(&ids[0], &org.users[0]).await;
    let path = format!("/v1/teams/{}/members/{}", ids[2], bare(&org.users[1]));
    assert_eq!(org.itsm.delete(&path).await.status, 404);
    assert_eq!(
        field_of_all(&list(&org.itsm, "sortBy=updatedAt").await, "name"),
        ["One", "Two", "Three"]
    );
}

#[tokio::test]
async fn search_matches_literal_part_of_folded_name() {
    let org = Stack::shared().organization().await;
    let names = [
        "100% uptime",
        "100 uptime",
        "snake_case",
        "snakeXcase",
        "a.b (c)* [d]",
        "axb",
        "back\\slash",
        "Café Noir",
        "CAFE\u{301} Blanc",
        "ÅNGSTRÖM",
    ];
    create_teams(&org, &names).await;
    for (search, found) in [
        ("100%25", &["100% uptime"] as &[&str]),
        ("%25", &["100% uptime"]),
        ("100%", &["100% uptime"]),
        ("100+up", &["100 uptime"]),
        ("100%20up", &["100 uptime"]),
        ("_", &["snake_case"]),
        ("SNAKE_", &["snake_case"]),
        ("e?c", &[]),
        ("a.b", &["a.b (c)* [d]"]),
        (".*", &[]),
        ("*", &["a.b (c)* [d]"]),
        ("(c)*", &["a.b (c)* [d]"]),
        ("[d]", &["a.b (c)* [d]"]),
        ("^a", &[]),
        ("%5C", &["back\\slash"]),
        ("'%22", &[]),
        ("caf%C3%A9", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("CAF%C3%89", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("cafe%CC%81", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("+caf%C3%A9%E3%80%80", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("%C3%A9+n", &["Café Noir"]),
        ("cafe", &[]),
        ("%C3%A5ngstr%C3%B6m", &["ÅNGSTRÖM"]),
        ("", &names),
        ("+%09", &names),
        // The last of duplicates counts.
        ("nothing&search=axb", &["axb"]),
        ("axb&search=", &names),
    ] {
        let response = list(&org.itsm, &format!("search={search}&sortOrder=asc")).await;
        assert_eq!(field_of_all(&response, "name"), found, "{search}");
        assert_eq!(
            totals(&response),
            (found.len() as u64, u64::from(!found.is_empty()), false),
            "{search}"
        );
        let one = list(&org.itsm, &format!("search={search}&limit=1&page=1")).await;
        assert_eq!(
            totals(&one),
            (found.len() as u64, found.len() as u64, found.len() > 1),
            "{search}"
        );
    }
}

#[tokio::test]
async fn renamed_team_is_found_by_new_name_only() {
    let org = Stack::shared().organization().await;
    let id = org.team("Before").await;
    assert_eq!(
        org.toptickets
            .patch(&format!("/v1/teams/{id}"), json!({ "name": "After" }))
            .await
            .status,
        200
    );
    assert_eq!(totals(&list(&org.itsm, "search=before").await).0, 0);
    assert_eq!(
        field_of_all(&list(&org.itsm, "search=after").await, "name"),
        ["After"]
    );
}

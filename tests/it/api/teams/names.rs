//! The uniqueness of team names.

use serde_json::json;
use tokio::task::JoinSet;

use super::{create_team, get_team, organization, patch_team};

#[tokio::test]
async fn name_is_trimmed_and_otherwise_stored_as_sent() {
    let org = organization().await;
    for (sent, kept) in [
        ("  Plain\t\n", "Plain"),
        ("\u{3000}Wide\u{a0}", "Wide"),
        ("Two  spaces", "Two  spaces"),
        ("Cafe\u{301}", "Cafe\u{301}"),
        ("👩\u{200d}👧", "👩\u{200d}👧"),
    ] {
        let team = create_team(&org, json!({ "name": sent })).await;
        assert_eq!(team["name"], kept);
        let id = team["id"].as_str().expect("an id");
        assert_eq!(
            org.toptickets.get(&format!("/v1/teams/{id}")).await.json["name"],
            kept
        );
    }
}

#[tokio::test]
async fn name_of_255_multibyte_characters_is_accepted() {
    let org = organization().await;
    for client in org.clients() {
        for wide in ["x", "é", "🦀"] {
            let name = format!(" {} ", wide.repeat(255));
            let response = client.post("/v1/teams", json!({ "name": name })).await;
            assert_eq!(response.status, 201, "{response}");
            let again = org.itsm.post("/v1/teams", json!({ "name": name })).await;
            assert_eq!(
                again.status, 409,
                "a name of maximum length is taken: {again}"
            );
            let id = response.json["id"]
                .as_str()
                .or_else(|| response.json["data"]["id"].as_str())
                .expect("an id");
            assert_eq!(client.delete(&format!("/v1/teams/{id}")).await.status, 204);
        }
    }
}

#[tokio::test]
async fn name_differing_in_case_or_space_is_taken() {
    let org = organization().await;
    org.team("Café Noir").await;
    for name in [
        "Café Noir",
        "CAFÉ NOIR",
        " café noir ",
        "Cafe\u{301} Noir",
        "CAFE\u{301} noir\u{3000}",
        "Café  Noir",
    ] {
        assert_eq!(
            org.itsm
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status,
            409,
            "{name}"
        );
        assert_eq!(
            org.toptickets
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status,
            422,
            "{name}"
        );
    }
    for name in ["Cafe Noir", "CaféNoir", "Café Noir."] {
        create_team(&org, json!({ "name": name })).await;
    }
}

#[tokio::test]
async fn same_name_in_two_organizations_is_accepted() {
    let (org, other) = (organization().await, organization().await);
    org.team("Network").await;
    other.team("Network").await;
}

#[tokio::test]
async fn concurrent_creates_of_one_name_let_one_succeed() {
    let org = organization().await;
    let mut rivals = JoinSet::new();
    for number in 0..6 {
        let (client, name) = (
            org.clients()[number % 2].clone(),
            ["Wanted", "WANTED", " wanted"][number % 3],
        );
        rivals.spawn(async move {
            client
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status
                .as_u16()
        });
    }
    let mut statuses = rivals.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..]
            .iter()
            .all(|status| [409, 422].contains(status)),
        "{statuses:?}"
    );
    let list = org.itsm.get("/v1/teams").await;
    assert_eq!(list.json["meta"]["pagination"]["total"], 1, "{list}");
}

#[tokio::test]
async fn rename_to_other_case_is_accepted() {
    let org = organization().await;
    let team = org.team("Network").await;
    for name in ["NETWORK", "nEtWoRk"] {
        let before = get_team(&org, &team).await;
        let after = patch_team(&org, &team, json!({ "name": name })).await;
        assert_eq!(after["name"], name);
        assert_ne!(after["updated_at"], before["updated_at"]);
    }
    assert_eq!(
        org.itsm
            .post("/v1/teams", json!({ "name": "Network" }))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn rename_frees_the_old_name() {
    let org = organization().await;
    let team = org.team("Before").await;
    patch_team(&org, &team, json!({ "name": "After" })).await;
    let other = org.team("before").await;
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), json!({ "name": "Before" }))
            .await
            .status,
        409
    );
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{other}"), json!({ "name": "AFTER" }))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn rejected_rename_keeps_the_old_name() {
    let org = organization().await;
    let team = org.team("Mine").await;
    org.team("Theirs").await;
    let before = get_team(&org, &team).await;
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), json!({ "name": "Theirs" }))
            .await
            .status,
        409
    );
    assert_eq!(get_team(&org, &team).await, before);
    assert_eq!(
        org.itsm
            .post("/v1/teams", json!({ "name": "Mine" }))
            .await
            .status,
        409
    );

    let unknown_user = json!({ "name": "Free", "lead_id": uuid::Uuid::new_v4().to_string() });
    assert_eq!(
        org.itsm
            .post("/v1/teams", unknown_user.clone())
            .await
            .status,
        404
    );
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), unknown_user)
            .await
            .status,
        404
    );
    org.team("Free").await;
}

#[tokio::test]
async fn deleted_team_frees_its_name() {
    let org = organization().await;
    for client in org.clients() {
        let team = org.team("Again").await;
        patch_team(&org, &team, json!({ "name": "AGAIN" })).await;
        assert_eq!(
            client.delete(&format!("/v1/teams/{team}")).await.status,
            204
        );
        let next = org.team("again").await;
        assert_ne!(next, team);
        assert_eq!(
            client.delete(&format!("/v1/teams/{next}")).await.status,
            204
        );
    }
}

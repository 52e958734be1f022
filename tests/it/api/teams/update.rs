//! `PATCH /v1/teams/{team_id}`.

use muster_domain::UserStatus;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    create_team, get_team, organization, patch_team, prefixed_id, remove_member, set_user_status,
    team_with_all_fields,
};
use crate::support::{bare, wait_until};

#[tokio::test]
async fn description_patch_sets_keeps_or_clears_it() {
    let org = organization().await;
    let team = org.team("Team").await;
    let path = format!("/v1/teams/{team}");
    for client in org.clients() {
        for (change, read) in [
            (json!({ "description": "Text" }), json!("Text")),
            (json!({}), json!("Text")),
            (json!({ "description": "" }), json!("")),
            (json!({ "description": null }), json!(null)),
            (json!({ "description": "Back" }), json!("Back")),
        ] {
            assert_eq!(client.patch(&path, change.clone()).await.status, 200);
            assert_eq!(get_team(&org, &team).await["description"], read, "{change}");
        }
    }
}

#[tokio::test]
async fn patch_without_effect_keeps_the_team() {
    let org = organization().await;
    let (id, team) = team_with_all_fields(&org).await;
    for change in [
        json!({}),
        json!({ "name": "Full" }),
        json!({ "name": "  Full " }),
        json!({ "description": "Everything" }),
        json!({ "lead_id": prefixed_id(&org.users[0]) }),
        json!({ "lead_id": bare(&org.users[0]).to_uppercase() }),
        json!({ "queue_strategy": "least_busy" }),
        json!({ "specializations": ["VPN", "DNS"] }),
        json!({ "specializations": [" VPN", "DNS", "vpn"] }),
        json!({ "name": "Full", "description": "Everything", "queue_strategy": "least_busy" }),
        json!({ "unknown": 1, "id": 5, "members": [], "created_at": 0, "updated_at": null, "organization_id": "x" }),
        team.clone(),
    ] {
        assert_eq!(
            patch_team(&org, &id, change.clone()).await,
            team,
            "{change}"
        );
        let response = org
            .toptickets
            .patch(&format!("/v1/teams/{id}"), change.clone())
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(get_team(&org, &id).await, team, "{change}");
    }
}

#[tokio::test]
async fn clearing_absent_field_keeps_the_team() {
    let org = organization().await;
    let id = org.team("Bare").await;
    let team = get_team(&org, &id).await;
    for change in [
        json!({ "description": null }),
        json!({ "lead_id": null }),
        json!({ "specializations": [] }),
    ] {
        assert_eq!(patch_team(&org, &id, change).await, team);
    }
}

#[tokio::test]
async fn patch_changes_its_field_and_updated_at_only() {
    let org = organization().await;
    let (id, mut before) = team_with_all_fields(&org).await;
    for (field, value) in [
        ("name", json!("Fuller")),
        ("description", json!("More")),
        ("description", json!("")),
        ("description", json!(null)),
        ("lead_id", json!(prefixed_id(&org.users[1]))),
        ("lead_id", json!(null)),
        ("queue_strategy", json!("skill_based")),
        ("queue_strategy", json!("round_robin")),
        ("specializations", json!(["DNS", "VPN"])),
        ("specializations", json!(["dns", "VPN"])),
        ("specializations", json!([])),
    ] {
        let mut after = patch_team(&org, &id, json!({ field: value })).await;
        assert_eq!(after[field], value);
        assert!(
            after["updated_at"].as_i64() > before["updated_at"].as_i64(),
            "{after}"
        );
        let now = after.clone();
        for moved in [field, "updated_at"] {
            after[moved] = before[moved].clone();
        }
        assert_eq!(after, before, "{field}");
        before = now;
    }
}

#[tokio::test]
async fn roster_change_sets_updated_at() {
    let org = organization().await;
    let id = org.team("Team").await;
    let time = async || {
        get_team(&org, &id).await["updated_at"]
            .as_i64()
            .expect("a time")
    };
    for client in org.clients() {
        let start = time().await;
        let response = client
            .post(
                &format!("/v1/teams/{id}/members"),
                json!({ "user_id": bare(&org.users[0]) }),
            )
            .await;
        assert_eq!(response.status, 201, "{response}");
        let with_member = time().await;
        assert_eq!(remove_member(client, &id, &org.users[0]).await.status, 204);
        let without = time().await;
        assert!(start < with_member && with_member < without);
        // A rejected request changes no time.
        assert_eq!(remove_member(client, &id, &org.users[0]).await.status, 404);
        assert_eq!(time().await, without);
    }
}

#[tokio::test]
async fn concurrent_patches_of_different_fields_all_apply() {
    let org = organization().await;
    let id = org.team("Team").await;
    let changes = [
        json!({ "name": "Renamed" }),
        json!({ "description": "Described" }),
        json!({ "lead_id": prefixed_id(&org.users[0]) }),
        json!({ "queue_strategy": "skill_based" }),
        json!({ "specializations": ["VPN"] }),
    ];
    let mut writers = JoinSet::new();
    for change in changes.clone() {
        let (client, path) = (org.itsm.clone(), format!("/v1/teams/{id}"));
        writers.spawn(async move { client.patch(&path, change).await.status.as_u16() });
    }
    assert_eq!(writers.join_all().await, [200; 5]);
    let team = get_team(&org, &id).await;
    for change in changes {
        for (field, value) in change.as_object().expect("an object") {
            assert_eq!(&team[field], value);
        }
    }
}

#[tokio::test]
async fn toptickets_ignores_itsm_only_fields() {
    let org = organization().await;
    let (id, team) = team_with_all_fields(&org).await;
    let foreign =
        json!({ "lead_id": null, "queue_strategy": "skill_based", "specializations": [] });
    let response = org
        .toptickets
        .patch(&format!("/v1/teams/{id}"), foreign.clone())
        .await;
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(get_team(&org, &id).await, team);

    let mut body = foreign;
    body["name"] = json!("Plain");
    body["lead_id"] = json!(prefixed_id(&org.users[0]));
    let plain = org.toptickets.post("/v1/teams", body).await;
    let plain = get_team(&org, plain.json["id"].as_str().expect("an id")).await;
    assert_eq!(
        (&plain["lead_id"], &plain["queue_strategy"]),
        (&json!(null), &json!("round_robin"))
    );
}

#[tokio::test]
async fn lead_without_membership_is_accepted() {
    let org = organization().await;
    let lead = prefixed_id(&org.users[0]);
    let team = create_team(&org, json!({ "name": "Team", "lead_id": lead })).await;
    assert_eq!(
        (&team["lead_id"], &team["members"]),
        (&json!(lead), &json!([]))
    );
    let next = json!({ "lead_id": bare(&org.users[1]) });
    let team = patch_team(&org, team["id"].as_str().expect("an id"), next).await;
    assert_eq!(
        (&team["lead_id"], &team["members"]),
        (&json!(prefixed_id(&org.users[1])), &json!([]))
    );
}

#[tokio::test]
async fn inactive_lead_stays_but_cannot_be_set() {
    let org = organization().await;
    let (id, _) = team_with_all_fields(&org).await;
    set_user_status(&org, 0, UserStatus::Inactive).await;
    // A job copies the profile into the membership.
    wait_until("the copy", async || {
        get_team(&org, &id).await["members"][0]["status"] == "inactive"
    })
    .await;
    let team = get_team(&org, &id).await;
    assert_eq!(
        patch_team(&org, &id, team.clone()).await,
        team,
        "a team can be sent back as read"
    );
    let change =
        json!({ "lead_id": prefixed_id(&org.users[0]), "name": "Renamed", "description": "New" });
    assert_eq!(
        patch_team(&org, &id, change.clone()).await["name"],
        "Renamed"
    );

    patch_team(&org, &id, json!({ "lead_id": null })).await;
    let response = org.itsm.patch(&format!("/v1/teams/{id}"), change).await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["details"]),
        (422, &json!({ "field": "lead_id" }))
    );
}

//! `POST /v1/teams`: stored fields, defaults and limits.

use muster_domain::{KeyKind, Scope};
use serde_json::json;

use super::{add_member, create_team, get_team, organization, patch_team, prefixed_id};
use crate::support::{Client, bare};

#[tokio::test]
async fn description_is_stored_as_sent() {
    let org = organization().await;
    let team = org.team("Team").await;
    for text in [
        "",
        "  a\r\n\tb \u{a0}\u{2028} ",
        "Cafe\u{301} 👩\u{200d}👧",
        "\"\\/ null",
    ] {
        for client in org.clients() {
            let path = format!("/v1/teams/{team}");
            let response = client.patch(&path, json!({ "description": text })).await;
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(org.toptickets.get(&path).await.json["description"], text);
            assert_eq!(get_team(&org, &team).await["description"], text);
        }
    }
}

#[tokio::test]
async fn description_of_10_000_characters_is_accepted() {
    let org = organization().await;
    let text = "🦀".repeat(10_000);
    let team = create_team(&org, json!({ "name": "Team", "description": text })).await;
    assert_eq!(team["description"], text);
}

#[tokio::test]
async fn missing_description_is_null_and_empty_is_not() {
    let org = organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        for (sent, read) in [
            (json!({}), json!(null)),
            (json!({ "description": null }), json!(null)),
            (json!({ "description": "" }), json!("")),
        ] {
            let mut body = sent.clone();
            body["name"] = json!(format!("{number} {sent}"));
            let response = client.post("/v1/teams", body).await;
            let team = if response.json["data"].is_object() {
                &response.json["data"]
            } else {
                &response.json
            };
            assert_eq!(team["description"], read, "{response}");
        }
    }
}

#[tokio::test]
async fn null_in_create_means_absent() {
    let org = organization().await;
    let nulls = json!({ "name": "Team", "description": null, "lead_id": null, "queue_strategy": null, "specializations": null });
    let team = create_team(&org, nulls).await;
    let read = [
        "description",
        "lead_id",
        "queue_strategy",
        "specializations",
    ]
    .map(|field| team[field].clone());
    assert_eq!(
        read,
        [json!(null), json!(null), json!("round_robin"), json!([])]
    );
    let id = team["id"].as_str().expect("an id");
    let member = add_member(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "role": null, "skills": null }),
    )
    .await;
    assert_eq!(
        (&member["role"], &member["skills"]),
        (&json!("member"), &json!([]))
    );
}

#[tokio::test]
async fn id_and_times_of_new_team_are_generated() {
    let org = organization().await;
    let claimed = json!({
        "name": "Team", "id": "team_00000000-0000-0000-0000-000000000000", "created_at": 1, "updated_at": 1,
        "organization_id": "other", "members": [{ "id": prefixed_id(&org.users[0]) }], "member_count": 9,
    });
    let team = create_team(&org, claimed).await;
    assert_ne!(team["id"], "team_00000000-0000-0000-0000-000000000000");
    assert_eq!(
        (&team["members"], &team["organization_id"]),
        (&json!([]), &json!(org.id.as_str()))
    );
    assert!(team["created_at"].as_i64() > Some(1));
    assert_eq!(team["created_at"], team["updated_at"]);
}

#[tokio::test]
async fn body_is_read_with_any_content_type() {
    let org = organization().await;
    for (number, content_type) in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "nonsense",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        for client in org.clients() {
            let body =
                json!({ "name": format!("Team {number} {}", &client.token()[..4]) }).to_string();
            let request = client
                .request(reqwest::Method::POST, "/v1/teams")
                .header("content-type", content_type);
            let response = Client::send(request.body(body)).await;
            assert_eq!(response.status, 201, "{content_type}: {response}");
        }
    }
}

#[tokio::test]
async fn tags_are_trimmed_and_deduplicated_in_order() {
    let org = organization().await;
    let sent = json!([
        " VPN ",
        "dns",
        "vpn",
        "Cafe\u{301}",
        "DNS",
        "CAFÉ",
        "a  b",
        "a b"
    ]);
    let kept = json!(["VPN", "dns", "Cafe\u{301}", "a  b"]);
    let team = create_team(&org, json!({ "name": "Team", "specializations": sent })).await;
    assert_eq!(team["specializations"], kept);
    let id = team["id"].as_str().expect("an id");
    let member = add_member(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "skills": sent }),
    )
    .await;
    assert_eq!(member["skills"], kept);
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await;
    assert_eq!(
        workload.json["data"]["members"][0]["skills"], kept,
        "{workload}"
    );
}

#[tokio::test]
async fn fifty_tags_of_64_characters_are_accepted() {
    let org = organization().await;
    let tag = |number: usize| format!("{number:02}{}", "🦀".repeat(62));
    let kept: Vec<_> = (0..50).map(tag).collect();
    let twice: Vec<_> = kept
        .iter()
        .chain(&kept)
        .map(|tag| format!(" {tag} "))
        .collect();
    let team = create_team(&org, json!({ "name": "Team", "specializations": twice })).await;
    assert_eq!(team["specializations"], json!(kept));
    let id = team["id"].as_str().expect("an id");
    // Duplicates are removed before the limit of 4 KiB for all skills is checked.
    let kept: Vec<_> = (0..50)
        .map(|number| format!("{number:02}{}", "x".repeat(62)))
        .collect();
    let twice: Vec<_> = kept.iter().chain(&kept).collect();
    let member = add_member(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "skills": twice }),
    )
    .await;
    assert_eq!(member["skills"], json!(kept));
    assert_eq!(
        patch_team(&org, id, json!({ "specializations": ["One"] })).await["specializations"],
        json!(["One"])
    );
}

#[tokio::test]
async fn keys_of_an_organization_see_its_teams_only() {
    let (org, other) = (organization().await, organization().await);
    let id = org.team("Ours").await;
    for kind in KeyKind::ALL {
        let ours = org.key(kind, &[Scope::TeamsRead]).await;
        let theirs = other.key(kind, &[Scope::TeamsRead]).await;
        assert_eq!(
            ours.get(&format!("/v1/teams/{id}")).await.status,
            200,
            "{kind:?}"
        );
        assert_eq!(
            theirs.get(&format!("/v1/teams/{id}")).await.status,
            404,
            "{kind:?}"
        );
        assert!(
            !theirs.get("/v1/teams").await.text.contains("Ours"),
            "{kind:?}"
        );
    }
}

//! Errors of the domain: missing resources and broken rules.

use muster_domain::{User, UserStatus};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{assert_rejected, error_text, send_body, unknown_id};
use crate::support::{Stack, bare, n, ticket_items::assigned};

#[tokio::test]
async fn unknown_team_is_not_found() {
    let org = Stack::shared().organization().await;
    let other = Stack::shared().organization().await;
    let foreign = other.team("Foreign").await;
    other.member(&foreign, &other.users[0]).await;
    let no_team = ["404 Team not found", "404 NOT_FOUND"];
    let member = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[0]));

    for id in [
        "x",
        "team_",
        "%zz",
        &Uuid::new_v4().simple().to_string(),
        &format!("usr_{}", unknown_id()),
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        unknown_id(),
        format!("team_{}", unknown_id()),
        foreign.clone(),
    ]) {
        let path = format!("/v1/teams/{id}");
        assert_rejected(&org, &Method::GET, &path, "", no_team).await;
        assert_rejected(&org, &Method::PATCH, &path, r#"{"name": "New"}"#, no_team).await;
        assert_rejected(
            &org,
            &Method::PATCH,
            &path,
            r#"{"description": "New"}"#,
            no_team,
        )
        .await;
        assert_rejected(&org, &Method::PATCH, &path, "{}", no_team).await;
        assert_rejected(&org, &Method::DELETE, &path, "", no_team).await;
        assert_rejected(
            &org,
            &Method::POST,
            &format!("{path}/members"),
            &member,
            no_team,
        )
        .await;
        for list in ["members", "assignments"] {
            assert_rejected(&org, &Method::GET, &format!("{path}/{list}"), "", no_team).await;
        }
        let path = format!("{path}/members/{}", bare(&other.users[0]));
        assert_rejected(&org, &Method::DELETE, &path, "", no_team).await;
        for body in ["{}", r#"{"role": "lead"}"#, r#"{"skills": []}"#] {
            assert_rejected(&org, &Method::PATCH, &path, body, no_team).await;
        }
    }
    let workload = format!("/v1/teams/{foreign}/workload");
    assert_eq!(
        error_text(&org.itsm, &workload, &org.itsm.get(&workload).await),
        "404 NOT_FOUND"
    );

    assert_eq!(
        other.itsm.get(&format!("/v1/teams/{foreign}")).await.status,
        200,
        "the foreign team still exists"
    );
}

#[tokio::test]
async fn unknown_user_is_not_found() {
    let org = Stack::shared().organization().await;
    let other = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let no_user = ["404 User not found", r#"404 NOT_FOUND {"field":"user_id"}"#];
    for id in [unknown_id(), bare(&other.users[0])] {
        let body = format!(r#"{{"user_id": "{id}"}}"#);
        assert_rejected(
            &org,
            &Method::POST,
            &format!("{team}/members"),
            body,
            no_user,
        )
        .await;
        let lead = format!(r#"{{"name": "Led", "lead_id": "{id}"}}"#);
        for (method, path) in [(Method::POST, "/v1/teams"), (Method::PATCH, &*team)] {
            let response = send_body(&org.itsm, &method, path, lead.clone()).await;
            assert_eq!(
                error_text(&org.itsm, path, &response),
                r#"404 NOT_FOUND {"field":"lead_id"}"#,
                "{method}"
            );
        }
    }
}

#[tokio::test]
async fn unknown_member_is_not_found() {
    let org = Stack::shared().organization().await;
    let other = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let no_member = ["404 Member not found", "404 NOT_FOUND"];
    let user = bare(&org.users[0]);
    for id in [
        user.clone(),
        bare(&other.users[0]),
        "x".to_owned(),
        format!("team_{user}"),
    ] {
        let path = format!("{team}/members/{id}");
        assert_rejected(&org, &Method::DELETE, &path, "", no_member).await;
        for body in [
            "{}",
            r#"{"role": "lead"}"#,
            r#"{"role": "member"}"#,
            r#"{"skills": []}"#,
        ] {
            assert_rejected(&org, &Method::PATCH, &path, body, no_member).await;
        }
    }
}

#[tokio::test]
async fn patch_of_removed_member_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&path).await.status, 204);
    // The user can lead the team without a membership.
    let lead = json!({ "lead_id": bare(&org.users[0]) });
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), lead)
            .await
            .status,
        200
    );
    for body in [
        "{}",
        r#"{"role": "lead"}"#,
        r#"{"role": "member"}"#,
        r#"{"skills": ["VPN"]}"#,
    ] {
        assert_rejected(
            &org,
            &Method::PATCH,
            &path,
            body,
            ["404 Member not found", "404 NOT_FOUND"],
        )
        .await;
    }
}

#[tokio::test]
async fn unknown_ticket_is_not_found() {
    let stack = Stack::shared();
    let (org, other) = (stack.organization().await, stack.organization().await);
    let team = org.team("Team").await;
    let mut deleted = assigned(&team, &org.users[0], 1);
    deleted["state"] = json!("deleted");
    org.put_ticket("deleted", &deleted).await;
    other
        .put_ticket("theirs", &assigned(&team, &org.users[0], 1))
        .await;
    let long = "x".repeat(129);
    for id in [
        "unknown", "deleted", "theirs", "a%20b", "a%23b", "%C3%A9", "%00", "%2F", "*", &long,
    ] {
        let path = format!("/v1/assignments/{id}");
        for (client, expected) in org
            .clients()
            .into_iter()
            .zip(["404 Ticket not found", "404 NOT_FOUND"])
        {
            let response = client.get(&path).await;
            if id == "%2F" {
                // A slash makes another path, which has no route.
                assert_eq!(response.status, 404, "{response}");
            } else if let Some(detail) = response.json["detail"].as_str() {
                assert_eq!(
                    format!("{} {detail}", response.status.as_u16()),
                    expected,
                    "{id}"
                );
            } else {
                assert_eq!(
                    format!(
                        "{} {}",
                        response.status.as_u16(),
                        response.json["error"]["code"].as_str().unwrap()
                    ),
                    expected
                );
                assert_eq!(
                    response.json["error"]["message"], "Ticket not found",
                    "{id}"
                );
            }
        }
    }
}

#[tokio::test]
async fn taken_name_or_repeated_member_is_a_conflict() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    org.team("Taken").await;
    org.member(&id, &org.users[0]).await;
    let (team, members) = (format!("/v1/teams/{id}"), format!("/v1/teams/{id}/members"));
    let user = |at: usize| format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[at]));

    let name_taken = ["422 Team name already exists", "409 CONFLICT"];
    assert_rejected(
        &org,
        &Method::POST,
        "/v1/teams",
        r#"{"name": " TAKEN "}"#,
        name_taken,
    )
    .await;
    assert_rejected(
        &org,
        &Method::PATCH,
        &team,
        r#"{"name": "taken"}"#,
        name_taken,
    )
    .await;
    assert_rejected(
        &org,
        &Method::POST,
        &members,
        user(0),
        ["422 User is already a member", "409 CONFLICT"],
    )
    .await;
}

#[tokio::test]
async fn inactive_user_cannot_join_or_lead() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    let (team, members) = (format!("/v1/teams/{id}"), format!("/v1/teams/{id}/members"));
    let user = |at: usize| format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[at]));
    for inactive in [12, 13] {
        let expected = [
            "422 User is not active",
            r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
        ];
        assert_rejected(&org, &Method::POST, &members, user(inactive), expected).await;
        let lead = format!(
            r#"{{"name": "Led", "lead_id": "{}"}}"#,
            bare(&org.users[inactive])
        );
        for (method, path) in [(Method::POST, "/v1/teams"), (Method::PATCH, &*team)] {
            let response = send_body(&org.itsm, &method, path, lead.clone()).await;
            let expected = r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#;
            assert_eq!(error_text(&org.itsm, path, &response), expected, "{method}");
        }
    }
    let left = User {
        status: UserStatus::Suspended,
        version: 2,
        ..org.users[0].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[left])
        .await
        .expect("a user can be written");
    let member = format!("{members}/{}", bare(&org.users[0]));
    let expected = [
        "422 User is not active",
        r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
    ];
    assert_rejected(
        &org,
        &Method::PATCH,
        &member,
        r#"{"role": "lead"}"#,
        expected,
    )
    .await;
}

#[tokio::test]
async fn full_team_rejects_members() {
    let org = Stack::shared().organization().await;
    let team = org.team("Full").await;
    let user = |at: usize| format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[at]));
    org.set_team(&team, &[("member_count", n(500))]).await;
    let full = format!("/v1/teams/{team}/members");
    assert_rejected(
        &org,
        &Method::POST,
        &full,
        user(1),
        ["422 Team is full", "409 CONFLICT"],
    )
    .await;
    org.set_team(&team, &[("member_count", n(499))]).await;
    org.member(&team, &org.users[1]).await;
    assert_rejected(
        &org,
        &Method::POST,
        &full,
        user(2),
        ["422 Team is full", "409 CONFLICT"],
    )
    .await;
}

#[tokio::test]
async fn team_with_open_tickets_is_deleted_by_toptickets_only() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.set_load(&team, &[("open_tickets", n(3)), ("waiting_tickets", n(1))])
        .await;
    let path = format!("/v1/teams/{team}");
    let response = org.itsm.delete(&path).await;
    assert_eq!(
        error_text(&org.itsm, &path, &response),
        r#"409 CONFLICT {"openTickets":3}"#
    );
    assert_eq!(org.itsm.get(&path).await.status, 200);
    let response = org.toptickets.delete(&path).await;
    assert_eq!(
        (response.status.as_u16(), response.text.as_str()),
        (204, "")
    );
    assert_eq!(org.itsm.get(&path).await.status, 404);
}

#[tokio::test]
async fn lead_is_removed_by_toptickets_only() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    let path = format!("/v1/teams/{team}");
    let lead = format!("usr_{}", bare(&org.users[0]));
    let added = org
        .itsm
        .post(
            &format!("{path}/members"),
            json!({ "user_id": lead, "role": "lead" }),
        )
        .await;
    assert_eq!(added.status, 201, "{added}");
    let membership = format!("{path}/members/{lead}");
    assert_eq!(
        error_text(&org.itsm, &membership, &org.itsm.delete(&membership).await),
        "409 CONFLICT"
    );
    assert_eq!(
        org.itsm.get(&path).await.json["data"]["lead_id"],
        lead.as_str()
    );
    assert_eq!(org.toptickets.delete(&membership).await.status, 204);
    let data = org.itsm.get(&path).await.json["data"].clone();
    assert_eq!(
        (&data["lead_id"], &data["members"]),
        (&json!(null), &json!([])),
        "{data}"
    );
}

#[tokio::test]
async fn removal_of_lead_without_membership_is_not_found() {
    let org = Stack::shared().organization().await;
    let lead = bare(&org.users[0]);
    let created = org
        .itsm
        .post("/v1/teams", json!({ "name": "Team", "lead_id": lead }))
        .await;
    let team = format!(
        "/v1/teams/{}",
        created.json["data"]["id"].as_str().expect("an id")
    );
    let path = format!("{team}/members/{lead}");
    assert_rejected(
        &org,
        &Method::DELETE,
        &path,
        "",
        ["404 Member not found", "404 NOT_FOUND"],
    )
    .await;
    let lead = format!("usr_{lead}");
    assert_eq!(
        org.itsm.get(&team).await.json["data"]["lead_id"],
        lead.as_str(),
        "the lead is unchanged"
    );
}

//! `POST /v1/teams/{team_id}/members`.

use muster_domain::{User, UserStatus};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    api::teams::{
        add_member, create_team, get_team, member_numbers, organization, prefixed_id,
        remove_member, set_user_status, team_with_all_fields,
    },
    support::{bare, n},
};

#[tokio::test]
async fn membership_role_follows_the_team_lead() {
    let org = organization().await;
    let id = org.team("Team").await;
    let [first, second, third] = [0, 1, 2].map(|at| bare(&org.users[at]));
    assert_eq!(
        add_member(&org, &id, json!({ "user_id": first })).await["role"],
        "member"
    );
    assert_eq!(
        add_member(&org, &id, json!({ "user_id": second, "role": "lead" })).await["role"],
        "lead"
    );
    let team = get_team(&org, &id).await;
    assert_eq!(
        (team["lead_id"].clone(), member_numbers(&team)),
        (json!(prefixed_id(&org.users[1])), vec![0, 1])
    );
    assert_eq!(
        team["members"][1]["role"], "agent",
        "the role of the profile, not of the membership"
    );

    assert_eq!(
        add_member(&org, &id, json!({ "user_id": third, "role": "lead" })).await["role"],
        "lead"
    );
    let team = get_team(&org, &id).await;
    assert_eq!(team["lead_id"], prefixed_id(&org.users[2]));
    assert_eq!(
        member_numbers(&team),
        [0, 1, 2],
        "a replaced lead stays a member"
    );
    assert_eq!(
        remove_member(&org.itsm, &id, &org.users[1]).await.status,
        204,
        "a replaced lead can be removed"
    );
    assert_eq!(
        remove_member(&org.itsm, &id, &org.users[2]).await.status,
        409
    );
}

#[tokio::test]
async fn adding_the_current_lead_returns_role_lead() {
    let org = organization().await;
    for role in [json!("member"), json!("lead"), json!(null)] {
        let body = json!({ "name": format!("Team {role}"), "lead_id": bare(&org.users[0]) });
        let team = create_team(&org, body).await;
        let id = team["id"].as_str().expect("an id");
        assert_eq!(
            add_member(
                &org,
                id,
                json!({ "user_id": bare(&org.users[0]), "role": role })
            )
            .await["role"],
            "lead"
        );
        assert_eq!(
            get_team(&org, id).await["lead_id"],
            prefixed_id(&org.users[0])
        );
    }
}

#[tokio::test]
async fn returning_member_keeps_their_ticket_counters() {
    let org = organization().await;
    let id = org.team("Team").await;
    let body = |skills: &[&str]| json!({ "user_id": bare(&org.users[0]), "skills": skills });
    let first = add_member(&org, &id, body(&["VPN", "DNS"])).await;
    org.set_membership(
        &id,
        &org.users[0],
        &[("open_tickets", n(4)), ("in_progress_tickets", n(1))],
    )
    .await;
    assert_eq!(
        remove_member(&org.itsm, &id, &org.users[0]).await.status,
        204
    );
    let renamed = User {
        email: "new@acme.example".to_owned(),
        version: 2,
        ..org.users[0].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[renamed])
        .await
        .expect("a user can be written");

    let again = add_member(&org, &id, body(&["WAN"])).await;
    assert_eq!(
        (&again["skills"], &again["email"]),
        (&json!(["WAN"]), &json!("new@acme.example"))
    );
    assert!(
        again["added_at"].as_i64() > first["added_at"].as_i64(),
        "{again}"
    );
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await.json["data"].clone();
    let member = &workload["members"][0];
    assert_eq!(
        (&member["open_tickets"], &member["in_progress_tickets"]),
        (&json!(4), &json!(1)),
        "{workload}"
    );
    assert_eq!(
        (&member["skills"], &workload["total_members"]),
        (&json!(["WAN"]), &json!(1)),
        "{workload}"
    );
}

#[tokio::test]
async fn removed_lead_returns_as_member() {
    let org = organization().await;
    let (id, _) = team_with_all_fields(&org).await;
    assert_eq!(
        remove_member(&org.toptickets, &id, &org.users[0])
            .await
            .status,
        204
    );
    assert_eq!(
        add_member(&org, &id, json!({ "user_id": bare(&org.users[0]) })).await["role"],
        "member"
    );
}

#[tokio::test]
async fn inactive_former_member_cannot_return() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    assert_eq!(
        remove_member(&org.itsm, &id, &org.users[0]).await.status,
        204
    );
    set_user_status(&org, 0, UserStatus::Suspended).await;
    let response = org
        .itsm
        .post(
            &format!("/v1/teams/{id}/members"),
            json!({ "user_id": bare(&org.users[0]) }),
        )
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["details"]),
        (422, &json!({ "field": "user_id" }))
    );
}

#[tokio::test]
async fn user_can_join_several_teams() {
    let org = organization().await;
    let (one, two) = (org.team("One").await, org.team("Two").await);
    org.member(&one, &org.users[0]).await;
    org.member(&two, &org.users[0]).await;
    assert_eq!(
        remove_member(&org.itsm, &one, &org.users[0]).await.status,
        204
    );
    assert_eq!(member_numbers(&get_team(&org, &two).await), [0]);
}

#[tokio::test]
async fn concurrent_adds_of_one_user_let_one_succeed() {
    let org = organization().await;
    let id = org.team("Team").await;
    let mut rivals = JoinSet::new();
    for number in 0..6 {
        let (client, path) = (
            org.clients()[number % 2].clone(),
            format!("/v1/teams/{id}/members"),
        );
        let body = json!({ "user_id": bare(&org.users[0]) });
        rivals.spawn(async move { client.post(&path, body).await.status.as_u16() });
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
    assert_eq!(member_numbers(&get_team(&org, &id).await), [0]);
}

#[tokio::test]
async fn concurrent_adds_and_removals_are_counted_exactly() {
    let org = organization().await;
    let id = org.team("Team").await;
    for at in 0..4 {
        org.member(&id, &org.users[at]).await;
    }
    let mut writers = JoinSet::new();
    for at in 0..8 {
        let (client, user, path) = (
            org.clients()[at % 2].clone(),
            bare(&org.users[at]),
            format!("/v1/teams/{id}/members"),
        );
        writers.spawn(async move {
            match at {
                0..4 => client.delete(&format!("{path}/{user}")).await,
                _ => client.post(&path, json!({ "user_id": user })).await,
            }
            .status
            .is_success()
        });
    }
    assert_eq!(writers.join_all().await, [true; 8]);
    let mut members = member_numbers(&get_team(&org, &id).await);
    members.sort_unstable();
    assert_eq!(members, [4, 5, 6, 7]);
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["data"][0]["member_count"],
        4
    );
}

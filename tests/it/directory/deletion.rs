//! Deleted users.

use std::time::Duration;

use muster_domain::{Timestamp, User, UserId, UserStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DirectoryFixture, event_of, new_id, user_fields};
use crate::support::{Organization, Stack, bare, table::Item, wait_until};

/// Asserts that each contract shows the deleted user in a team as a tombstone.
async fn assert_shown_as_deleted(fixture: &DirectoryFixture, team: &str, user: &User) {
    let itsm = fixture.itsm_team(team).await;
    let tombstone = json!({
        "id": format!("usr_{}", bare(user)), "name": "Deleted user", "email": "", "role": "agent", "avatar_url": null,
        "status": "inactive",
    });
    assert_eq!(itsm["members"], json!([tombstone]));
    let toptickets = fixture
        .org
        .toptickets
        .get(&format!("/v1/teams/{team}"))
        .await;
    let tombstone = json!({"id": bare(user), "email": "", "full_name": "Deleted user"});
    assert_eq!(
        toptickets.json["members"],
        json!([tombstone]),
        "{toptickets}"
    );
    let workload = fixture
        .org
        .itsm
        .get(&format!("/v1/teams/{team}/workload"))
        .await;
    assert_eq!(
        workload.json["data"]["members"][0]["status"], "inactive",
        "{workload}"
    );
}

/// Asserts that a deleted user can become neither a member nor the lead of a team.
async fn assert_rejected(fixture: &DirectoryFixture, team: &str, user: &User) {
    let members = format!("/v1/teams/{team}/members");
    let body = json!({"user_id": bare(user)});
    let added = fixture.org.itsm.post(&members, body.clone()).await;
    assert_eq!(
        (
            added.status.as_u16(),
            &added.json["error"]["details"]["field"]
        ),
        (422, &json!("user_id")),
        "{added}"
    );
    let led = fixture
        .org
        .itsm
        .patch(&format!("/v1/teams/{team}"), json!({"lead_id": bare(user)}))
        .await;
    assert_eq!(
        (led.status.as_u16(), &led.json["error"]["details"]["field"]),
        (422, &json!("lead_id")),
        "{led}"
    );
    let added = fixture.org.toptickets.post(&members, body).await;
    assert_eq!(
        (added.status.as_u16(), &added.json["detail"]),
        (422, &json!("User is not active")),
        "{added}"
    );
}

#[tokio::test]
async fn deleted_user_is_inactive_and_leads_no_team() {
    let fixture = DirectoryFixture::new().await;
    let (user, other) = (fixture.org.users[0].clone(), fixture.org.users[1].clone());
    let mut teams = Vec::new();
    for (n, lead) in [&user, &user, &other].into_iter().enumerate() {
        let team = fixture.org.team(&format!("Team {n}")).await;
        let led = fixture
            .org
            .itsm
            .patch(&format!("/v1/teams/{team}"), json!({"lead_id": bare(lead)}))
            .await;
        assert_eq!(led.status, 200, "{led}");
        teams.push(team);
    }
    fixture.org.member(&teams[0], &user).await;
    let [before, other_before] = [
        fixture.itsm_team(&teams[0]).await,
        fixture.itsm_team(&teams[2]).await,
    ];
    let status = async || {
        let user = fixture.user(user.id).await;
        user.expect("the tombstone exists").status
    };

    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    fixture.copies(user.id).await;
    assert_eq!(status().await, UserStatus::Deleted);
    for team in &teams[..2] {
        assert_eq!(fixture.itsm_team(team).await["lead_id"], Value::Null);
    }
    assert_shown_as_deleted(&fixture, &teams[0], &user).await;
    let after = fixture.itsm_team(&teams[0]).await;
    assert!(after["updated_at"].as_i64() >= before["updated_at"].as_i64());
    assert_eq!(
        fixture.itsm_team(&teams[2]).await,
        other_before,
        "other leads do not change"
    );

    // Later events do not restore the user.
    fixture
        .handle_all(&[fixture.event("user.updated", 9, &user_fields(user.id, "Back"))])
        .await;
    assert_eq!(status().await, UserStatus::Deleted);
    assert_rejected(&fixture, &teams[1], &user).await;
}

/// Sends an event to the user queue of the stack and waits until it is processed.
async fn send_user_event(org: &Organization, kind: &str, at: i64, user: &Value) {
    org.stack
        .send("users", [event_of(&org.id, kind, at, user)])
        .await;
    org.stack.until_empty("users").await;
}

/// Adds a user to two teams, removes the user from the second, and makes the user its lead.
async fn join_leave_and_lead(org: &Organization, user: UserId, present: &str, past: &str) {
    let id = user.uuid().to_string();
    for team in [present, past] {
        let added = org
            .itsm
            .post(&format!("/v1/teams/{team}/members"), json!({"user_id": id}))
            .await;
        assert_eq!(added.status, 201, "{added}");
    }
    let removed = org
        .itsm
        .delete(&format!("/v1/teams/{past}/members/{id}"))
        .await;
    assert_eq!(removed.status, 204, "{removed}");
    let led = org
        .itsm
        .patch(&format!("/v1/teams/{past}"), json!({"lead_id": id}))
        .await;
    assert_eq!(led.status, 200, "{led}");
}

/// Over the whole stack: queue, table, stream and jobs.
#[tokio::test]
async fn deleted_user_is_in_no_item_of_the_table() {
    let org = Stack::with_fast_delivery(Duration::from_millis(200))
        .await
        .organization()
        .await;
    let (erased, id) = (new_id(), |id: UserId| id.uuid().to_string());
    let (needle, by_command) = (Uuid::new_v4().simple().to_string(), new_id());
    let needles = [
        format!("Erika{needle}"),
        format!("erika@{needle}.example"),
        format!("{needle}/e.jpg"),
    ];
    let profile = |user: UserId| {
        json!({
            "id": id(user), "name": needles[0], "email": needles[1], "role": "manager", "status": "active",
            "avatar_url": format!("https://cdn.example/{}", needles[2]),
        })
    };
    let [present, past] = [org.team("Present").await, org.team("Past").await];
    for user in [erased, by_command] {
        send_user_event(&org, "user.created", 1, &profile(user)).await;
        join_leave_and_lead(&org, user, &present, &past).await;
    }
    assert!(
        items_with(&org, &needles).await >= 4,
        "the profiles and their copies"
    );

    send_user_event(&org, "user.deleted", 2, &json!({"id": id(erased)})).await;
    org.stack
        .store()
        .erase_user(&org.id, by_command, Timestamp::now())
        .await
        .expect("the user is erased");
    wait_until("no item has personal data", async || {
        items_with(&org, &needles).await == 0
    })
    .await;
    wait_until("the lead is cleared", async || {
        org.itsm.get(&format!("/v1/teams/{past}")).await.json["data"]["lead_id"].is_null()
    })
    .await;
    let members =
        org.itsm.get(&format!("/v1/teams/{present}")).await.json["data"]["members"].clone();
    for member in members.as_array().expect("members") {
        assert_eq!(
            (&member["name"], &member["role"]),
            (&json!("Deleted user"), &json!("agent")),
            "{members}"
        );
    }
}

/// Returns the number of items of the whole table with one of these texts in any attribute.
async fn items_with(org: &Organization, needles: &[String]) -> usize {
    let scan = org
        .stack
        .dynamodb()
        .scan()
        .table_name(&org.stack.table)
        .consistent_read(true);
    let items: Vec<Item> = scan
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the table can be read");
    items
        .iter()
        .filter(|item| {
            needles
                .iter()
                .any(|needle| format!("{item:?}").contains(needle))
        })
        .count()
}

//! `DELETE /v1/teams/{team_id}`.

use serde_json::json;

use super::{get_team, member_numbers, organization, remove_member};
use crate::support::{bare, n};

#[tokio::test]
async fn deleted_team_is_not_found_anywhere() {
    let org = organization().await;
    for client in org.clients() {
        let id = org.team("Team").await;
        for at in 0..3 {
            org.member(&id, &org.users[at]).await;
        }
        let path = format!("/v1/teams/{id}");
        assert_eq!(client.delete(&path).await.status, 204);
        for response in [
            org.itsm.get(&path).await,
            org.toptickets.get(&path).await,
            org.itsm.get(&format!("{path}/workload")).await,
            org.itsm.patch(&path, json!({ "name": "Back" })).await,
            org.itsm
                .patch(&path, json!({ "description": "Back" }))
                .await,
            org.itsm
                .post(
                    &format!("{path}/members"),
                    json!({ "user_id": bare(&org.users[4]) }),
                )
                .await,
            remove_member(&org.toptickets, &id, &org.users[0]).await,
            client.delete(&path).await,
        ] {
            assert_eq!(response.status, 404, "{response}");
        }
        let next = org.team("Team").await;
        assert_eq!(
            member_numbers(&get_team(&org, &next).await),
            [0; 0],
            "a new team of the same name has no members"
        );
        org.member(&next, &org.users[0]).await;
        assert_eq!(
            client.delete(&format!("/v1/teams/{next}")).await.status,
            204
        );
    }
}

#[tokio::test]
async fn team_without_open_tickets_can_be_deleted() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.set_load(
        &id,
        &[("open_tickets", n(0)), ("sla_met", n(3)), ("sla_due", n(4))],
    )
    .await;
    assert_eq!(
        org.itsm.delete(&format!("/v1/teams/{id}")).await.status,
        204
    );
}

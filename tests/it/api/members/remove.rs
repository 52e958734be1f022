//! `DELETE /v1/teams/{team_id}/members/{user_id}`.

use serde_json::json;

use crate::api::teams::{
    get_team, organization, patch_team, prefixed_id, remove_member, team_with_all_fields,
};

#[tokio::test]
async fn former_lead_can_be_removed() {
    let org = organization().await;
    let (id, _) = team_with_all_fields(&org).await;
    for lead in [json!(null), json!(prefixed_id(&org.users[1]))] {
        patch_team(&org, &id, json!({ "lead_id": prefixed_id(&org.users[0]) })).await;
        assert_eq!(
            remove_member(&org.itsm, &id, &org.users[0]).await.status,
            409
        );
        patch_team(&org, &id, json!({ "lead_id": lead })).await;
        assert_eq!(
            remove_member(&org.itsm, &id, &org.users[0]).await.status,
            204
        );
        assert_eq!(get_team(&org, &id).await["lead_id"], lead);
        org.member(&id, &org.users[0]).await;
    }
}

#[tokio::test]
async fn removal_of_other_member_keeps_the_lead() {
    let org = organization().await;
    let (id, _) = team_with_all_fields(&org).await;
    org.member(&id, &org.users[1]).await;
    assert_eq!(
        remove_member(&org.toptickets, &id, &org.users[1])
            .await
            .status,
        204
    );
    assert_eq!(
        get_team(&org, &id).await["lead_id"],
        prefixed_id(&org.users[0])
    );
}

//! Retries with the same key and the same request.

use muster_domain::{User, UserStatus};
use serde_json::json;

use super::{
    KEY_REUSED, NAME_TAKEN, assert_same_response, created_team_id, member_body, members_path,
    new_key, post_with_key, saved_items, team_count,
};
use crate::{
    api::{ClockedStack, errors::error_text},
    support::{
        Organization, Stack, bare,
        table::{OrgTable, assert_sound, number},
    },
};

#[tokio::test]
async fn retried_team_create_is_idempotent() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let body = json!({ "name": format!("Team {number}"), "description": "\u{1f980} \"quoted\" \n\tnext line" });
        let (key, visible) = (new_key(), ('!'..='~').collect::<String>());
        let first = post_with_key(client, "/v1/teams", &key, &body).await;
        created_team_id(&first);
        assert_eq!(first.header("etag"), "\"1\"");
        for _ in 0..3 {
            assert_same_response(
                &first,
                &post_with_key(client, "/v1/teams", &key, &body).await,
            );
        }
        assert_eq!(team_count(&org).await, 2 * number + 1);
        // A key has up to 255 visible characters.
        let (other, long) = (
            json!({ "name": format!("Other {number}") }),
            format!("{number}{}", "x".repeat(254)),
        );
        let first = post_with_key(client, "/v1/teams", &format!("{number}{visible}"), &other).await;
        created_team_id(&first);
        assert_same_response(
            &first,
            &post_with_key(client, "/v1/teams", &format!("{number}{visible}"), &other).await,
        );
        let taken = post_with_key(client, "/v1/teams", &long, &other).await;
        assert_eq!(error_text(client, "/v1/teams", &taken), NAME_TAKEN[number]);
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn retried_member_add_is_idempotent() {
    let org = Stack::shared().organization().await;
    for client in org.clients() {
        let team = org.team(&new_key()).await;
        let members = members_path(&team);
        org.member(&team, &org.users[0]).await;
        for (at, mut body) in [
            (1, member_body(&org.users[1])),
            (2, member_body(&org.users[2])),
        ] {
            body["role"] = json!("lead");
            let key = new_key();
            let first = post_with_key(client, &members, &key, &body).await;
            assert_eq!(first.status, 201, "{first}");
            // A change between the requests appears neither in the first response nor in the retry.
            org.member(&team, &org.users[at + 2]).await;
            for _ in 0..3 {
                assert_same_response(&first, &post_with_key(client, &members, &key, &body).await);
            }
        }
        let contents = OrgTable::of(&org).contents().await;
        assert_eq!(
            (
                contents.members(&team).len(),
                number(&contents.teams[&team], "version")
            ),
            (5, 6)
        );
    }
    assert_sound(&org).await;
}

/// A removed member is added again by a request with a new key, but not by a retry.
#[tokio::test]
async fn retried_add_after_removal_does_not_add_again() {
    let org = Stack::shared().organization().await;
    for client in org.clients() {
        let team = org.team(&new_key()).await;
        let (members, body) = (members_path(&team), member_body(&org.users[0]));
        let [key, later] = [new_key(), new_key()];
        let first = post_with_key(client, &members, &key, &body).await;
        assert_eq!(first.status, 201, "{first}");
        let member = format!("{members}/{}", bare(&org.users[0]));
        assert_eq!(client.delete(&member).await.status, 204);
        assert_same_response(&first, &post_with_key(client, &members, &key, &body).await);
        assert!(
            OrgTable::of(&org)
                .contents()
                .await
                .members(&team)
                .is_empty()
        );
        assert_eq!(
            post_with_key(client, &members, &later, &body).await.status,
            201
        );
        assert_same_response(&first, &post_with_key(client, &members, &key, &body).await);
        assert_eq!(OrgTable::of(&org).contents().await.members(&team).len(), 1);
    }
}

#[tokio::test]
async fn saved_response_survives_later_changes() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let lead = &org.users[number];
        let new = json!({ "name": format!("Team {number}"), "lead_id": bare(lead) });
        let (creation, addition) = (new_key(), new_key());
        let first = post_with_key(client, "/v1/teams", &creation, &new).await;
        let team = created_team_id(&first);
        let (path, members, body) = (
            format!("/v1/teams/{team}"),
            members_path(&team),
            member_body(&org.users[2 + number]),
        );
        let joined = post_with_key(client, &members, &addition, &body).await;
        assert_eq!(joined.status, 201, "{joined}");
        let repeated = async || {
            assert_same_response(
                &first,
                &post_with_key(client, "/v1/teams", &creation, &new).await,
            );
            assert_same_response(
                &joined,
                &post_with_key(client, &members, &addition, &body).await,
            );
        };

        repeated().await;
        assert_eq!(
            client
                .patch(&path, json!({ "name": format!("Renamed {number}") }))
                .await
                .status,
            200
        );
        repeated().await;
        // Another team takes the name.
        org.team(&format!("Team {number}")).await;
        repeated().await;
        let inactive = |user: &User| User {
            status: UserStatus::Inactive,
            version: 2,
            ..user.clone()
        };
        let users = [inactive(lead), inactive(&org.users[2 + number])];
        org.stack
            .store()
            .put_users(&org.id, &users)
            .await
            .expect("users can be written");
        repeated().await;
        assert_eq!(client.delete(&path).await.status, 204);
        repeated().await;
        assert_eq!(client.get(&path).await.status, 404);
    }
    assert_eq!(assert_sound(&org).await.teams.len(), 2);
}

#[tokio::test]
async fn rejected_create_saves_no_response() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let creation = new_key();
        let (name, free) = (
            json!({ "name": format!("Taken {number}") }),
            json!({ "name": format!("Free {number}") }),
        );
        org.team(&format!("taken {number}")).await;
        for (body, expected) in [
            (
                json!({ "name": 1 }),
                [
                    "400 body.name: type_error.string",
                    "400 VALIDATION_ERROR name isString",
                ],
            ),
            (name.clone(), NAME_TAKEN),
            (name.clone(), NAME_TAKEN),
        ] {
            let response = post_with_key(client, "/v1/teams", &creation, &body).await;
            assert_eq!(error_text(client, "/v1/teams", &response), expected[number]);
        }
        // The key is free for another request, because no response was saved.
        let first = post_with_key(client, "/v1/teams", &creation, &free).await;
        created_team_id(&first);
        assert_same_response(
            &first,
            &post_with_key(client, "/v1/teams", &creation, &free).await,
        );
        let now_reused = post_with_key(client, "/v1/teams", &creation, &name).await;
        assert_eq!(
            error_text(client, "/v1/teams", &now_reused),
            KEY_REUSED[number]
        );
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn rejected_add_saves_no_response() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let addition = new_key();
        let team = org.team(&format!("Team {number}")).await;
        let deleted = org.team(&format!("Deleted {number}")).await;
        assert_eq!(
            client.delete(&format!("/v1/teams/{deleted}")).await.status,
            204
        );
        let path = members_path(&team);
        org.member(&team, &org.users[1]).await;
        for (path, user, expected) in [
            (
                &path,
                new_key(),
                ["404 User not found", r#"404 NOT_FOUND {"field":"user_id"}"#],
            ),
            (
                &members_path(&deleted),
                bare(&org.users[0]),
                ["404 Team not found", "404 NOT_FOUND"],
            ),
            (
                &path,
                bare(&org.users[1]),
                ["422 User is already a member", "409 CONFLICT"],
            ),
            (
                &path,
                bare(&org.users[12]),
                [
                    "422 User is not active",
                    r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
                ],
            ),
        ] {
            let response =
                post_with_key(client, path, &addition, &json!({ "user_id": user })).await;
            assert_eq!(error_text(client, path, &response), expected[number]);
        }
        // The rejected request succeeds when its obstacle is removed.
        let body = member_body(&org.users[1]);
        assert_eq!(
            client
                .delete(&format!("{path}/{}", bare(&org.users[1])))
                .await
                .status,
            204
        );
        let joined = post_with_key(client, &path, &addition, &body).await;
        assert_eq!(joined.status, 201, "{joined}");
        assert_same_response(
            &joined,
            &post_with_key(client, &path, &addition, &body).await,
        );
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn saved_response_expires_after_24_hours() {
    let start = 1_736_064_000;
    let day = 24 * 60 * 60;
    let clocked = ClockedStack::at(start).await;
    let org = clocked.stack.organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        clocked.set(start);
        let body = json!({ "name": format!("Team {number}") });
        let (creation, addition) = (new_key(), new_key());
        let first = post_with_key(client, "/v1/teams", &creation, &body).await;
        let team = created_team_id(&first);
        let (path, adding) = (members_path(&team), member_body(&org.users[0]));
        let joined = post_with_key(client, &path, &addition, &adding).await;
        assert_eq!(joined.status, 201, "{joined}");
        assert_eq!(
            expiry_of(&org, &creation).await,
            start + day,
            "the TTL attribute, in seconds"
        );

        clocked.set(start + day - 1);
        assert_same_response(
            &first,
            &post_with_key(client, "/v1/teams", &creation, &body).await,
        );
        assert_same_response(
            &joined,
            &post_with_key(client, &path, &addition, &adding).await,
        );
        let other =
            post_with_key(client, "/v1/teams", &addition, &json!({ "name": "Other" })).await;
        assert_eq!(error_text(client, "/v1/teams", &other), KEY_REUSED[number]);

        // Expired responses are ignored, even while DynamoDB still has their items.
        clocked.set(start + day);
        let taken = post_with_key(client, "/v1/teams", &creation, &body).await;
        assert_eq!(error_text(client, "/v1/teams", &taken), NAME_TAKEN[number]);
        let member_already = post_with_key(client, &path, &addition, &adding).await;
        let expected = ["422 User is already a member", "409 CONFLICT"];
        assert_eq!(error_text(client, &path, &member_already), expected[number]);
        assert_eq!(
            expiry_of(&org, &creation).await,
            start + day,
            "a rejected request saves no response"
        );
        let other = json!({ "name": format!("Other {number}") });
        let second = post_with_key(client, "/v1/teams", &creation, &other).await;
        created_team_id(&second);
        let rejoined = post_with_key(
            client,
            &path,
            &addition,
            &json!({ "user_id": bare(&org.users[1]) }),
        )
        .await;
        assert_eq!(rejoined.status, 201, "{rejoined}");
        assert_eq!(expiry_of(&org, &creation).await, start + 2 * day);

        clocked.set(start + 2 * day - 1);
        assert_same_response(
            &second,
            &post_with_key(client, "/v1/teams", &creation, &other).await,
        );
    }
}

/// Returns the expiry of the saved response of a key, in seconds.
async fn expiry_of(org: &Organization, key: &str) -> i64 {
    let saved = saved_items(org, key).await;
    assert_eq!(saved.len(), 1, "a small response is one item");
    number(&saved[0], "expires_at")
}

//! The order of the checks: a request with several errors reports the first.

use muster_domain::{KeyKind, Scope, User, UserStatus};
use reqwest::Method;
use serde_json::json;

use super::{assert_rejected, error_text, send_body, unknown_id};
use crate::support::{Stack, bare, n};

#[tokio::test]
async fn route_and_size_are_checked_before_the_credential() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let large = "x".repeat(256 * 1024 + 1);
    let bad = [org.stack.client("tt_bad"), org.stack.client("itsm_bad")];
    let readers = [
        org.key(KeyKind::TtLive, &[Scope::TeamsRead]).await,
        org.key(KeyKind::Itsm, &[Scope::TeamsRead]).await,
    ];
    let no_route = ["404 Not Found", "404 NOT_FOUND"];
    let no_method = ["405 Method Not Allowed", "405 METHOD_NOT_ALLOWED"];
    let too_large = ["413 Request body too large", "413 PAYLOAD_TOO_LARGE"];
    for (order, clients, method, path, body, expected) in [
        (
            "route, then size",
            &bad,
            Method::POST,
            "/nowhere",
            &*large,
            no_route,
        ),
        (
            "route, then credential",
            &bad,
            Method::PUT,
            &team,
            "",
            no_method,
        ),
        (
            "size, then credential",
            &bad,
            Method::POST,
            "/v1/teams",
            &large,
            too_large,
        ),
        (
            "size, then scope",
            &readers,
            Method::PATCH,
            &team,
            &large,
            too_large,
        ),
    ] {
        for (client, expected) in clients.iter().zip(expected) {
            let response = send_body(client, &method, path, body.to_owned()).await;
            assert_eq!(error_text(client, path, &response), expected, "{order}");
        }
    }
}

#[tokio::test]
async fn credential_and_scope_are_checked_before_the_rest() {
    let org = Stack::shared().organization().await;
    let bad = [org.stack.client("tt_bad"), org.stack.client("itsm_bad")];
    let readers = [
        org.key(KeyKind::TtLive, &[Scope::TeamsRead]).await,
        org.key(KeyKind::Itsm, &[Scope::TeamsRead]).await,
    ];
    let unauthorized = ["401 Invalid API key", "401 UNAUTHORIZED"];
    let scope = [
        "403 Insufficient permissions. Required scope: teams:write",
        r#"403 FORBIDDEN {"requiredScope":"teams:write"}"#,
    ];
    for (order, clients, method, path, body, expected) in [
        (
            "credential, then path id",
            &bad,
            Method::GET,
            "/v1/teams/x",
            "",
            unauthorized,
        ),
        (
            "credential, then query",
            &bad,
            Method::GET,
            "/v1/assignments",
            "",
            unauthorized,
        ),
        (
            "credential, then body",
            &bad,
            Method::POST,
            "/v1/teams",
            "{",
            unauthorized,
        ),
        (
            "scope, then path id",
            &readers,
            Method::PATCH,
            "/v1/teams/x",
            "{}",
            scope,
        ),
        (
            "scope, then body",
            &readers,
            Method::POST,
            "/v1/teams",
            "{",
            scope,
        ),
    ] {
        for (client, expected) in clients.iter().zip(expected) {
            let response = send_body(client, &method, path, body.to_owned()).await;
            assert_eq!(error_text(client, path, &response), expected, "{order}");
        }
    }
}

#[tokio::test]
async fn body_and_member_checks_report_the_first_failure() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    org.team("Taken").await;
    let members = format!("/v1/teams/{id}/members");
    let no_team_path = format!("/v1/teams/{}", unknown_id());
    let (no_teams_members, no_teams_member) = (
        format!("{no_team_path}/members"),
        format!("{no_team_path}/members/x"),
    );
    let unknown_user = format!(r#"{{"user_id": "{}"}}"#, unknown_id());
    // An inactive user keeps their memberships.
    org.member(&id, &org.users[0]).await;
    let left = User {
        status: UserStatus::Inactive,
        version: 2,
        ..org.users[0].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[left])
        .await
        .expect("a user can be written");
    let left = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[0]));

    let no_team = ["404 Team not found", "404 NOT_FOUND"];
    let no_member = ["404 Member not found", "404 NOT_FOUND"];
    let malformed = ["400 body: value_error.jsondecode", "400 VALIDATION_ERROR"];
    let member = ["422 User is already a member", "409 CONFLICT"];
    assert_rejected(&org, &Method::PATCH, "/v1/teams/x", "{", no_team).await;
    assert_rejected(&org, &Method::DELETE, &no_teams_member, "", no_member).await;
    assert_rejected(&org, &Method::PATCH, &no_team_path, "{", malformed).await;
    assert_rejected(&org, &Method::POST, &no_teams_members, "[]", malformed).await;
    assert_rejected(&org, &Method::PATCH, &no_teams_member, "{", no_member).await;
    assert_rejected(
        &org,
        &Method::PATCH,
        &format!("{no_teams_members}/{}", unknown_id()),
        "{",
        malformed,
    )
    .await;
    assert_rejected(
        &org,
        &Method::PATCH,
        &format!("{no_teams_members}/{}", unknown_id()),
        "{}",
        no_team,
    )
    .await;
    assert_rejected(
        &org,
        &Method::POST,
        &no_teams_members,
        &unknown_user,
        no_team,
    )
    .await;
    assert_rejected(
        &org,
        &Method::PATCH,
        &no_team_path,
        r#"{"name": "Taken"}"#,
        no_team,
    )
    .await;
    assert_rejected(&org, &Method::POST, &members, &left, member).await;
}

#[tokio::test]
async fn member_limit_is_checked_after_the_other_rules() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let members = format!("/v1/teams/{id}/members");
    org.member(&id, &org.users[0]).await;
    let present = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[0]));
    let member = ["422 User is already a member", "409 CONFLICT"];
    org.set_team(&id, &[("member_count", n(500))]).await;
    assert_rejected(&org, &Method::POST, &members, &present, member).await;
    let inactive = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[12]));
    let not_active = [
        "422 User is not active",
        r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
    ];
    assert_rejected(&org, &Method::POST, &members, &inactive, not_active).await;
}

#[tokio::test]
async fn lead_and_name_checks_report_the_first_failure() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    org.team("Taken").await;
    let no_team = format!("/v1/teams/{}", unknown_id());
    let (unknown_user, inactive) = (&*unknown_id(), &*bare(&org.users[12]));
    let no_user = r#"404 NOT_FOUND {"field":"lead_id"}"#;
    let not_active = r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#;
    for (order, method, path, lead, expected) in [
        (
            "user, then name",
            Method::POST,
            "/v1/teams",
            unknown_user,
            no_user,
        ),
        (
            "user, then name",
            Method::PATCH,
            &*team,
            unknown_user,
            no_user,
        ),
        (
            "inactive user, then name",
            Method::POST,
            "/v1/teams",
            inactive,
            not_active,
        ),
        (
            "inactive user, then name",
            Method::PATCH,
            &*team,
            inactive,
            not_active,
        ),
        (
            "team, then user",
            Method::PATCH,
            &*no_team,
            unknown_user,
            "404 NOT_FOUND",
        ),
    ] {
        let response = send_body(
            &org.itsm,
            &method,
            path,
            json!({ "name": "Taken", "lead_id": lead }).to_string(),
        )
        .await;
        assert_eq!(
            error_text(&org.itsm, path, &response),
            expected,
            "{order}, {method}"
        );
    }
}

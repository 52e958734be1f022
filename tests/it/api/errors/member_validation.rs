//! Validation errors of member bodies.

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_rejected, error_text};
use crate::support::{Stack, bare};

#[tokio::test]
async fn invalid_user_id_of_new_member_is_named() {
    let org = Stack::shared().organization().await;
    let members = format!("/v1/teams/{}/members", org.team("Team").await);
    let bad_id = [
        "400 body.user_id: type_error.uuid",
        "400 VALIDATION_ERROR user_id isUuid",
    ];
    let id = bare(&org.users[0]);
    let rows = [
        (
            json!({}),
            [
                "400 body.user_id: value_error.missing",
                "400 VALIDATION_ERROR user_id isDefined",
            ],
        ),
        (
            json!({ "user_id": null }),
            [
                "400 body.user_id: type_error.none.not_allowed",
                "400 VALIDATION_ERROR user_id isDefined",
            ],
        ),
        (json!({ "user_id": 5 }), bad_id),
        (json!({ "user_id": "" }), bad_id),
        (json!({ "user_id": "alex" }), bad_id),
        (json!({ "user_id": format!("team_{id}") }), bad_id),
        (json!({ "user_id": id.replace('-', "") }), bad_id),
        (json!({ "user_id": format!("{{{id}}}") }), bad_id),
        (
            json!({ "role": "boss", "skills": 5 }),
            [
                "400 body.user_id: value_error.missing",
                "400 VALIDATION_ERROR user_id isDefined",
            ],
        ),
    ];
    for (body, expected) in rows {
        assert_rejected(&org, &Method::POST, &members, body.to_string(), expected).await;
    }
}

#[tokio::test]
async fn invalid_role_or_skills_of_new_member_are_named() {
    let org = Stack::shared().organization().await;
    let members = format!("/v1/teams/{}/members", org.team("Team").await);
    let id = bare(&org.users[0]);
    for (field, value, constraint) in [
        ("role", json!("boss"), "isEnum"),
        ("role", json!("Lead"), "isEnum"),
        ("role", json!(5), "isEnum"),
        ("skills", json!("VPN"), "isArray"),
        ("skills", json!([5]), "isString"),
        ("skills", json!([""]), "isNotEmpty"),
        ("skills", json!(["x".repeat(65)]), "maxLength"),
        ("skills", json!(["a\nb"]), "isPrintable"),
        (
            "skills",
            json!((0..51).map(|tag| tag.to_string()).collect::<Vec<_>>()),
            "arrayMaxSize",
        ),
        ("skills", skills_over_4_kib_by(1), "maxLength"),
    ] {
        let response = org
            .itsm
            .post(&members, json!({ "user_id": id, field: value }))
            .await;
        assert_eq!(
            error_text(&org.itsm, &members, &response),
            format!("400 VALIDATION_ERROR {field} {constraint}")
        );
    }
    let both = json!({ "user_id": id, "skills": 5, "role": 5 });
    assert_eq!(
        error_text(
            &org.itsm,
            &members,
            &org.itsm.post(&members, both.clone()).await
        ),
        "400 VALIDATION_ERROR role isEnum"
    );
    assert_eq!(
        org.toptickets.post(&members, both).await.status,
        201,
        "TopTickets ignores ITSM fields"
    );
}

/// Returns skills with a total of 4,096 bytes plus `more`.
fn skills_over_4_kib_by(more: usize) -> Value {
    let mut skills: Vec<_> = (0..16)
        .map(|n| format!("{n:02}{}", "🦀".repeat(62)))
        .collect();
    skills.push(format!("{}{}", "🦀".repeat(24), "x".repeat(more)));
    json!(skills)
}

#[tokio::test]
async fn skills_of_4_kib_are_stored() {
    let org = Stack::shared().organization().await;
    let members = format!("/v1/teams/{}/members", org.team("Team").await);
    let id = bare(&org.users[0]);
    let response = org
        .itsm
        .post(
            &members,
            json!({ "user_id": id, "skills": skills_over_4_kib_by(0) }),
        )
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json["data"]["skills"]),
        (201, &skills_over_4_kib_by(0)),
        "{response}"
    );
    for client in org.clients() {
        let response = client
            .patch(
                &format!("{members}/{id}"),
                json!({ "skills": skills_over_4_kib_by(0) }),
            )
            .await;
        assert_eq!(response.status, 200, "{response}");
    }
}

/// Returns invalid roles, each with the errors of both contracts.
fn invalid_role_patches() -> Vec<(Value, [&'static str; 2])> {
    let enums = [
        "400 body.role: type_error.enum",
        "400 VALIDATION_ERROR role isEnum",
    ];
    vec![
        (
            json!({ "role": null }),
            [
                "400 body.role: type_error.none.not_allowed",
                "400 VALIDATION_ERROR role isDefined",
            ],
        ),
        (json!({ "role": "boss" }), enums),
        (json!({ "role": "Lead" }), enums),
        (json!({ "role": 5 }), enums),
        (
            json!({ "skills": 5, "role": 5 }),
            [
                "400 body.role: type_error.enum\nbody.skills: type_error.list",
                "400 VALIDATION_ERROR role isEnum",
            ],
        ),
        (json!({ "skills": [""], "role": 5 }), enums),
    ]
}

/// Returns invalid skills, each with the errors of both contracts.
fn invalid_skill_patches() -> Vec<(Value, [&'static str; 2])> {
    let many: Vec<_> = (0..51).map(|tag| tag.to_string()).collect();
    vec![
        (
            json!({ "skills": null }),
            [
                "400 body.skills: type_error.none.not_allowed",
                "400 VALIDATION_ERROR skills isDefined",
            ],
        ),
        (
            json!({ "skills": "VPN" }),
            [
                "400 body.skills: type_error.list",
                "400 VALIDATION_ERROR skills isArray",
            ],
        ),
        (
            json!({ "skills": [5] }),
            [
                "400 body.skills: type_error.string",
                "400 VALIDATION_ERROR skills isString",
            ],
        ),
        (
            json!({ "skills": [" "] }),
            [
                "422 body.skills: value_error.any_str.min_length",
                "400 VALIDATION_ERROR skills isNotEmpty",
            ],
        ),
        (
            json!({ "skills": ["x".repeat(65)] }),
            [
                "422 body.skills: value_error.any_str.max_length",
                "400 VALIDATION_ERROR skills maxLength",
            ],
        ),
        (
            json!({ "skills": skills_over_4_kib_by(1) }),
            [
                "422 body.skills: value_error.any_str.max_length",
                "400 VALIDATION_ERROR skills maxLength",
            ],
        ),
        (
            json!({ "skills": ["a\nb"] }),
            [
                "422 body.skills: value_error.str.control",
                "400 VALIDATION_ERROR skills isPrintable",
            ],
        ),
        (
            json!({ "skills": many }),
            [
                "422 body.skills: value_error.list.max_items",
                "400 VALIDATION_ERROR skills arrayMaxSize",
            ],
        ),
    ]
}

#[tokio::test]
async fn invalid_field_of_member_patch_is_named() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    for (body, expected) in invalid_role_patches()
        .into_iter()
        .chain(invalid_skill_patches())
    {
        assert_rejected(&org, &Method::PATCH, &path, body.to_string(), expected).await;
    }
}

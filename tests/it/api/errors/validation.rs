//! Validation errors of team bodies.

use reqwest::Method;
use serde_json::json;

use super::{assert_rejected, error_text, send_body, unknown_id};
use crate::support::{Stack, bare};

#[tokio::test]
async fn body_not_a_json_object_is_malformed() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let members = format!("{team}/members");
    let member = format!("{members}/{}", bare(&org.users[0]));
    let too_deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(128), "]".repeat(128));
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b"\"name\"",
        b"{",
        b"{\"name\":}",
        b"{'name':'x'}",
        b"{\"name\":\"x\"}{}",
        b"{\"name\":\"\xff\"}",
        too_deep.as_bytes(),
    ];
    let paths = [
        (Method::POST, "/v1/teams"),
        (Method::PATCH, &team),
        (Method::POST, &members),
        (Method::PATCH, &member),
    ];
    for (method, path) in paths {
        for body in bodies {
            assert_rejected(
                &org,
                &method,
                path,
                body,
                ["400 body: value_error.jsondecode", "400 VALIDATION_ERROR"],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn unknown_field_with_any_json_is_accepted() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for client in org.clients() {
        let body = r#" {"pad": 1e999999, "members": -0.0e-0, "": {"name": 5}, "updated_at": "\ud800", "id": [[]]} "#;
        let response = send_body(client, &Method::PATCH, &team, body.to_owned()).await;
        assert_eq!(response.status, 200, "{response}");
    }
}

#[tokio::test]
async fn body_nested_128_levels_is_accepted() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let nested = format!(
            r#"{{"name":"Team {number}","a":{}{}}}"#,
            "[".repeat(127),
            "]".repeat(127)
        );
        let response = send_body(client, &Method::POST, "/v1/teams", nested).await;
        assert_eq!(response.status, 201, "{response}");
    }
}

/// Returns fields with an invalid name, each with the errors of both contracts.
fn invalid_names() -> Vec<(&'static str, [&'static str; 2])> {
    vec![
        (
            r#""name": 5"#,
            [
                "400 body.name: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
        (
            r#""name": null"#,
            [
                "400 body.name: type_error.none.not_allowed",
                "400 VALIDATION_ERROR name isDefined",
            ],
        ),
        (
            r#""name": ["x"]"#,
            [
                "400 body.name: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
        (
            r#""name": """#,
            [
                "422 body.name: value_error.any_str.min_length",
                "400 VALIDATION_ERROR name isNotEmpty",
            ],
        ),
        (
            r#""name": " \u3000\t\n ""#,
            [
                "422 body.name: value_error.any_str.min_length",
                "400 VALIDATION_ERROR name isNotEmpty",
            ],
        ),
        (
            r#""name": "a\u0000b""#,
            [
                "422 body.name: value_error.str.control",
                "400 VALIDATION_ERROR name isPrintable",
            ],
        ),
        (
            r#""name": "a\u0085b""#,
            [
                "422 body.name: value_error.str.control",
                "400 VALIDATION_ERROR name isPrintable",
            ],
        ),
    ]
}

/// Returns fields with an invalid description or several invalid fields, each with the errors of
/// both contracts.
fn invalid_descriptions() -> Vec<(&'static str, [&'static str; 2])> {
    vec![
        (
            r#""name": "Fine", "description": 5"#,
            [
                "400 body.description: type_error.string",
                "400 VALIDATION_ERROR description isString",
            ],
        ),
        // TopTickets reports all items of status 400, or if there are none, all of status 422. ITSM
        // reports the first invalid field.
        (
            r#""description": false, "name": {}"#,
            [
                "400 body.name: type_error.string\nbody.description: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
        (
            r#""description": 5, "name": """#,
            [
                "400 body.description: type_error.string",
                "400 VALIDATION_ERROR name isNotEmpty",
            ],
        ),
        // The last of duplicate keys counts.
        (
            r#""name": "Fine", "name": 5"#,
            [
                "400 body.name: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
    ]
}

/// Returns bodies with an invalid name or description, each with the errors of both contracts.
fn invalid_texts() -> Vec<(String, [&'static str; 2])> {
    let long = "x".repeat(10_001);
    let mut rows: Vec<_> = invalid_names()
        .into_iter()
        .chain(invalid_descriptions())
        .map(|(fields, expected)| (format!("{{{fields}}}"), expected))
        .collect();
    rows.push((
        json!({ "name": "x".repeat(256) }).to_string(),
        [
            "422 body.name: value_error.any_str.max_length",
            "400 VALIDATION_ERROR name maxLength",
        ],
    ));
    rows.push((
        json!({ "name": "Fine", "description": long }).to_string(),
        [
            "422 body.description: value_error.any_str.max_length",
            "400 VALIDATION_ERROR description maxLength",
        ],
    ));
    for control in ["\0", "\u{b}", "\u{1f}", "\u{7f}", "\u{85}"] {
        rows.push((
            json!({ "name": "Fine", "description": format!("a\tb\r\n{control}") }).to_string(),
            [
                "422 body.description: value_error.str.control",
                "400 VALIDATION_ERROR description isPrintable",
            ],
        ));
    }
    rows.push((
        json!({ "name": "", "description": long }).to_string(),
        [
            "422 body.name: value_error.any_str.min_length\nbody.description: value_error.any_str.max_length",
            "400 VALIDATION_ERROR name isNotEmpty",
        ],
    ));
    rows
}

#[tokio::test]
async fn invalid_name_or_description_is_named() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let missing = [
        "400 body.name: value_error.missing",
        "400 VALIDATION_ERROR name isDefined",
    ];
    assert_rejected(&org, &Method::POST, "/v1/teams", "{}", missing).await;
    assert_rejected(
        &org,
        &Method::POST,
        "/v1/teams",
        r#"{"description": "Nameless"}"#,
        missing,
    )
    .await;
    for (body, expected) in invalid_texts() {
        assert_rejected(&org, &Method::POST, "/v1/teams", &body, expected).await;
        assert_rejected(&org, &Method::PATCH, &team, &body, expected).await;
    }
}

/// Returns invalid values of the fields that only ITSM has, each with its error.
fn invalid_itsm_fields() -> Vec<(String, &'static str)> {
    let id = unknown_id();
    let many: Vec<_> = (0..51).map(|tag| format!("tag {tag}")).collect();
    [
        (json!({ "lead_id": "x" }), "lead_id isUuid"),
        (json!({ "lead_id": "" }), "lead_id isUuid"),
        (json!({ "lead_id": 5 }), "lead_id isUuid"),
        (json!({ "lead_id": format!("team_{id}") }), "lead_id isUuid"),
        (json!({ "lead_id": id.replace('-', "") }), "lead_id isUuid"),
        (json!({ "lead_id": format!(" {id}") }), "lead_id isUuid"),
        (
            json!({ "queue_strategy": "by_lot" }),
            "queue_strategy isEnum",
        ),
        (
            json!({ "queue_strategy": "Round_Robin" }),
            "queue_strategy isEnum",
        ),
        (json!({ "queue_strategy": "" }), "queue_strategy isEnum"),
        (json!({ "queue_strategy": 1 }), "queue_strategy isEnum"),
        (
            json!({ "specializations": "VPN" }),
            "specializations isArray",
        ),
        (json!({ "specializations": {} }), "specializations isArray"),
        (
            json!({ "specializations": ["VPN", 5] }),
            "specializations isString",
        ),
        (
            json!({ "specializations": ["VPN", null] }),
            "specializations isString",
        ),
        (
            json!({ "specializations": ["VPN", " "] }),
            "specializations isNotEmpty",
        ),
        (
            json!({ "specializations": ["x".repeat(65)] }),
            "specializations maxLength",
        ),
        (
            json!({ "specializations": ["a\tb"] }),
            "specializations isPrintable",
        ),
        (
            json!({ "specializations": many }),
            "specializations arrayMaxSize",
        ),
        // Fields are checked in the order of the document, not of the body.
        (
            json!({ "specializations": 1, "queue_strategy": 1, "lead_id": 1 }),
            "lead_id isUuid",
        ),
        (
            json!({ "specializations": 1, "queue_strategy": 1 }),
            "queue_strategy isEnum",
        ),
    ]
    .into_iter()
    .map(|(fields, broken)| (fields.to_string(), broken))
    .collect()
}

#[tokio::test]
async fn invalid_itsm_field_is_ignored_by_toptickets() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for (number, (fields, broken)) in invalid_itsm_fields().into_iter().enumerate() {
        let expected = format!("400 VALIDATION_ERROR {broken}");
        let named = fields.replacen('{', &format!(r#"{{"name": "Team {number}", "#), 1);
        for (method, path, body) in [
            (Method::POST, "/v1/teams", &named),
            (Method::PATCH, &*team, &fields),
        ] {
            let response = send_body(&org.itsm, &method, path, body.clone()).await;
            assert_eq!(
                error_text(&org.itsm, path, &response),
                expected,
                "{method} {body}"
            );
            let response = send_body(&org.toptickets, &method, path, body.clone()).await;
            assert!(response.status.is_success(), "{method} {body}: {response}");
        }
    }
}

#[tokio::test]
async fn null_in_patch_of_required_field_is_rejected() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for field in ["name", "queue_strategy", "specializations"] {
        let response = org.itsm.patch(&team, json!({ field: null })).await;
        assert_eq!(
            error_text(&org.itsm, &team, &response),
            format!("400 VALIDATION_ERROR {field} isDefined")
        );
    }
}

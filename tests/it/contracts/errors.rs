//! Every row of both contracts' error tables.
//!
//! A table's expectation is one text. TopTickets: the status and the detail, or `loc: type` a line
//! for each item. ITSM: the status, the code, and the details: the field and the constraint of a
//! validation error, else the object.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_cli::emulator;
use muster_domain::{KeyKind, Scope, Timestamp, User, UserStatus};
use muster_service::store::Table;
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::json;
use uuid::Uuid;

use super::{
    Scene, has_common_headers, has_error_headers, itsm_error, itsm_error_beside, toptickets_error,
};
use crate::support::{
    Client, Organization, Response, Stack, bare, n, ticket_items::assigned, unknown_key,
};

/// What an error says in the contract of the client that got it.
#[track_caller]
pub(super) fn said(client: &Client, path: &str, response: &Response) -> String {
    assert!(
        !response.text.contains(client.token()),
        "the key is in {response}"
    );
    if client.token().starts_with("tt_") {
        let (status, detail) = toptickets_error(response);
        return format!("{status} {detail}");
    }
    let (status, code, details) = itsm_error(response, path.split('?').next().unwrap_or_default());
    match details.as_object() {
        None => format!("{status} {code}"),
        Some(fields) if code == "VALIDATION_ERROR" => {
            assert_eq!(fields.len(), 2, "{response}");
            let text = |key: &str| {
                fields
                    .get(key)
                    .and_then(|value| value.as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            format!("{status} {code} {} {}", text("field"), text("constraint"))
        }
        Some(_) => format!("{status} {code} {details}"),
    }
}

async fn ask(
    client: &Client,
    method: &Method,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> Response {
    Client::send(client.request(method.clone(), path).body(body)).await
}

/// Sends the same under both contracts and wants these refusals.
async fn refused(
    org: &Organization,
    method: &Method,
    path: &str,
    body: impl AsRef<[u8]>,
    expected: [&str; 2],
) {
    for (client, expected) in org.clients().into_iter().zip(expected) {
        let response = ask(client, method, path, body.as_ref().to_vec()).await;
        let shown = String::from_utf8_lossy(body.as_ref())
            .chars()
            .take(80)
            .collect::<String>();
        assert_eq!(
            said(client, path, &response),
            expected,
            "{method} {path} {shown}"
        );
    }
}

/// The id of nothing.
fn unknown() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_malformed() {
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
            refused(
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
async fn an_error_tells_when_it_happened_in_whole_seconds() {
    let scene = Scene::at(1_736_064_000).await;
    let client = scene.stack.client(&unknown_key(KeyKind::Itsm));
    let response = client.get("/v1/teams").await;
    assert_eq!(
        response.json["error"]["timestamp"], "2025-01-05T08:00:00Z",
        "{response}"
    );
}

#[tokio::test]
async fn what_nobody_reads_may_be_any_json() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for client in org.clients() {
        let body = r#" {"pad": 1e999999, "members": -0.0e-0, "": {"name": 5}, "updated_at": "\ud800", "id": [[]]} "#;
        let response = ask(client, &Method::PATCH, &team, body.to_owned()).await;
        assert_eq!(response.status, 200, "{response}");
    }
}

#[tokio::test]
async fn a_body_of_128_levels_is_read() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        let nested = format!(
            r#"{{"name":"Team {number}","a":{}{}}}"#,
            "[".repeat(127),
            "]".repeat(127)
        );
        let response = ask(client, &Method::POST, "/v1/teams", nested).await;
        assert_eq!(response.status, 201, "{response}");
    }
}

/// Values of a name and a description that neither contract takes.
fn bad_texts() -> Vec<(String, [&'static str; 2])> {
    let long = "x".repeat(10_001);
    let rows = [
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
        (
            r#""name": "Fine", "description": 5"#,
            [
                "400 body.description: type_error.string",
                "400 VALIDATION_ERROR description isString",
            ],
        ),
        // All items of 400 and, where there is none, all of 422; or the first field, whatever its
        // rule.
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
        // Of duplicates the last counts.
        (
            r#""name": "Fine", "name": 5"#,
            [
                "400 body.name: type_error.string",
                "400 VALIDATION_ERROR name isString",
            ],
        ),
    ];
    let mut rows: Vec<_> = rows
        .into_iter()
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
async fn a_bad_name_or_description_is_named_when_creating_and_when_changing() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let missing = [
        "400 body.name: value_error.missing",
        "400 VALIDATION_ERROR name isDefined",
    ];
    refused(&org, &Method::POST, "/v1/teams", "{}", missing).await;
    refused(
        &org,
        &Method::POST,
        "/v1/teams",
        r#"{"description": "Nameless"}"#,
        missing,
    )
    .await;
    for (body, expected) in bad_texts() {
        refused(&org, &Method::POST, "/v1/teams", &body, expected).await;
        refused(&org, &Method::PATCH, &team, &body, expected).await;
    }
}

/// Fields of a team that only ITSM knows, with what is wrong with them there.
fn bad_itsm_fields() -> Vec<(String, &'static str)> {
    let id = unknown();
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
        // The document's order, not the body's.
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
async fn a_bad_field_that_only_itsm_has_is_named_there_and_means_nothing_to_toptickets() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for (number, (fields, broken)) in bad_itsm_fields().into_iter().enumerate() {
        let expected = format!("400 VALIDATION_ERROR {broken}");
        let named = fields.replacen('{', &format!(r#"{{"name": "Team {number}", "#), 1);
        for (method, path, body) in [
            (Method::POST, "/v1/teams", &named),
            (Method::PATCH, &*team, &fields),
        ] {
            let response = ask(&org.itsm, &method, path, body.clone()).await;
            assert_eq!(
                said(&org.itsm, path, &response),
                expected,
                "{method} {body}"
            );
            let response = ask(&org.toptickets, &method, path, body.clone()).await;
            assert!(response.status.is_success(), "{method} {body}: {response}");
        }
    }
}

#[tokio::test]
async fn null_is_an_error_in_a_change_of_what_cannot_be_cleared() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for field in ["name", "queue_strategy", "specializations"] {
        let response = org.itsm.patch(&team, json!({ field: null })).await;
        assert_eq!(
            said(&org.itsm, &team, &response),
            format!("400 VALIDATION_ERROR {field} isDefined")
        );
    }
}

#[tokio::test]
async fn a_bad_member_is_named() {
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
        refused(&org, &Method::POST, &members, body.to_string(), expected).await;
    }
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
        ("skills", skills(1), "maxLength"),
    ] {
        let response = org
            .itsm
            .post(&members, json!({ "user_id": id, field: value }))
            .await;
        assert_eq!(
            said(&org.itsm, &members, &response),
            format!("400 VALIDATION_ERROR {field} {constraint}")
        );
    }
    let both = json!({ "user_id": id, "skills": 5, "role": 5 });
    assert_eq!(
        said(
            &org.itsm,
            &members,
            &org.itsm.post(&members, both.clone()).await
        ),
        "400 VALIDATION_ERROR role isEnum"
    );
    assert_eq!(
        org.toptickets.post(&members, both).await.status,
        201,
        "they mean nothing to TopTickets"
    );
}

/// Skills of 4,096 bytes together, and as many more.
fn skills(more: usize) -> serde_json::Value {
    let mut skills: Vec<_> = (0..16)
        .map(|n| format!("{n:02}{}", "🦀".repeat(62)))
        .collect();
    skills.push(format!("{}{}", "🦀".repeat(24), "x".repeat(more)));
    json!(skills)
}

#[tokio::test]
async fn skills_of_4_kib_are_kept() {
    let org = Stack::shared().organization().await;
    let members = format!("/v1/teams/{}/members", org.team("Team").await);
    let id = bare(&org.users[0]);
    let response = org
        .itsm
        .post(&members, json!({ "user_id": id, "skills": skills(0) }))
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json["data"]["skills"]),
        (201, &skills(0)),
        "{response}"
    );
    for client in org.clients() {
        let response = client
            .patch(&format!("{members}/{id}"), json!({ "skills": skills(0) }))
            .await;
        assert_eq!(response.status, 200, "{response}");
    }
}

#[tokio::test]
async fn a_bad_change_of_a_member_is_named_under_both_contracts() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    let enums = [
        "400 body.role: type_error.enum",
        "400 VALIDATION_ERROR role isEnum",
    ];
    let many: Vec<_> = (0..51).map(|tag| tag.to_string()).collect();
    for (body, expected) in [
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
            json!({ "skills": skills(1) }),
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
        (
            json!({ "skills": 5, "role": 5 }),
            [
                "400 body.role: type_error.enum\nbody.skills: type_error.list",
                "400 VALIDATION_ERROR role isEnum",
            ],
        ),
        (json!({ "skills": [""], "role": 5 }), enums),
    ] {
        refused(&org, &Method::PATCH, &path, body.to_string(), expected).await;
    }
}

/// Every list of an organization with a team.
fn lists(team: &str) -> [String; 3] {
    [
        "/v1/teams".to_owned(),
        format!("/v1/teams/{team}/members"),
        format!("/v1/teams/{team}/assignments"),
    ]
}

#[tokio::test]
async fn a_bad_parameter_of_a_toptickets_list_is_named() {
    let org = Stack::shared().organization().await;
    let lists = lists(&org.team("Team").await);
    let huge = "9".repeat(100);
    for (query, expected) in [
        ("skip=x", "400 query.skip: type_error.integer"),
        ("skip=", "400 query.skip: type_error.integer"),
        ("skip", "400 query.skip: type_error.integer"),
        ("skip=1.0", "400 query.skip: type_error.integer"),
        ("skip=1e1", "400 query.skip: type_error.integer"),
        ("skip=%ff", "400 query.skip: type_error.integer"),
        ("skip=+1", "400 query.skip: type_error.integer"),
        ("skip=-1", "422 query.skip: value_error.number.not_ge"),
        (
            &format!("skip=-{huge}"),
            "422 query.skip: value_error.number.not_ge",
        ),
        ("offset=x", "400 query.offset: type_error.integer"),
        ("offset=-1", "422 query.offset: value_error.number.not_ge"),
        ("limit=x", "400 query.limit: type_error.integer"),
        ("limit=", "400 query.limit: type_error.integer"),
        ("limit=0", "422 query.limit: value_error.number.not_ge"),
        ("limit=101", "422 query.limit: value_error.number.not_le"),
        (
            &format!("limit={huge}"),
            "422 query.limit: value_error.number.not_le",
        ),
        (
            "limit=5&limit=101",
            "422 query.limit: value_error.number.not_le",
        ),
        (
            "limit=x&skip=x",
            "400 query.skip: type_error.integer\nquery.limit: type_error.integer",
        ),
        ("limit=101&skip=x", "400 query.skip: type_error.integer"),
        (
            "limit=101&skip=-1",
            "422 query.skip: value_error.number.not_ge\nquery.limit: value_error.number.not_le",
        ),
    ] {
        for list in &lists {
            let path = format!("{list}?{query}");
            assert_eq!(
                said(&org.toptickets, &path, &org.toptickets.get(&path).await),
                expected,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_bad_parameter_of_an_itsm_list_is_named() {
    let org = Stack::shared().organization().await;
    let lists = lists(&org.team("Team").await);
    let huge = "9".repeat(100);
    for (query, expected) in [
        ("search=%ff", "search isString"),
        ("page=x", "page isInt"),
        ("page=", "page isInt"),
        ("page=1.5", "page isInt"),
        ("page=%ff", "page isInt"),
        ("page=0", "page min"),
        ("page=-1", "page min"),
        ("limit=x", "limit isInt"),
        ("limit=0", "limit min"),
        ("limit=1001", "limit max"),
        (&format!("limit={huge}"), "limit max"),
        ("limit=20&limit=", "limit isInt"),
        ("sortBy=age", "sortBy isEnum"),
        ("sortBy=", "sortBy isEnum"),
        ("sortBy=createdat", "sortBy isEnum"),
        ("sortOrder=up", "sortOrder isEnum"),
        ("sortOrder=ASC", "sortOrder isEnum"),
        ("sortOrder=up&limit=0&page=0&search=%ff", "search isString"),
        ("sortOrder=up&limit=0&page=0", "page min"),
    ] {
        // Only teams are searched and sorted.
        let taking = if query.contains('s') {
            &lists[..1]
        } else {
            &lists
        };
        for list in taking {
            let path = format!("{list}?{query}");
            let said = said(&org.itsm, &path, &org.itsm.get(&path).await);
            assert_eq!(said, format!("400 VALIDATION_ERROR {expected}"), "{path}");
        }
    }
    // Which constraint that breaks is nowhere said.
    for list in &lists {
        let response = org.itsm.get(&format!("{list}?cursor=")).await;
        assert!(
            said(&org.itsm, list, &response).starts_with("400 VALIDATION_ERROR cursor "),
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_in_the_shape_that_its_form_tells() {
    let org = Stack::shared().organization().await;
    let mut bad: Vec<Client> = KeyKind::ALL
        .map(|kind| org.stack.client(&unknown_key(kind)))
        .into();
    let malformed = [
        "tt_",
        "tt_nonsense",
        "tt_admin_short",
        "itsm_",
        "itsm_short",
        "eyJh.eyJz.c2ln",
    ];
    bad.extend(malformed.map(|token| org.stack.client(token)));
    for kind in [
        KeyKind::TtAdmin,
        KeyKind::TtLive,
        KeyKind::TtAgent,
        KeyKind::Itsm,
    ] {
        let past = |key: &mut muster_domain::ApiKey| key.expires_at = Some(Timestamp::from_secs(1));
        bad.push(org.key_with(kind, &Scope::ALL, past).await.0);
        bad.push(
            org.key_with(kind, &Scope::ALL, |key| {
                key.revoked_at = Some(Timestamp::now())
            })
            .await
            .0,
        );
    }
    let old = |key: &mut muster_domain::ApiKey| {
        let age = i64::try_from(Duration::from_hours(73).as_millis()).expect("short");
        key.created_at = Timestamp::from_millis(key.created_at.millis() - age);
        key.expires_at = Some(Timestamp::now().plus(Duration::from_hours(1)));
    };
    bad.push(
        org.key_with(KeyKind::TtReadOnly, &[Scope::TeamsRead], old)
            .await
            .0,
    );
    for client in bad {
        let expected = if client.token().starts_with("tt_") {
            "401 Invalid API key"
        } else {
            "401 UNAUTHORIZED"
        };
        for (method, path) in [(Method::GET, "/v1/teams"), (Method::DELETE, "/v1/teams/x")] {
            let response = ask(&client, &method, path, "").await;
            assert_eq!(
                said(&client, path, &response),
                expected,
                "{}",
                client.token()
            );
        }
    }
}

#[tokio::test]
async fn a_credential_of_no_known_form_is_refused_in_a_shape_that_both_clients_read() {
    let stack = Stack::shared();
    let beside = r#","detail":"Invalid API key""#;
    let unauthorized = (401, "UNAUTHORIZED".to_owned(), json!(null));
    let response = stack.anonymous().get("/v1/teams?limit=1").await;
    assert_eq!(
        itsm_error_beside(&response, "/v1/teams", beside),
        unauthorized
    );
    let with = async |header: &str| {
        Client::send(
            stack
                .anonymous()
                .request(Method::GET, "/v1/teams")
                .header(AUTHORIZATION, header),
        )
        .await
    };
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk_live_1",
        "Bearer a.b",
        "Basic dXNlcjpwYXNz",
    ] {
        assert_eq!(
            itsm_error_beside(&with(header).await, "/v1/teams", beside),
            unauthorized,
            "{header:?}"
        );
    }
    // A form is known whatever scheme stands before it, or none.
    let basic = format!("Basic {}", unknown_key(KeyKind::Itsm));
    assert_eq!(itsm_error(&with(&basic).await, "/v1/teams"), unauthorized);
    assert_eq!(
        toptickets_error(&with(&unknown_key(KeyKind::TtAdmin)).await),
        (401, "Invalid API key".to_owned())
    );
    // What is found out before the credential says so in both ways.
    let large = vec![b' '; 256 * 1024 + 1];
    for (method, path, body, code, detail) in [
        (Method::GET, "/nowhere", vec![], "NOT_FOUND", "Not Found"),
        (
            Method::PUT,
            "/v1/teams",
            vec![],
            "METHOD_NOT_ALLOWED",
            "Method Not Allowed",
        ),
        (
            Method::POST,
            "/v1/teams",
            large,
            "PAYLOAD_TOO_LARGE",
            "Request body too large",
        ),
    ] {
        let response = ask(&stack.anonymous(), &method, path, body).await;
        let (_, said, details) =
            itsm_error_beside(&response, path, &format!(r#","detail":"{detail}""#));
        assert_eq!(
            (said.as_str(), details),
            (code, json!(null)),
            "{method} {path}"
        );
    }
}

/// Every endpoint with what it needs.
const ENDPOINTS: [(Method, &str, Scope); 12] = [
    (Method::GET, "/v1/teams", Scope::TeamsRead),
    (Method::POST, "/v1/teams", Scope::TeamsWrite),
    (Method::GET, "/v1/teams/{team}", Scope::TeamsRead),
    (Method::PATCH, "/v1/teams/{team}", Scope::TeamsWrite),
    (Method::DELETE, "/v1/teams/{team}", Scope::TeamsDelete),
    (Method::GET, "/v1/teams/{team}/members", Scope::TeamsRead),
    (Method::POST, "/v1/teams/{team}/members", Scope::TeamsWrite),
    (
        Method::PATCH,
        "/v1/teams/{team}/members/{user}",
        Scope::TeamsWrite,
    ),
    (
        Method::DELETE,
        "/v1/teams/{team}/members/{user}",
        Scope::TeamsWrite,
    ),
    (Method::GET, "/v1/teams/{team}/workload", Scope::TeamsRead),
    (
        Method::GET,
        "/v1/teams/{team}/assignments",
        Scope::TeamsRead,
    ),
    (Method::GET, "/v1/assignments/TKT-1", Scope::TeamsRead),
];

#[tokio::test]
async fn a_credential_without_the_scope_is_told_which_one_it_lacks() {
    let org = Stack::shared().organization().await;
    let (team, user) = (org.team("Team").await, bare(&org.users[0]));
    for needed in Scope::ALL {
        let others: Vec<_> = Scope::ALL
            .into_iter()
            .filter(|scope| *scope != needed)
            .collect();
        let toptickets = org.key(KeyKind::TtLive, &others).await;
        let itsm = org.key(KeyKind::Itsm, &others).await;
        let scope = needed.as_str();
        for (method, path, _) in ENDPOINTS
            .into_iter()
            .filter(|(_, _, scope)| *scope == needed)
        {
            let path = path.replace("{team}", &team).replace("{user}", &user);
            let response = ask(&itsm, &method, &path, "").await;
            let expected = format!(r#"403 FORBIDDEN {{"requiredScope":"{scope}"}}"#);
            assert_eq!(said(&itsm, &path, &response), expected, "{method} {path}");
            if !path.ends_with("/workload") {
                let response = ask(&toptickets, &method, &path, "").await;
                let expected = format!("403 Insufficient permissions. Required scope: {scope}");
                assert_eq!(
                    said(&toptickets, &path, &response),
                    expected,
                    "{method} {path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn one_scope_is_enough_for_what_it_names() {
    let org = Stack::shared().organization().await;
    let (team, user) = (org.team("Team").await, bare(&org.users[0]));
    for scope in Scope::ALL {
        let clients = [
            org.key(KeyKind::TtLive, &[scope]).await,
            org.key(KeyKind::Itsm, &[scope]).await,
        ];
        for (method, path, _) in ENDPOINTS
            .into_iter()
            .filter(|(_, _, needed)| *needed == scope)
        {
            let path = path.replace("{team}", &team).replace("{user}", &user);
            for client in &clients {
                let response = ask(client, &method, &path, "").await;
                assert!(
                    ![401, 403].contains(&response.status.as_u16()),
                    "{method} {path}: {response}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_key_for_reading_never_writes_whatever_its_record_says() {
    let org = Stack::shared().organization().await;
    for kind in [KeyKind::TtAgent, KeyKind::TtReadOnly] {
        let client = org.key(kind, &Scope::ALL).await;
        assert_eq!(client.get("/v1/teams").await.status, 200);
        let response = client.post("/v1/teams", json!({ "name": "Team" })).await;
        let expected = "403 Insufficient permissions. Required scope: teams:write";
        assert_eq!(said(&client, "/v1/teams", &response), expected);
        let path = format!("/v1/teams/{}", unknown());
        let expected = "403 Insufficient permissions. Required scope: teams:delete";
        assert_eq!(said(&client, &path, &client.delete(&path).await), expected);
    }
}

#[tokio::test]
async fn an_unknown_route_is_not_found_and_a_trailing_slash_makes_one() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    for path in [
        "/",
        "/v1",
        "/v2/teams",
        "/V1/teams",
        "/v1/teams/",
        "/v1/teams/?limit=1",
        "/v1//teams",
        "/v1/teams//workload",
        "/v1/team",
        &format!("{team}/"),
        &format!("{team}/tickets"),
        &format!("{team}/workload/"),
        &format!("{team}/members/{}/tickets", unknown()),
        "/v1/assignments",
        "/v1/assignments/",
        "/v1/assignments/TKT-1/",
        &format!("{team}/assignments/"),
        &format!("{team}/assignments/TKT-1"),
    ] {
        refused(
            &org,
            &Method::GET,
            path,
            "",
            ["404 Not Found", "404 NOT_FOUND"],
        )
        .await;
    }
    refused(
        &org,
        &Method::POST,
        &format!("{team}/members/"),
        "{}",
        ["404 Not Found", "404 NOT_FOUND"],
    )
    .await;
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", unknown());
    for (method, path, allowed) in [
        (Method::PUT, "/v1/teams", "GET, POST"),
        (Method::DELETE, "/v1/teams", "GET, POST"),
        (Method::PATCH, "/v1/teams", "GET, POST"),
        (Method::POST, &*team, "GET, PATCH, DELETE"),
        (Method::PUT, "/v1/teams/not-an-id", "GET, PATCH, DELETE"),
    ] {
        refused(
            &org,
            &method,
            path,
            "",
            ["405 Method Not Allowed", "405 METHOD_NOT_ALLOWED"],
        )
        .await;
        for client in org.clients() {
            assert_eq!(
                ask(client, &method, path, "").await.header("allow"),
                allowed,
                "{method} {path}"
            );
        }
    }
    for (path, allowed) in [
        (format!("{team}/members"), "GET, POST"),
        (format!("{team}/members/{}", unknown()), "PATCH, DELETE"),
        (format!("{team}/assignments"), "GET"),
        ("/v1/assignments/TKT-1".to_owned(), "GET"),
    ] {
        refused(
            &org,
            &Method::PUT,
            &path,
            "",
            ["405 Method Not Allowed", "405 METHOD_NOT_ALLOWED"],
        )
        .await;
        assert_eq!(
            ask(&org.itsm, &Method::PUT, &path, "")
                .await
                .header("allow"),
            allowed,
            "{path}"
        );
    }
    let workload = format!("{team}/workload");
    let response = ask(&org.itsm, &Method::POST, &workload, "").await;
    assert_eq!(
        said(&org.itsm, &workload, &response),
        "405 METHOD_NOT_ALLOWED"
    );
    assert_eq!(response.header("allow"), "GET");
}

#[tokio::test]
async fn head_is_another_method() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for client in org.clients() {
        for path in ["/v1/teams", &format!("/v1/teams/{team}")] {
            let response = ask(client, &Method::HEAD, path, "").await;
            // HTTP allows no body here, so the headers have to say it.
            assert_eq!(
                (response.status.as_u16(), response.text.as_str()),
                (405, ""),
                "{path}"
            );
            has_error_headers(&response);
        }
    }
}

#[tokio::test]
async fn toptickets_knows_no_workload() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for path in [
        format!("/v1/teams/{team}/workload"),
        "/v1/teams/not-an-id/workload".to_owned(),
    ] {
        for method in [Method::GET, Method::POST] {
            let response = ask(&org.toptickets, &method, &path, "").await;
            assert_eq!(
                said(&org.toptickets, &path, &response),
                "404 Not Found",
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_path_is_given_as_received_without_the_query() {
    let org = Stack::shared().organization().await;
    // API Gateway decodes a path before a function receives it.
    for (sent, received) in [
        ("/v1/teams/X-y_z", "/v1/teams/X-y_z"),
        ("/v1/teams/%20x%2F", "/v1/teams/ x/"),
        ("/v1/teams/TEAM_%C3%A9", "/v1/teams/TEAM_é"),
        ("/no%zzwhere", "/no%zzwhere"),
    ] {
        let response = org.itsm.get(&format!("{sent}?page=2&secret=1")).await;
        assert_eq!(itsm_error(&response, received).0, 404);
    }
}

#[tokio::test]
async fn a_body_of_256_kib_is_read_and_one_byte_more_is_too_large() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let members = format!("{team}/members");
    let sized = |size: usize, fields: &str| {
        let empty = format!(r#"{{{fields}, "pad": ""}}"#);
        empty.replace(
            r#""pad": ""#,
            &format!(r#""pad": "{}"#, "x".repeat(size - empty.len())),
        )
    };
    for (number, client) in org.clients().into_iter().enumerate() {
        let (name, user) = (
            format!(r#""name": "Big {number}""#),
            bare(&org.users[number]),
        );
        let user = format!(r#""user_id": "{user}""#);
        for (method, path, fields) in [
            (Method::POST, "/v1/teams", &name),
            (Method::PATCH, &*team, &r#""description": "d""#.to_owned()),
            (Method::POST, &*members, &user),
        ] {
            let (fits, large) = (sized(256 * 1024, fields), sized(256 * 1024 + 1, fields));
            assert_eq!((fits.len(), large.len()), (262_144, 262_145));
            let response = ask(client, &method, path, large).await;
            let expected = ["413 Request body too large", "413 PAYLOAD_TOO_LARGE"][number];
            assert_eq!(said(client, path, &response), expected, "{method} {path}");
            let response = ask(client, &method, path, fits).await;
            assert!(response.status.is_success(), "{method} {path}: {response}");
        }
    }
}

#[tokio::test]
async fn a_body_where_none_is_expected_is_ignored() {
    let org = Stack::shared().organization().await;
    for (client, name) in org.clients().into_iter().zip(["One", "Two"]) {
        let path = format!("/v1/teams/{}", org.team(name).await);
        let large = "{".repeat(300_000);
        assert_eq!(
            ask(client, &Method::GET, "/v1/teams", large.clone())
                .await
                .status,
            200
        );
        assert_eq!(
            ask(client, &Method::GET, &path, large.clone()).await.status,
            200
        );
        assert_eq!(ask(client, &Method::DELETE, &path, large).await.status, 204);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let org = Stack::shared().organization().await;
    let other = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let foreign = other.team("Foreign").await;
    other.member(&foreign, &other.users[0]).await;
    let no_team = ["404 Team not found", "404 NOT_FOUND"];
    let no_user = ["404 User not found", r#"404 NOT_FOUND {"field":"user_id"}"#];
    let no_member = ["404 Member not found", "404 NOT_FOUND"];
    let member = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[0]));

    for id in [
        "x",
        "team_",
        "%zz",
        &Uuid::new_v4().simple().to_string(),
        &format!("usr_{}", unknown()),
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([unknown(), format!("team_{}", unknown()), foreign.clone()])
    {
        let path = format!("/v1/teams/{id}");
        refused(&org, &Method::GET, &path, "", no_team).await;
        refused(&org, &Method::PATCH, &path, r#"{"name": "New"}"#, no_team).await;
        refused(
            &org,
            &Method::PATCH,
            &path,
            r#"{"description": "New"}"#,
            no_team,
        )
        .await;
        refused(&org, &Method::PATCH, &path, "{}", no_team).await;
        refused(&org, &Method::DELETE, &path, "", no_team).await;
        refused(
            &org,
            &Method::POST,
            &format!("{path}/members"),
            &member,
            no_team,
        )
        .await;
        for list in ["members", "assignments"] {
            refused(&org, &Method::GET, &format!("{path}/{list}"), "", no_team).await;
        }
        let path = format!("{path}/members/{}", bare(&other.users[0]));
        refused(&org, &Method::DELETE, &path, "", no_team).await;
        for body in ["{}", r#"{"role": "lead"}"#, r#"{"skills": []}"#] {
            refused(&org, &Method::PATCH, &path, body, no_team).await;
        }
    }
    let workload = format!("/v1/teams/{foreign}/workload");
    assert_eq!(
        said(&org.itsm, &workload, &org.itsm.get(&workload).await),
        "404 NOT_FOUND"
    );

    for id in [unknown(), bare(&other.users[0])] {
        let body = format!(r#"{{"user_id": "{id}"}}"#);
        refused(
            &org,
            &Method::POST,
            &format!("{team}/members"),
            body,
            no_user,
        )
        .await;
        let lead = format!(r#"{{"name": "Led", "lead_id": "{id}"}}"#);
        for (method, path) in [(Method::POST, "/v1/teams"), (Method::PATCH, &*team)] {
            let response = ask(&org.itsm, &method, path, lead.clone()).await;
            assert_eq!(
                said(&org.itsm, path, &response),
                r#"404 NOT_FOUND {"field":"lead_id"}"#,
                "{method}"
            );
        }
    }
    let user = bare(&org.users[0]);
    for id in [
        user.clone(),
        bare(&other.users[0]),
        "x".to_owned(),
        format!("team_{user}"),
    ] {
        let path = format!("{team}/members/{id}");
        refused(&org, &Method::DELETE, &path, "", no_member).await;
        for body in [
            "{}",
            r#"{"role": "lead"}"#,
            r#"{"role": "member"}"#,
            r#"{"skills": []}"#,
        ] {
            refused(&org, &Method::PATCH, &path, body, no_member).await;
        }
    }
    assert_eq!(
        other.itsm.get(&format!("/v1/teams/{foreign}")).await.status,
        200,
        "nobody else touched it"
    );
}

#[tokio::test]
async fn a_member_who_left_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&path).await.status, 204);
    // Leads the team all the same.
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
        refused(
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
async fn a_ticket_that_is_not_there_is_not_found() {
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
                // A slash makes another path, which nobody knows.
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
async fn a_rule_that_is_broken_is_named() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    let taken = org.team("Taken").await;
    org.member(&id, &org.users[0]).await;
    let (team, members) = (format!("/v1/teams/{id}"), format!("/v1/teams/{id}/members"));
    let user = |at: usize| format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[at]));

    let name_taken = ["422 Team name already exists", "409 CONFLICT"];
    refused(
        &org,
        &Method::POST,
        "/v1/teams",
        r#"{"name": " TAKEN "}"#,
        name_taken,
    )
    .await;
    refused(
        &org,
        &Method::PATCH,
        &team,
        r#"{"name": "taken"}"#,
        name_taken,
    )
    .await;
    refused(
        &org,
        &Method::POST,
        &members,
        user(0),
        ["422 User is already a member", "409 CONFLICT"],
    )
    .await;
    for inactive in [12, 13] {
        let expected = [
            "422 User is not active",
            r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
        ];
        refused(&org, &Method::POST, &members, user(inactive), expected).await;
        let lead = format!(
            r#"{{"name": "Led", "lead_id": "{}"}}"#,
            bare(&org.users[inactive])
        );
        for (method, path) in [(Method::POST, "/v1/teams"), (Method::PATCH, &*team)] {
            let response = ask(&org.itsm, &method, path, lead.clone()).await;
            let expected = r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#;
            assert_eq!(said(&org.itsm, path, &response), expected, "{method}");
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
    refused(
        &org,
        &Method::PATCH,
        &member,
        r#"{"role": "lead"}"#,
        expected,
    )
    .await;
    org.set_team(&taken, &[("member_count", n(500))]).await;
    let full = format!("/v1/teams/{taken}/members");
    refused(
        &org,
        &Method::POST,
        &full,
        user(1),
        ["422 Team is full", "409 CONFLICT"],
    )
    .await;
    org.set_team(&taken, &[("member_count", n(499))]).await;
    org.member(&taken, &org.users[1]).await;
    refused(
        &org,
        &Method::POST,
        &full,
        user(2),
        ["422 Team is full", "409 CONFLICT"],
    )
    .await;
}

#[tokio::test]
async fn a_team_with_open_tickets_is_kept_by_itsm_and_deleted_by_toptickets() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.set_load(&team, &[("open_tickets", n(3)), ("waiting_tickets", n(1))])
        .await;
    let path = format!("/v1/teams/{team}");
    let response = org.itsm.delete(&path).await;
    assert_eq!(
        said(&org.itsm, &path, &response),
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
async fn the_lead_is_kept_by_itsm_and_removed_and_cleared_by_toptickets() {
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
        said(&org.itsm, &membership, &org.itsm.delete(&membership).await),
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
async fn a_lead_who_is_no_member_cannot_be_removed_for_want_of_a_membership() {
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
    refused(
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
        "and stays the lead"
    );
}

#[tokio::test]
async fn of_route_size_credential_scope_and_path_the_first_that_fails_answers() {
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
    let unauthorized = ["401 Invalid API key", "401 UNAUTHORIZED"];
    let scope = [
        "403 Insufficient permissions. Required scope: teams:write",
        r#"403 FORBIDDEN {"requiredScope":"teams:write"}"#,
    ];
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
        (
            "credential, then path id",
            &bad,
            Method::GET,
            "/v1/teams/x",
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
            let response = ask(client, &method, path, body.to_owned()).await;
            assert_eq!(said(client, path, &response), expected, "{order}");
        }
    }
}

#[tokio::test]
async fn of_path_body_team_user_and_name_the_first_that_fails_answers() {
    let org = Stack::shared().organization().await;
    let id = org.team("Team").await;
    org.team("Taken").await;
    let members = format!("/v1/teams/{id}/members");
    let no_team_path = format!("/v1/teams/{}", unknown());
    let (no_teams_members, no_teams_member) = (
        format!("{no_team_path}/members"),
        format!("{no_team_path}/members/x"),
    );
    let nobody = format!(r#"{{"user_id": "{}"}}"#, unknown());
    // A member who left the platform is a member still.
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
    refused(&org, &Method::PATCH, "/v1/teams/x", "{", no_team).await;
    refused(&org, &Method::DELETE, &no_teams_member, "", no_member).await;
    refused(&org, &Method::PATCH, &no_team_path, "{", malformed).await;
    refused(&org, &Method::POST, &no_teams_members, "[]", malformed).await;
    refused(&org, &Method::PATCH, &no_teams_member, "{", no_member).await;
    refused(
        &org,
        &Method::PATCH,
        &format!("{no_teams_members}/{}", unknown()),
        "{",
        malformed,
    )
    .await;
    refused(
        &org,
        &Method::PATCH,
        &format!("{no_teams_members}/{}", unknown()),
        "{}",
        no_team,
    )
    .await;
    refused(&org, &Method::POST, &no_teams_members, &nobody, no_team).await;
    refused(
        &org,
        &Method::PATCH,
        &no_team_path,
        r#"{"name": "Taken"}"#,
        no_team,
    )
    .await;
    refused(&org, &Method::POST, &members, &left, member).await;

    // A full team is a rule of its own, behind those of the order.
    org.set_team(&id, &[("member_count", n(500))]).await;
    refused(&org, &Method::POST, &members, &left, member).await;
    let inactive = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[12]));
    let not_active = [
        "422 User is not active",
        r#"422 UNPROCESSABLE_ENTITY {"field":"user_id"}"#,
    ];
    refused(&org, &Method::POST, &members, &inactive, not_active).await;
}

#[tokio::test]
async fn of_team_lead_and_name_the_first_that_fails_answers() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Team").await);
    org.team("Taken").await;
    let no_team = format!("/v1/teams/{}", unknown());
    let (nobody, inactive) = (&*unknown(), &*bare(&org.users[12]));
    let no_user = r#"404 NOT_FOUND {"field":"lead_id"}"#;
    let not_active = r#"422 UNPROCESSABLE_ENTITY {"field":"lead_id"}"#;
    for (order, method, path, lead, expected) in [
        (
            "user, then name",
            Method::POST,
            "/v1/teams",
            nobody,
            no_user,
        ),
        ("user, then name", Method::PATCH, &*team, nobody, no_user),
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
            nobody,
            "404 NOT_FOUND",
        ),
    ] {
        let response = ask(
            &org.itsm,
            &method,
            path,
            json!({ "name": "Taken", "lead_id": lead }).to_string(),
        )
        .await;
        assert_eq!(
            said(&org.itsm, path, &response),
            expected,
            "{order}, {method}"
        );
    }
}

#[tokio::test]
async fn a_success_has_the_headers_of_its_kind() {
    let org = Stack::shared().organization().await;
    let user = bare(&org.users[0]);
    for (client, name) in org.clients().into_iter().zip(["One", "Two"]) {
        let created = client.post("/v1/teams", json!({ "name": name })).await;
        let id = created.json["id"]
            .as_str()
            .or_else(|| created.json["data"]["id"].as_str())
            .expect("an id");
        let team = format!("/v1/teams/{id}");
        let with_body = [
            client.get("/v1/teams").await,
            client.get(&team).await,
            client.patch(&team, json!({})).await,
            client
                .post(&format!("{team}/members"), json!({ "user_id": user }))
                .await,
        ];
        for (response, status) in std::iter::once(&created)
            .chain(&with_body)
            .zip([201, 200, 200, 200, 201])
        {
            assert_eq!(
                (response.status.as_u16(), response.header("content-type")),
                (status, "application/json")
            );
            has_common_headers(response);
        }
        for path in [format!("{team}/members/{user}"), team] {
            let response = client.delete(&path).await;
            assert_eq!(
                (response.status.as_u16(), response.text.as_str()),
                (204, ""),
                "{path}"
            );
            assert!(!response.headers.contains_key("content-type"), "{path}");
            has_common_headers(&response);
        }
    }
}

/// A stack whose functions look for their table somewhere else.
async fn misled(dynamodb_url: String, table: &'static str) -> Stack {
    Stack::with(move |deps| deps.table = Table::new(emulator::client(&dynamodb_url), table)).await
}

/// Wants an error that says nothing of what is behind it.
#[track_caller]
fn keeps_to_itself(response: &Response) {
    let text = response.text.to_lowercase();
    for internal in [
        "dynamo",
        "table",
        "exception",
        "muster",
        "missing",
        "connect",
        "127.0.0.1",
        "queue_strategy",
    ] {
        assert!(!text.contains(internal), "{internal} is in {response}");
    }
}

#[tokio::test]
async fn what_is_our_fault_is_a_500_that_tells_nothing() {
    let stack = misled(Stack::shared().dynamodb_url, "missing").await;
    for (kind, expected) in [
        (KeyKind::TtAdmin, "500 "),
        (KeyKind::Itsm, "500 INTERNAL_ERROR"),
    ] {
        let client = stack.client(&unknown_key(kind));
        let response = client.get("/v1/teams").await;
        assert!(
            said(&client, "/v1/teams", &response).starts_with(expected),
            "{response}"
        );
        keeps_to_itself(&response);
    }
    let response = stack.anonymous().get("/v1/teams").await;
    assert_eq!(
        response.status, 401,
        "nobody asks the table about no credential"
    );
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_a_500_that_tells_nothing() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.set_team(
        &team,
        &[("queue_strategy", AttributeValue::S("by_lot".to_owned()))],
    )
    .await;
    let path = format!("/v1/teams/{team}");
    for (client, expected) in org
        .clients()
        .into_iter()
        .zip(["500 ", "500 INTERNAL_ERROR"])
    {
        let response = client.get(&path).await;
        assert!(
            said(client, &path, &response).starts_with(expected),
            "{response}"
        );
        keeps_to_itself(&response);
    }
}

#[tokio::test]
async fn a_table_out_of_reach_is_a_503_that_says_when_to_come_again() {
    // Nobody listens on this port, and no test can be given it by chance.
    let stack = misled("http://127.0.0.1:1".to_owned(), "muster").await;
    let [toptickets, itsm] =
        [KeyKind::TtAdmin, KeyKind::Itsm].map(|kind| stack.client(&unknown_key(kind)));
    // The store tries again for as long as a function may run.
    let (first, second) = tokio::join!(toptickets.get("/v1/teams"), itsm.get("/v1/teams"));
    assert!(
        said(&toptickets, "/v1/teams", &first).starts_with("503 "),
        "{first}"
    );
    assert_eq!(said(&itsm, "/v1/teams", &second), "503 SERVICE_UNAVAILABLE");
    for response in [first, second] {
        assert!(
            response
                .header("retry-after")
                .parse::<u32>()
                .is_ok_and(|secs| secs > 0),
            "{response}"
        );
        keeps_to_itself(&response);
    }
}

//! Odd bodies.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{
    MAX_BODY, assert_malformed, authorization_header, clients_with_contract, http_request,
    send_bytes, send_checked, team_id_of, team_name, unique_text,
};
use crate::support::{
    Client, Stack,
    response_shape::{ErrorFormat, assert_response},
};

/// Returns JSON texts of every type, with the edge cases of each.
fn odd_values() -> Vec<String> {
    let long = "x".repeat(300);
    let digits = "9".repeat(400);
    let unknown_user = Uuid::new_v4();
    let many: Vec<_> = (0..60).map(|n| format!("\"tag {n}\"")).collect();
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "-0.0",
        "1.5",
        "1e999999",
        "-1E-999999",
        "\"\"",
        "\" \"",
        "\"x\"",
        r#""\u0000""#,
        r#""a\nb""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83e\udd80""#,
        "\"\u{202e}\u{200b}\"",
        "[]",
        "[[]]",
        "[null]",
        "[1]",
        r#"["a", {}]"#,
        r#"["", " "]"#,
        r#"["a", "A ", "\ud800"]"#,
        "{}",
        r#"{"name": "x"}"#,
        "\"lead\"",
        "\"round_robin\"",
        "\"550e8400e29b41d4a716446655440000\"",
    ]
    .map(str::to_owned)
    .to_vec();
    values.extend([
        digits.clone(),
        format!("-{digits}"),
        format!("\"{long}\""),
        format!("\"usr_{unknown_user}\""),
        format!("\"team_{unknown_user}\""),
        format!("[\"{long}\"]"),
        format!("[{}]", many.join(",")),
        format!("{}{}", "[".repeat(100), "]".repeat(100)),
    ]);
    values
}

/// The fields of a team and of a membership under either contract, and some that no parser reads.
const TEAM_FIELDS: [&str; 5] = [
    "name",
    "description",
    "lead_id",
    "queue_strategy",
    "specializations",
];

const MEMBER_FIELDS: [&str; 3] = ["user_id", "role", "skills"];

const UNREAD_FIELDS: [&str; 5] = ["id", "members", "created_at", "version", "nobody_knows"];

/// Returns every field with every odd value. Unread fields get every seventh value.
fn odd_field_values(read: &'static [&str]) -> impl Iterator<Item = (&'static str, String)> {
    let unread = UNREAD_FIELDS
        .into_iter()
        .flat_map(|field| odd_values().into_iter().step_by(7).map(move |v| (field, v)));
    read.iter()
        .flat_map(|field| odd_values().into_iter().map(|value| (*field, value)))
        .chain(unread)
}

#[tokio::test]
async fn odd_values_in_a_new_team_never_fail() {
    let org = Stack::shared().organization().await;
    let mut created = BTreeSet::new();
    for (client, error_format) in clients_with_contract(&org) {
        for (field, value) in odd_field_values(&TEAM_FIELDS) {
            // The last of duplicate keys counts, so an odd name replaces the valid one.
            let body = format!("{{\"name\":\"{}\",\"{field}\":{value}}}", unique_text());
            let response =
                send_checked(client, error_format, Method::POST, "/v1/teams", body).await;
            if response.status == 201 {
                created.insert(team_id_of(&response).trim_start_matches("team_").to_owned());
            }
        }
    }
    let response = org.itsm.get("/v1/teams?limit=1000").await;
    let listed = response.json["data"].as_array().unwrap();
    let listed: BTreeSet<_> = listed
        .iter()
        .map(|team| {
            team["id"]
                .as_str()
                .unwrap()
                .trim_start_matches("team_")
                .to_owned()
        })
        .collect();
    assert_eq!(response.json["meta"]["pagination"]["total"], created.len());
    assert_eq!(listed, created, "only the created teams exist");
}

#[tokio::test]
async fn odd_values_in_a_team_patch_never_fail() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let team = org.team(&format!("Team of {error_format:?}")).await;
        let path = format!("/v1/teams/{team}");
        let mut before = client.get(&path).await;
        for (field, value) in odd_field_values(&TEAM_FIELDS) {
            let body = format!("{{\"{field}\":{value}}}");
            let response =
                send_checked(client, error_format, Method::PATCH, &path, body.clone()).await;
            let after = client.get(&path).await;
            let expected = if response.status == 200 {
                &response.text
            } else {
                &before.text
            };
            assert_eq!(
                &after.text, expected,
                "the response to {body} is {response}"
            );
            before = after;
        }
    }
}

#[tokio::test]
async fn odd_values_in_a_new_member_never_fail() {
    let org = Stack::shared().organization().await;
    let user = org.users[0].id.uuid();
    for (client, error_format) in clients_with_contract(&org) {
        let team = org.team(&format!("Team of {error_format:?}")).await;
        let path = format!("/v1/teams/{team}");
        for (field, value) in odd_field_values(&MEMBER_FIELDS) {
            let body = format!("{{\"user_id\":\"{user}\",\"{field}\":{value}}}");
            let response = send_checked(
                client,
                error_format,
                Method::POST,
                &format!("{path}/members"),
                body.clone(),
            )
            .await;
            let members = client.get(&path).await;
            let members = members.json["members"]
                .as_array()
                .or(members.json["data"]["members"].as_array());
            let joined = usize::from(response.status == 201);
            assert_eq!(
                members.unwrap().len(),
                joined,
                "the response to {body} is {response}"
            );
            if joined == 1 {
                // Under TopTickets, a lead can be removed.
                let left = org
                    .toptickets
                    .delete(&format!("{path}/members/{user}"))
                    .await;
                assert_eq!(left.status, 204, "{left}");
            }
        }
    }
}

#[tokio::test]
async fn odd_values_in_a_member_patch_never_fail() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let team = org.team(&format!("Team of {error_format:?}")).await;
        org.member(&team, &org.users[0]).await;
        let members = format!("/v1/teams/{team}/members");
        let path = format!("{members}/{}", org.users[0].id.uuid());
        let mut before = client.get(&members).await;
        for (field, value) in odd_field_values(&MEMBER_FIELDS) {
            let body = format!("{{\"{field}\":{value}}}");
            let response =
                send_checked(client, error_format, Method::PATCH, &path, body.clone()).await;
            let after = client.get(&members).await;
            let changed = response.status == 200 && ["role", "skills"].contains(&field);
            assert!(
                changed || after.text == before.text,
                "the response to {body} is {response}"
            );
            before = after;
        }
    }
}

#[tokio::test]
async fn body_over_128_levels_is_malformed() {
    let org = Stack::shared().organization().await;
    let body = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"name\":\"{}\",\"more\":{open}{close}}}", unique_text())
    };
    for (client, error_format) in clients_with_contract(&org) {
        let post = async |body: String| {
            send_checked(client, error_format, Method::POST, "/v1/teams", body).await
        };
        assert_eq!(post(body(128)).await.status, 201);
        for levels in [129, 1_000, 100_000] {
            assert_malformed(&post(body(levels)).await, error_format, "nested too deeply");
        }
        for text in [
            "[".repeat(100_000),
            "{\"a\":".repeat(40_000),
            "{\"name\":".repeat(129) + "1",
        ] {
            assert_malformed(&post(text).await, error_format, "unclosed brackets");
        }
        // Brackets in a string do not nest.
        let brackets = format!(
            "{{\"name\":\"{}\",\"description\":\"\\\"{}\"}}",
            unique_text(),
            "[{".repeat(1_000)
        );
        assert_eq!(post(brackets).await.status, 201);
    }
}

#[tokio::test]
async fn unread_field_may_be_any_json() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        for value in [
            "1e999999",
            &"9".repeat(400),
            &format!("-0.{}", "1".repeat(400)),
            r#""\ud800""#,
            r#""\u0000""#,
        ] {
            let body = format!("{{\"name\":\"{}\",\"more\":{value}}}", unique_text());
            let response =
                send_checked(client, error_format, Method::POST, "/v1/teams", body).await;
            assert_eq!(response.status, 201, "{value}: {response}");
        }
    }
}

#[tokio::test]
async fn body_not_a_utf_8_json_object_is_malformed() {
    let org = Stack::shared().organization().await;
    let good = format!("{{\"name\":\"{}\"}}", unique_text());
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"x\"",
        "[]",
        "{",
        "}",
        "{}{}",
        "{\"name\"}",
        "{\"name\":}",
        "{name:\"x\"}",
        "{'name':'x'}",
        "{\"name\":\"x\",}",
        "{\"name\":01}",
        "{\"name\":+1}",
        "{\"name\":NaN}",
        "{\"name\":\"x\"} x",
        "{\"name\":\"a\nb\"}",
        "{\"name\":\"\\x\"}",
        "{\"name\":\"\\u12\"}",
        "// x\n{\"name\":\"x\"}",
        "\0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    bodies.extend([
        format!("\u{feff}{good}").into_bytes(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        b"{\"name\":\"\xff\"}".to_vec(),
        b"{\"name\":\"\xc3\"}".to_vec(),
        // A surrogate, an overlong form and a character beyond the last one.
        b"{\"name\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"name\":\"\xc0\xaf\"}".to_vec(),
        b"{\"name\":\"\xf4\x90\x80\x80\"}".to_vec(),
        b"{\"\xff\":1,\"name\":\"x\"}".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
    ]);
    for (client, error_format) in clients_with_contract(&org) {
        let team = org.team(&unique_text()).await;
        for body in &bodies {
            let shown = String::from_utf8_lossy(body);
            for (method, path) in [
                (Method::POST, "/v1/teams".to_owned()),
                (Method::PATCH, format!("/v1/teams/{team}")),
                (Method::POST, format!("/v1/teams/{team}/members")),
            ] {
                let response =
                    send_checked(client, error_format, method, &path, body.clone()).await;
                assert_malformed(&response, error_format, &shown);
            }
        }
    }
}

#[tokio::test]
async fn last_of_duplicate_keys_counts() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        let last = unique_text();
        let post = async |body: String| {
            send_checked(client, error_format, Method::POST, "/v1/teams", body).await
        };
        let response = post(format!(
            "{{\"name\":7,\"name\":\"first\",\"\\u006eame\":\"{last}\"}}"
        ))
        .await;
        assert_eq!(
            (response.status.as_u16(), team_name(&response)),
            (201, &*last),
            "{response}"
        );
        assert_eq!(
            post(format!("{{\"name\":\"{}\",\"name\":null}}", unique_text()))
                .await
                .status,
            400
        );
    }
}

#[tokio::test]
async fn body_over_256_kib_is_rejected() {
    let org = Stack::shared().organization().await;
    let body = |size: usize, pad: &str| {
        let head = format!("{{\"name\":\"{}\",\"more\":\"", unique_text());
        let mut body = head + &pad.repeat(size / pad.len());
        while body.len() > size - 2 {
            body.pop();
        }
        body += &"x".repeat(size - 2 - body.len());
        body + "\"}"
    };
    for (client, error_format) in clients_with_contract(&org) {
        for pad in ["x", "🦀"] {
            for content_type in ["application/json", "application/octet-stream"] {
                let post = async |size: usize| {
                    let request = client
                        .request(Method::POST, "/v1/teams")
                        .header("content-type", content_type);
                    Client::send(request.body(body(size, pad))).await
                };
                let response = post(MAX_BODY).await;
                assert_eq!(response.status, 201, "{content_type} {pad}: {response}");
                let response = post(MAX_BODY + 1).await;
                assert_response(&response, error_format, content_type);
                assert_eq!(response.status, 413, "{content_type} {pad}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn body_size_is_checked_before_credential_and_content() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
        // The size is checked before the content and the id in the path.
        let response = send_checked(
            client,
            error_format,
            Method::PATCH,
            "/v1/teams/x",
            vec![b'['; 1_000_000],
        )
        .await;
        assert_eq!(response.status, 413, "{response}");
        // The size of an ignored body is not checked.
        assert_eq!(
            send_checked(
                client,
                error_format,
                Method::GET,
                "/v1/teams",
                vec![b'['; MAX_BODY + 1]
            )
            .await
            .status,
            200
        );
        let team = org.team(&unique_text()).await;
        let path = format!("/v1/teams/{team}");
        assert_eq!(
            send_checked(
                client,
                error_format,
                Method::DELETE,
                &path,
                vec![0xff; MAX_BODY + 1]
            )
            .await
            .status,
            204
        );
    }
    let anonymous = org.stack.anonymous();
    let response = send_checked(
        &anonymous,
        ErrorFormat::Either,
        Method::POST,
        "/v1/teams",
        vec![b'['; MAX_BODY + 1],
    )
    .await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["code"]),
        (413, &json!("PAYLOAD_TOO_LARGE"))
    );
}

#[tokio::test]
async fn body_over_10_mb_is_rejected_by_the_gateway() {
    let org = Stack::shared().organization().await;
    let body = vec![b' '; 10 * 1024 * 1024 + 1];
    let response = send_bytes(
        &org.stack,
        &http_request(
            "POST /v1/teams HTTP/1.1",
            &authorization_header(&org.itsm),
            &body,
        ),
    )
    .await;
    assert_eq!(response.status, 413, "{response}");
    assert!(response.json["message"].is_string(), "{response}");
}

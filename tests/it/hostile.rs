//! No input gives a 500, no refused input changes anything, and no accepted input is lost.

use std::{collections::BTreeSet, time::Duration};

use muster_domain::KeyKind;
use muster_service::http::Deps;
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use crate::{
    shapes::{Speaks, assert_response},
    support::{
        Client, Organization, Response, Stack, original_header_names, ticket_items::assigned,
    },
};

/// The most bytes of a body.
const MAX_BODY: usize = 256 * 1024;

/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// JSON texts of every type, and the worst of each.
fn odd_values() -> Vec<String> {
    let long = "x".repeat(300);
    let digits = "9".repeat(400);
    let nobody = Uuid::new_v4();
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
        format!("\"usr_{nobody}\""),
        format!("\"team_{nobody}\""),
        format!("[\"{long}\"]"),
        format!("[{}]", many.join(",")),
        format!("{}{}", "[".repeat(100), "]".repeat(100)),
    ]);
    values
}

/// The fields of a team and those of a membership, in either contract, and some that nobody reads.
const TEAM_FIELDS: [&str; 5] = [
    "name",
    "description",
    "lead_id",
    "queue_strategy",
    "specializations",
];
const MEMBER_FIELDS: [&str; 3] = ["user_id", "role", "skills"];
const UNREAD_FIELDS: [&str; 5] = ["id", "members", "created_at", "version", "nobody_knows"];

/// Every field with every odd value that it can have; of the fields that nobody reads a few are
/// enough.
fn odd_fields(read: &'static [&str]) -> impl Iterator<Item = (&'static str, String)> {
    let unread = UNREAD_FIELDS
        .into_iter()
        .flat_map(|field| odd_values().into_iter().step_by(7).map(move |v| (field, v)));
    read.iter()
        .flat_map(|field| odd_values().into_iter().map(|value| (*field, value)))
        .chain(unread)
}

fn request(
    client: &Client,
    method: Method,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> reqwest::RequestBuilder {
    client
        .request(method, path)
        .header("content-type", "application/json")
        .body(body)
}

/// Sends a body as it is and asserts what holds for every response.
async fn send(
    client: &Client,
    speaks: Speaks,
    method: Method,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> Response {
    let body = body.into();
    let shown: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let response = Client::send(request(client, method.clone(), path, body)).await;
    assert_response(&response, speaks, format!("{method} {path} {shown}"));
    response
}

/// The clients of both contracts, each with what it speaks.
fn both(org: &Organization) -> impl Iterator<Item = (&Client, Speaks)> {
    org.clients().into_iter().zip(Speaks::BOTH)
}

/// A text that is in no other request.
fn unique() -> String {
    Uuid::new_v4().to_string()
}

fn name(response: &Response) -> &str {
    response.json["name"]
        .as_str()
        .or(response.json["data"]["name"].as_str())
        .unwrap_or_default()
}

/// A created team's id as the contract writes it.
fn id(response: &Response) -> &str {
    response.json["id"]
        .as_str()
        .or(response.json["data"]["id"].as_str())
        .unwrap_or_default()
}

/// Asserts that a body was not taken for a JSON object.
#[track_caller]
fn assert_malformed(response: &Response, speaks: Speaks, what: &str) {
    assert_eq!(response.status, 400, "{what}: {response}");
    if speaks == Speaks::Toptickets {
        let expected = json!({ "loc": ["body"], "type": "value_error.jsondecode" });
        let violation = &response.json["detail"][0];
        assert_eq!(
            json!({ "loc": violation["loc"], "type": violation["type"] }),
            expected,
            "{what}: {response}"
        );
    } else {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("VALIDATION_ERROR"), &Value::Null),
            "{what}: {response}"
        );
    }
}

#[tokio::test]
async fn every_type_in_every_field_of_a_new_team() {
    let org = Stack::shared().organization().await;
    let mut created = BTreeSet::new();
    for (client, speaks) in both(&org) {
        for (field, value) in odd_fields(&TEAM_FIELDS) {
            // Of duplicate keys the last counts, so an odd name stands for the good one.
            let body = format!("{{\"name\":\"{}\",\"{field}\":{value}}}", unique());
            let response = send(client, speaks, Method::POST, "/v1/teams", body).await;
            if response.status == 201 {
                created.insert(id(&response).trim_start_matches("team_").to_owned());
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
    assert_eq!(
        listed, created,
        "what was created is there, what was refused is not"
    );
}

#[tokio::test]
async fn every_type_in_every_field_of_a_changed_team() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        let team = org.team(&format!("Team of {speaks:?}")).await;
        let path = format!("/v1/teams/{team}");
        let mut before = client.get(&path).await;
        for (field, value) in odd_fields(&TEAM_FIELDS) {
            let body = format!("{{\"{field}\":{value}}}");
            let response = send(client, speaks, Method::PATCH, &path, body.clone()).await;
            let after = client.get(&path).await;
            let expected = if response.status == 200 {
                &response.text
            } else {
                &before.text
            };
            assert_eq!(&after.text, expected, "{body} was answered with {response}");
            before = after;
        }
    }
}

#[tokio::test]
async fn every_type_in_every_field_of_a_new_member() {
    let org = Stack::shared().organization().await;
    let user = org.users[0].id.uuid();
    for (client, speaks) in both(&org) {
        let team = org.team(&format!("Team of {speaks:?}")).await;
        let path = format!("/v1/teams/{team}");
        for (field, value) in odd_fields(&MEMBER_FIELDS) {
            let body = format!("{{\"user_id\":\"{user}\",\"{field}\":{value}}}");
            let response = send(
                client,
                speaks,
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
                "{body} was answered with {response}"
            );
            if joined == 1 {
                // Under this contract a lead can be removed too.
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
async fn every_type_in_every_field_of_a_changed_member() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        let team = org.team(&format!("Team of {speaks:?}")).await;
        org.member(&team, &org.users[0]).await;
        let members = format!("/v1/teams/{team}/members");
        let path = format!("{members}/{}", org.users[0].id.uuid());
        let mut before = client.get(&members).await;
        for (field, value) in odd_fields(&MEMBER_FIELDS) {
            let body = format!("{{\"{field}\":{value}}}");
            let response = send(client, speaks, Method::PATCH, &path, body.clone()).await;
            let after = client.get(&members).await;
            let changed = response.status == 200 && ["role", "skills"].contains(&field);
            assert!(
                changed || after.text == before.text,
                "{body} was answered with {response}"
            );
            before = after;
        }
    }
}

#[tokio::test]
async fn a_body_nests_128_levels_and_no_more() {
    let org = Stack::shared().organization().await;
    let body = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"name\":\"{}\",\"more\":{open}{close}}}", unique())
    };
    for (client, speaks) in both(&org) {
        let post = async |body: String| send(client, speaks, Method::POST, "/v1/teams", body).await;
        assert_eq!(post(body(128)).await.status, 201);
        for levels in [129, 1_000, 100_000] {
            assert_malformed(&post(body(levels)).await, speaks, "nested too deeply");
        }
        for text in [
            "[".repeat(100_000),
            "{\"a\":".repeat(40_000),
            "{\"name\":".repeat(129) + "1",
        ] {
            assert_malformed(&post(text).await, speaks, "never closed");
        }
        // Brackets in a text nest nothing.
        let brackets = format!(
            "{{\"name\":\"{}\",\"description\":\"\\\"{}\"}}",
            unique(),
            "[{".repeat(1_000)
        );
        assert_eq!(post(brackets).await.status, 201);
    }
}

#[tokio::test]
async fn what_nobody_reads_may_be_anything_that_json_is() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        for value in [
            "1e999999",
            &"9".repeat(400),
            &format!("-0.{}", "1".repeat(400)),
            r#""\ud800""#,
            r#""\u0000""#,
        ] {
            let body = format!("{{\"name\":\"{}\",\"more\":{value}}}", unique());
            let response = send(client, speaks, Method::POST, "/v1/teams", body).await;
            assert_eq!(response.status, 201, "{value}: {response}");
        }
    }
}

#[tokio::test]
async fn a_body_is_one_json_object_in_utf_8() {
    let org = Stack::shared().organization().await;
    let good = format!("{{\"name\":\"{}\"}}", unique());
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
    for (client, speaks) in both(&org) {
        let team = org.team(&unique()).await;
        for body in &bodies {
            let shown = String::from_utf8_lossy(body);
            for (method, path) in [
                (Method::POST, "/v1/teams".to_owned()),
                (Method::PATCH, format!("/v1/teams/{team}")),
                (Method::POST, format!("/v1/teams/{team}/members")),
            ] {
                let response = send(client, speaks, method, &path, body.clone()).await;
                assert_malformed(&response, speaks, &shown);
            }
        }
    }
}

#[tokio::test]
async fn of_duplicate_keys_the_last_counts() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        let last = unique();
        let post = async |body: String| send(client, speaks, Method::POST, "/v1/teams", body).await;
        let response = post(format!(
            "{{\"name\":7,\"name\":\"first\",\"\\u006eame\":\"{last}\"}}"
        ))
        .await;
        assert_eq!(
            (response.status.as_u16(), name(&response)),
            (201, &*last),
            "{response}"
        );
        assert_eq!(
            post(format!("{{\"name\":\"{}\",\"name\":null}}", unique()))
                .await
                .status,
            400
        );
    }
}

#[tokio::test]
async fn a_body_has_at_most_256_kib() {
    let org = Stack::shared().organization().await;
    let body = |size: usize, pad: &str| {
        let head = format!("{{\"name\":\"{}\",\"more\":\"", unique());
        let mut body = head + &pad.repeat(size / pad.len());
        while body.len() > size - 2 {
            body.pop();
        }
        body += &"x".repeat(size - 2 - body.len());
        body + "\"}"
    };
    for (client, speaks) in both(&org) {
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
                assert_response(&response, speaks, content_type);
                assert_eq!(response.status, 413, "{content_type} {pad}: {response}");
            }
        }
        // The size comes before everything that is in it, and before the path's id.
        let response = send(
            client,
            speaks,
            Method::PATCH,
            "/v1/teams/x",
            vec![b'['; 1_000_000],
        )
        .await;
        assert_eq!(response.status, 413, "{response}");
        // A body that means nothing has no size.
        assert_eq!(
            send(
                client,
                speaks,
                Method::GET,
                "/v1/teams",
                vec![b'['; MAX_BODY + 1]
            )
            .await
            .status,
            200
        );
        let team = org.team(&unique()).await;
        let path = format!("/v1/teams/{team}");
        assert_eq!(
            send(
                client,
                speaks,
                Method::DELETE,
                &path,
                vec![0xff; MAX_BODY + 1]
            )
            .await
            .status,
            204
        );
    }
    let stranger = org.stack.anonymous();
    let response = send(
        &stranger,
        Speaks::Either,
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
async fn more_than_10_mb_is_refused_by_the_gateway() {
    let org = Stack::shared().organization().await;
    let body = vec![b' '; 10 * 1024 * 1024 + 1];
    let response = raw(
        &org.stack,
        &http("POST /v1/teams HTTP/1.1", &bearer(&org.itsm), &body),
    )
    .await;
    assert_eq!(response.status, 413, "{response}");
    assert!(response.json["message"].is_string(), "{response}");
}

#[tokio::test]
async fn names_come_back_as_they_were_sent() {
    let org = Stack::shared().organization().await;
    let names = [
        "🦀".repeat(255),
        "e\u{301}".repeat(127),
        "a\u{300}\u{301}\u{302}\u{327}".repeat(51),
        "\u{202e}right to left\u{202c} שלום".to_owned(),
        "zero\u{200b}width\u{200d}\u{2060}".to_owned(),
        "\u{feff}byte order".to_owned(),
        "ΟΔΟΣ".to_owned(),
        "İstanbul ve ılık".to_owned(),
        "ﬁ straße ǅ K Å".to_owned(),
        "नमस्ते 𝔘𝔫𝔦 👩\u{200d}👧 \u{10ffff}\u{e000}".to_owned(),
        "NAME#x ORG#y %00 %2f \\ \" ' <b> ${x} {{x}}".to_owned(),
        ".".to_owned(),
    ];
    for name in &names {
        for (client, speaks) in both(&org) {
            let body = json!({ "name": format!(" \u{3000}{name}\t"), "description": name });
            let response = send(client, speaks, Method::POST, "/v1/teams", body.to_string()).await;
            assert_eq!(
                (response.status.as_u16(), self::name(&response)),
                (201, &**name),
                "{response}"
            );
            let path = format!("/v1/teams/{}", id(&response));
            for reader in org.clients() {
                let read = reader.get(&path).await;
                assert_eq!(self::name(&read), name);
                let description = read.json["description"]
                    .as_str()
                    .or(read.json["data"]["description"].as_str());
                assert_eq!(description, Some(&**name));
            }
            let found = org
                .itsm
                .request(Method::GET, "/v1/teams")
                .query(&[("search", name)]);
            let found = Client::send(found).await;
            assert_eq!(found.json["meta"]["pagination"]["total"], 1, "{found}");
            let again = send(client, speaks, Method::POST, "/v1/teams", body.to_string()).await;
            assert!(matches!(again.status.as_u16(), 409 | 422), "{again}");
            assert_eq!(client.delete(&path).await.status, 204);
        }
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        0
    );
}

#[tokio::test]
async fn names_are_compared_folded() {
    let org = Stack::shared().organization().await;
    let post = async |name: &str| {
        org.itsm
            .post("/v1/teams", json!({ "name": name }))
            .await
            .status
            .as_u16()
    };
    for (one, other) in [
        ("İ", "i\u{307}"),
        ("\u{212b}", "å"),
        ("\u{212a}elvin", "KELVIN"),
        ("ΟΔΟΣ", "οδος"),
        ("CAFÉ", "cafe\u{301}"),
        ("ǅ", "Ǆ"),
        ("  x\u{2003}", "X"),
        ("straße", "STRASSE"),
        ("ﬁn", "fin"),
        ("a\u{200b}b", "ab"),
        ("x y", "x  y"),
    ] {
        assert_eq!(post(one).await, 201, "{one}");
        assert_eq!(post(other).await, 409, "{one} = {other}");
    }
    for (one, other) in [("ı", "i"), ("ä", "a"), ("u v", "uv")] {
        assert_eq!(
            (post(one).await, post(other).await),
            (201, 201),
            "{one} ≠ {other}"
        );
    }
}

#[tokio::test]
async fn an_id_in_the_path_is_read_in_both_forms_and_no_other() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let simple = team.replace('-', "");
    let good = [
        team.clone(),
        format!("team_{team}"),
        team.to_uppercase(),
        format!("TEAM_{team}"),
        format!("team_{}", team.to_uppercase()),
        format!("team%5F{team}"),
        team.replace('-', "%2D"),
        format!("%{:02x}{}", team.as_bytes()[0], &team[1..]),
    ];
    let bad = [
        simple.clone(),
        format!("usr_{team}"),
        format!("team-{team}"),
        format!("team_team_{team}"),
        format!("team_{simple}"),
        format!("%7B{team}%7D"),
        format!("urn:uuid:{team}"),
        format!("{team}%20"),
        format!("%20{team}"),
        format!("{team}%00"),
        format!("{team}%0a"),
        format!("{team};x=1"),
        team.replace('-', "%252D"),
        // `%-` is no escape. A bare `%` before random digits can decode to a slash, which is
        // another path.
        team.replace('-', "%-"),
        team[1..].to_owned(),
        format!("{team}0"),
        format!("%EF%BC%90{}", &team[3..]),
        "%ff".to_owned(),
        "%".to_owned(),
        "%0".to_owned(),
        "%zz".to_owned(),
        "%00".to_owned(),
        "null".to_owned(),
        "0".to_owned(),
        "-1".to_owned(),
        "*".to_owned(),
        "'%20OR%201=1".to_owned(),
        "x".repeat(2_000),
        "%e2%98%83".repeat(200),
    ];
    let user = org.users[0].id.uuid();
    for (client, speaks) in both(&org) {
        for id in &good {
            let response = exchange(client, "GET", &format!("/v1/teams/{id}"), b"").await;
            assert_eq!(
                (response.status.as_u16(), name(&response)),
                (200, "Support"),
                "{id}: {response}"
            );
        }
        for id in &bad {
            for (method, rest, body) in [
                ("GET", "", String::new()),
                ("PATCH", "", "{}".to_owned()),
                ("DELETE", "", String::new()),
                ("POST", "/members", format!("{{\"user_id\":\"{user}\"}}")),
                ("GET", "/members", String::new()),
                (
                    "PATCH",
                    &*format!("/members/{user}"),
                    "{\"role\":\"lead\"}".to_owned(),
                ),
                ("DELETE", &*format!("/members/{user}"), String::new()),
                ("GET", "/assignments", String::new()),
                ("GET", "/workload", String::new()),
            ] {
                let path = format!("/v1/teams/{id}{rest}");
                let response = exchange(client, method, &path, body.as_bytes()).await;
                assert_response(&response, speaks, &path);
                let missing = if rest == "/workload" && speaks == Speaks::Toptickets {
                    "Not Found"
                } else {
                    "Team not found"
                };
                assert_not_found(&response, missing, &path);
            }
        }
        for id in bad.iter().filter(|id| !id.starts_with("usr_")) {
            let path = format!("/v1/teams/{team}/members/{id}");
            for (method, body) in [("DELETE", &b""[..]), ("PATCH", b"{}")] {
                let response = exchange(client, method, &path, body).await;
                assert_response(&response, speaks, &path);
                assert_eq!(response.status, 404, "{path}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_id_in_the_path_is_any_text_of_its_alphabet() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let longest = "x".repeat(128);
    for id in [
        "TKT-1",
        "0",
        "a.b:c_d-e",
        "...",
        "members",
        "workload",
        &longest,
    ] {
        org.put_ticket(id, &assigned(&team, &org.users[0], 1)).await;
    }
    let good = [
        "TKT-1",
        "TKT%2D1",
        "%54KT-1",
        "0",
        "a.b:c_d-e",
        "a.b%3Ac_d-e",
        "...",
        "members",
        "workload",
        &longest,
    ];
    let bad = [
        "tkt-1",
        "TKT-1%20",
        "%20TKT-1",
        "TKT-1%00",
        "TKT-1%23",
        "TKT%252D1",
        "TKT-1;x=1",
        "*",
        "%",
        "%ff",
        "%zz",
        "%EF%BC%90",
        "'%20OR%201=1",
        &"x".repeat(129),
        &"x".repeat(2_000),
        &"%e2%98%83".repeat(200),
    ];
    for (client, speaks) in both(&org) {
        for id in good {
            let path = format!("/v1/assignments/{id}");
            let response = exchange(client, "GET", &path, b"").await;
            assert_response(&response, speaks, &path);
            assert_eq!(response.status, 200, "{path}: {response}");
        }
        for id in bad {
            let path = format!("/v1/assignments/{id}");
            let response = exchange(client, "GET", &path, b"").await;
            assert_response(&response, speaks, &path);
            assert_not_found(&response, "Ticket not found", &path);
        }
    }
}

/// A 404; under TopTickets with these words.
#[track_caller]
fn assert_not_found(response: &Response, words: &str, what: &str) {
    assert_eq!(response.status, 404, "{what}: {response}");
    if let Some(detail) = response.json["detail"].as_str() {
        assert_eq!(detail, words, "{what}");
    }
}

#[tokio::test]
async fn paths_that_only_look_like_a_route_are_no_route() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let paths = [
        "/".to_owned(),
        "//".to_owned(),
        "//v1/teams".to_owned(),
        "/v1//teams".to_owned(),
        "/v1/teams/".to_owned(),
        "/v1/teams//".to_owned(),
        "/v1/teams//members".to_owned(),
        "/V1/teams".to_owned(),
        "/v1/Teams".to_owned(),
        "/v1/%2574eams".to_owned(),
        "/v1/teams%2f".to_owned(),
        format!("/v1/teams/{team}%2f"),
        "/v1/teams%00".to_owned(),
        "/v1/teams;a=b".to_owned(),
        "/v1/./teams".to_owned(),
        "/v1/../v1/teams".to_owned(),
        "/v1/teams/../teams".to_owned(),
        "/../../etc/passwd".to_owned(),
        "/v1/teams/..%2f..%2f".to_owned() + "/x/y/z",
        format!("/v1/teams/{team}/"),
        format!("/v1/teams/{team}/nothing"),
        format!("/v1/teams/{team}/members/"),
        format!("/v1/teams/{team}/workload/"),
        "/v1/teams/a/b/c/d/e".to_owned(),
        "/".repeat(1_000),
        format!("/{}", "a/".repeat(1_000)),
        format!("/{}", "%".repeat(1_000)),
        "/\"{}'()!$&*+,:=@~".to_owned(),
    ];
    for (client, speaks) in both(&org) {
        for path in &paths {
            for method in ["GET", "POST", "DELETE"] {
                let response = exchange(client, method, path, b"").await;
                assert_response(&response, speaks, path);
                assert_not_found(&response, "Not Found", path);
            }
        }
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.status,
        200,
        "still there"
    );
}

/// API Gateway decodes a path, and cuts it where that makes a query begin, before it looks for a
/// route.
#[tokio::test]
async fn a_path_is_routed_as_it_decodes() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    for (client, _) in both(&org) {
        for path in ["/v1/%74eams", "/v1%2fteams", "/v1/teams%3flimit=x"] {
            assert_eq!(
                exchange(client, "GET", path, b"").await.status,
                200,
                "{path}"
            );
        }
        let response = exchange(client, "GET", &format!("/v1/teams%2F{team}%3Fx"), b"").await;
        assert_eq!(
            (response.status.as_u16(), name(&response)),
            (200, "Support"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn odd_methods_are_not_allowed() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    for (client, speaks) in both(&org) {
        for method in [
            "PUT",
            "HEAD",
            "TRACE",
            "get",
            "Post",
            "BREW",
            "PROPFIND",
            "X-!#$%&'*+.^_`|~",
            &"M".repeat(500),
        ] {
            for (path, allowed) in [
                ("/v1/teams".to_owned(), "GET, POST"),
                (format!("/v1/teams/{team}"), "GET, PATCH, DELETE"),
                (format!("/v1/teams/{team}/members"), "POST"),
                (format!("/v1/teams/{team}/members/{team}"), "DELETE"),
            ] {
                let response = exchange(client, method, &path, b"").await;
                // What the HTTP layer does not take for a request never comes to the gateway.
                if response.headers.contains_key("apigw-requestid") {
                    assert_eq!(response.status, 405, "{method} {path}: {response}");
                    let allow = response.header("allow");
                    for wanted in allowed.split(", ") {
                        assert!(
                            allow.split(", ").any(|method| method == wanted),
                            "{method} {path}: {allow}"
                        );
                    }
                    if method != "HEAD" {
                        assert_response(&response, speaks, method);
                    }
                } else {
                    assert_eq!(response.status, 400, "{method} {path}: {response}");
                }
            }
        }
    }
}

#[tokio::test]
async fn queries_are_read_as_forms_whatever_they_hold() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let thousands = (0..1_000).fold(String::new(), |query, n| query + &format!("p{n}=1&"));
    let digits = "9".repeat(400);
    let zeros = "0".repeat(400);
    for (query, toptickets, itsm) in [
        ("", 200, 200),
        ("&&&=&=x&&", 200, 200),
        ("%", 200, 200),
        ("%ff=%ff&%00=%00", 200, 200),
        ("limit=5&limit=6&limit=7", 200, 200),
        ("limit=0&limit=x&limit=7", 200, 200),
        ("limit=7&limit=x", 400, 400),
        ("limit=", 400, 400),
        ("limit", 400, 400),
        ("limit=%ff", 400, 400),
        ("limit=%EF%BC%97", 400, 400),
        ("limit=1.0", 400, 400),
        ("limit=1e1", 400, 400),
        ("limit=0x1", 400, 400),
        ("limit=null", 400, 400),
        ("limit=-1", 422, 400),
        ("limit=0", 422, 400),
        (&*format!("limit={digits}"), 422, 400),
        (&format!("limit=-{digits}"), 422, 400),
        (&format!("limit={zeros}7"), 200, 200),
        ("lim%69t=0", 422, 400),
        ("Limit=0", 200, 200),
        ("limit[]=0", 200, 200),
        ("page=&skip=", 400, 400),
        (&format!("page={digits}&skip={digits}"), 200, 200),
        (
            "page=9223372036854775807&limit=100&skip=9223372036854775807",
            200,
            200,
        ),
        ("page=0&skip=-1", 422, 400),
        ("search=%ff", 200, 400),
        ("search=%ed%a0%80", 200, 400),
        ("search=%00", 200, 200),
        ("search=%", 200, 200),
        ("sortBy=Name", 200, 400),
        ("sortBy=", 200, 400),
        ("sortOrder=%ff", 200, 400),
        ("cursor", 200, 400),
        (&thousands, 200, 200),
        (&format!("{thousands}limit=0"), 422, 400),
        (&format!("search={}", "%f0%9f%a6%80".repeat(600)), 200, 200),
        ("a={}|^`[]'()!$&*+,:;=@~?/", 200, 200),
    ] {
        for ((client, speaks), expected) in both(&org).zip([toptickets, itsm]) {
            let shown = &query[..query.len().min(60)];
            let response = exchange(client, "GET", &format!("/v1/teams?{query}"), b"").await;
            assert_response(&response, speaks, shown);
            assert_eq!(response.status, expected, "{shown}: {response}");
            // The other lists know nothing but pages.
            let expected = if query.starts_with('s') {
                200
            } else {
                expected
            };
            for list in ["members", "assignments"] {
                let response = exchange(
                    client,
                    "GET",
                    &format!("/v1/teams/{team}/{list}?{query}"),
                    b"",
                )
                .await;
                assert_response(&response, speaks, shown);
                assert_eq!(response.status, expected, "{list}?{shown}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        for content_type in [
            None,
            Some(""),
            Some("application/json"),
            Some("APPLICATION/JSON; charset=utf-16"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/octet-stream"),
            Some("text/plain"),
            Some("image/png"),
            Some("nonsense"),
        ] {
            let name = format!("{} 🦀", unique());
            let post = |body: Vec<u8>| {
                let request = client.request(Method::POST, "/v1/teams").body(body);
                Client::send(match content_type {
                    Some(content_type) => request.header("content-type", content_type),
                    None => request,
                })
            };
            let response = post(json!({ "name": name }).to_string().into_bytes()).await;
            assert_eq!(
                (response.status.as_u16(), self::name(&response)),
                (201, &*name),
                "{content_type:?}: {response}"
            );
            for malformed in [&b"name=x"[..], b"\xff\xfe", b"", b"e30="] {
                let response = post(malformed.to_vec()).await;
                assert_response(&response, speaks, format!("{content_type:?}"));
                assert_malformed(&response, speaks, &format!("{content_type:?}"));
            }
        }
    }
}

#[tokio::test]
async fn odd_headers_do_no_harm() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let good = format!("Authorization: Bearer {token}");
    let long = "x".repeat(8_000);
    for (headers, expected) in [
        (vec![good.as_bytes(), b"X-Odd: caf\xe9 \xff\xfe"], 200),
        (vec![good.as_bytes(), "X-Odd: ☃ 🦀".as_bytes()], 200),
        (vec![good.as_bytes(), b"X-Odd:"], 200),
        (
            vec![
                good.as_bytes(),
                b"X-Twice: 1",
                b"X-Twice: 2",
                b"x-twice: \xff",
            ],
            200,
        ),
        (
            vec![good.as_bytes(), b"Cookie: a=b; c=\xff; ;;=", b"Cookie: x"],
            200,
        ),
        (
            vec![
                good.as_bytes(),
                b"X-Forwarded-Proto: no scheme",
                b"X-Forwarded-For: \xff",
                b"X-Forwarded-Port: x",
            ],
            200,
        ),
        (vec![good.as_bytes(), b"X-Forwarded-Proto:"], 200),
        (vec![good.as_bytes(), b"X-Forwarded-Host: a b/c"], 200),
        (
            vec![
                good.as_bytes(),
                b"X-Request-Id: req_mine\xff",
                b"apigw-requestid: mine",
            ],
            200,
        ),
        (
            vec![
                good.as_bytes(),
                b"X-Amzn-Trace-Id: \xff",
                b"Forwarded: for=\"[::1\"",
            ],
            200,
        ),
        (
            vec![
                good.as_bytes(),
                b"Accept: \xff",
                b"Accept-Encoding: br",
                b"Range: bytes=0-",
                b"If-None-Match: *",
            ],
            200,
        ),
        (
            vec![
                good.as_bytes(),
                b"If-Match: \xff",
                b"If-Match: \"",
                b"Idempotency-Key: \xff",
                b"Idempotency-Key:",
            ],
            200,
        ),
        (vec![good.as_bytes(), b"Expect: 100-continue"], 200),
        (vec![good.as_bytes(), b"Content-Type: \xff"], 200),
        (vec![b"Authorization:"], 401),
        (vec![b"Authorization:    "], 401),
        (vec![b"Authorization: Bearer"], 401),
        (vec![b"Authorization: Bearer \xff\xfe"], 401),
        (vec!["Authorization: Bearer tt_admin_☃".as_bytes()], 401),
        (vec![good.as_bytes(), good.as_bytes()], 401),
        (vec![good.as_bytes(), b"Authorization:"], 401),
        (vec![b"Authorization: Bearer itsm_x", good.as_bytes()], 401),
        (
            vec![format!("Authorization: Bearer itsm_{long}").as_bytes()],
            401,
        ),
        (
            vec![format!("Authorization: Bearer {long}").as_bytes()],
            401,
        ),
        (
            vec![format!("Authorization: {}", "Bearer ".repeat(1_000)).as_bytes()],
            401,
        ),
    ] {
        let shown = headers
            .iter()
            .map(|header| String::from_utf8_lossy(header))
            .collect::<Vec<_>>()
            .join(" | ");
        let response = raw(&org.stack, &http("GET /v1/teams HTTP/1.1", &headers, b"")).await;
        assert_eq!(response.status, expected, "{shown}: {response}");
        assert!(
            response.header("x-request-id").starts_with("req_"),
            "{shown}"
        );
        if expected == 401 {
            assert_eq!(response.header("www-authenticate"), "Bearer", "{shown}");
            assert_eq!(
                response.json["error"]["code"], "UNAUTHORIZED",
                "{shown}: {response}"
            );
        }
    }
}

/// What the HTTP layer or the gateway refuses by itself is theirs to word; that it is answered, and
/// not with a 500, is ours.
#[tokio::test]
async fn whatever_comes_over_the_wire_is_answered() {
    let org = Stack::shared().organization().await;
    let good = format!("Authorization: Bearer {}", org.itsm.token());
    let good = good.as_bytes();
    let lines = [
        "GET * HTTP/1.1".to_owned(),
        "OPTIONS * HTTP/1.1".to_owned(),
        "OPTIONS /v1/teams HTTP/1.1".to_owned(),
        "CONNECT localhost:80 HTTP/1.1".to_owned(),
        "GET http://elsewhere.example/v1/teams HTTP/1.1".to_owned(),
        "GET http://elsewhere.example HTTP/1.1".to_owned(),
        "GET http://user:pass@elsewhere.example:99999/v1/teams HTTP/1.1".to_owned(),
        "GET https://[::1]:1/v1/teams?limit=1 HTTP/1.1".to_owned(),
        "GET ftp://x/ HTTP/1.1".to_owned(),
        "GET v1/teams HTTP/1.1".to_owned(),
        "GET ?limit=1 HTTP/1.1".to_owned(),
        "GET /v1/teams?limit=1#fragment HTTP/1.1".to_owned(),
        "GET /v1/teams?a?b?c=?limit=1 HTTP/1.1".to_owned(),
        "GET /v1/teams?search=<b> HTTP/1.1".to_owned(),
        "GET /v1/teams?search=\"a\"\\ HTTP/1.1".to_owned(),
        "GET /v1/teams/\"\\<>^`{|} HTTP/1.1".to_owned(),
        "GET /v1/teams?search=☃ HTTP/1.1".to_owned(),
        "GET /☃ HTTP/1.1".to_owned(),
        "GET /v1/teams HTTP/1.0".to_owned(),
        "GET /v1/teams HTTP/9.9".to_owned(),
        "GET /v1/teams".to_owned(),
        "nonsense".to_owned(),
        format!("GET /v1/teams?a={} HTTP/1.1", "x".repeat(20_000)),
        format!("GET /v1/teams?a={} HTTP/1.1", "x".repeat(65_500)),
        format!("GET /v1/teams?a={} HTTP/1.1", "x".repeat(200_000)),
        format!("GET /{} HTTP/1.1", "\"".repeat(30_000)),
        format!("{} / HTTP/1.1", "M".repeat(70_000)),
    ];
    for line in lines {
        let response = raw(&org.stack, &http(&line, &[good], b"")).await;
        assert_wire(&response, &line);
    }
    let hosts: [&[u8]; 16] = [
        b"",
        b" ",
        b"localhost:99999",
        b"localhost:",
        b"a b",
        b"a/b",
        b"a?limit=0",
        b"a#b",
        b"user@host",
        b"[::1",
        b"[::1]:80",
        b"\xff\xfe",
        b"%00",
        b"..",
        b"*",
        "münchen.example".as_bytes(),
    ];
    for host in hosts {
        let line = [b"Host: ", host].concat();
        let response = raw(
            &org.stack,
            &http("GET /v1/teams HTTP/1.1", &[&line, good], b""),
        )
        .await;
        assert_wire(&response, &String::from_utf8_lossy(&line));
    }
    let many = vec![&b"X-Many: 1"[..]; 150];
    let long = [b"X-Long: ".to_vec(), vec![b'x'; 100_000]].concat();
    for headers in [
        vec![&b"Host: a"[..], b"Host: b", good],
        vec![b"Bad Name: x", good],
        vec![b": x", good],
        vec![b"no colon", good],
        vec![b" folded: x", good],
        vec![b"X-Nul: a\0b", good],
        vec![b"Content-Length: x", good],
        vec![b"Content-Length: -1", good],
        vec![b"Content-Length: 99999999999999999999999", good],
        vec![b"Transfer-Encoding: nonsense", good],
        vec![b"Upgrade: websocket", b"Connection: Upgrade, close", good],
        many,
        vec![&long, good],
    ] {
        let response = raw(&org.stack, &http("GET /v1/teams HTTP/1.1", &headers, b"")).await;
        assert_wire(&response, &String::from_utf8_lossy(headers[0]));
    }
    let chunked: [&[u8]; 4] = [
        b"2\r\n{}\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2;ext=1\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
    ];
    for body in chunked {
        let head = http(
            "POST /v1/teams HTTP/1.1",
            &[b"Transfer-Encoding: chunked", good],
            b"",
        );
        let response = raw(&org.stack, &[&head, body].concat()).await;
        assert!(response.status.is_client_error(), "{response}");
    }
    assert_eq!(org.itsm.get("/v1/teams").await.status, 200, "it serves on");
}

#[track_caller]
fn assert_wire(response: &Response, what: &str) {
    let shown: String = what.chars().take(80).collect();
    assert!(response.status.as_u16() < 500, "{shown}: {response}");
    let from_function = response.headers.contains_key("x-request-id");
    if from_function {
        assert_response(response, Speaks::Itsm, shown);
    } else if response.headers.contains_key("apigw-requestid") {
        assert!(response.json["message"].is_string(), "{shown}: {response}");
    }
}

/// The lines of a head that carry a client's credential.
fn bearer(client: &Client) -> [&'static [u8]; 1] {
    [format!("Authorization: Bearer {}", client.token())
        .leak()
        .as_bytes()]
}

/// What stands for the stack's host until the stack is known.
const HOST: &[u8] = b"Host: the-stack\r\n";

/// A request as it goes over the wire. A host is made up unless the headers have one.
fn http(line: &str, headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{line}\r\n").into_bytes();
    let has = |name: &str| {
        headers
            .iter()
            .any(|header| header.to_ascii_lowercase().starts_with(name.as_bytes()))
    };
    if !has("host:") {
        request.extend(HOST);
    }
    for header in headers {
        request.extend(*header);
        request.extend(b"\r\n");
    }
    if !has("connection:") {
        request.extend(b"Connection: close\r\n");
    }
    if !body.is_empty() {
        request.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    request.extend(b"\r\n");
    request.extend(body);
    request
}

/// Sends a method and a path as they are, which reqwest would tidy up.
async fn exchange(client: &Client, method: &str, path: &str, body: &[u8]) -> Response {
    let stack = Stack::shared();
    let authorization = format!("Authorization: Bearer {}", client.token());
    raw(
        &stack,
        &http(
            &format!("{method} {path} HTTP/1.1"),
            &[authorization.as_bytes()],
            body,
        ),
    )
    .await
}

/// Sends bytes as they are and reads the response; fails where there is none.
async fn raw(stack: &Stack, request: &[u8]) -> Response {
    let (host, address) = stack.address();
    let request = naming(request, &host);
    let shown: String = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let socket = TcpStream::connect(address)
        .await
        .expect("the stack listens");
    let (mut reader, mut writer) = socket.into_split();
    let mut received = Vec::new();
    // A server may response before it has read everything, and close; what it said until then
    // counts.
    let write = async {
        let _ = writer.write_all(&request).await;
    };
    let read = async {
        let _ = reader.read_to_end(&mut received).await;
    };
    let both = async { tokio::join!(write, read) };
    assert!(
        tokio::time::timeout(PATIENCE, both).await.is_ok(),
        "no end of the response to {shown}"
    );
    parse(&received).unwrap_or_else(|| panic!("no response to {shown}"))
}

/// A request of [`http`] for this host, unless it has one of its own.
fn naming(request: &[u8], host: &str) -> Vec<u8> {
    match request.windows(HOST.len()).position(|bytes| bytes == HOST) {
        Some(at) => [
            &request[..at],
            format!("Host: {host}\r\n").as_bytes(),
            &request[at + HOST.len()..],
        ]
        .concat(),
        None => request.to_vec(),
    }
}

fn parse(received: &[u8]) -> Option<Response> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status: StatusCode = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == StatusCode::CONTINUE {
        return parse(&received[end + 4..]);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            name.parse::<HeaderName>().ok()?,
            value.trim().parse::<HeaderValue>().ok()?,
        );
    }
    let text = String::from_utf8(received[end + 4..].to_vec()).ok()?;
    let json = serde_json::from_str(&text).unwrap_or_default();
    Some(Response {
        status,
        headers: original_header_names(headers),
        text,
        json,
    })
}

/// Paths near the routes and far from them; `{team}` and `{user}` stand for ids that exist.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("{team}".to_owned()),
        Just("{team}".to_owned()),
        Just("{user}".to_owned()),
        Just("members".to_owned()),
        Just("workload".to_owned()),
        Just("assignments".to_owned()),
        "[!-~]{0,12}",
        "(%[0-9a-fA-F]{2}|%|[a-z]){0,12}",
    ];
    let below = prop::collection::vec(segment, 0..4).prop_map(|segments| {
        segments
            .iter()
            .fold("/v1/teams".to_owned(), |path, segment| path + "/" + segment)
    });
    prop_oneof![
        8 => Just("/v1/teams".to_owned()),
        4 => Just("/v1/teams/{team}".to_owned()),
        4 => Just("/v1/teams/{team}/members".to_owned()),
        2 => Just("/v1/teams/{team}/members/{user}".to_owned()),
        2 => Just("/v1/teams/{team}/workload".to_owned()),
        2 => Just("/v1/teams/{team}/assignments".to_owned()),
        1 => "/v1/assignments/[!-~]{0,20}",
        4 => below,
        1 => "/[!-~]{0,20}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("limit"),
        Just("page"),
        Just("skip"),
        Just("offset"),
        Just("search"),
        Just("sortBy"),
        Just("sortOrder"),
        Just("cursor"),
        Just("x"),
        Just(""),
    ];
    let value = prop_oneof![
        "-?[0-9]{0,30}",
        "(%[0-9a-f]{2}|[a-z+%]){0,20}",
        "[!-~]{0,20}",
        Just("name".to_owned())
    ];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&"))
}

/// JSON text, of the right shape more often than not, or any bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,5})?(e[+-]?[0-9]{1,6})?",
        "\\PC{0,40}".prop_map(|text| json!(text).to_string()),
        any::<String>().prop_map(|text| json!(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}){0,6}\"",
        Just("\"{user}\"".to_owned()),
        Just("\"lead\"".to_owned()),
        Just("\"least_busy\"".to_owned()),
    ];
    let key = || {
        prop_oneof![
            8 => prop::sample::select(&[
                "name", "description", "lead_id", "queue_strategy", "specializations", "user_id", "role", "skills",
            ][..]).prop_map(|key| json!(key).to_string()),
            1 => any::<String>().prop_map(|key| json!(key).to_string()),
            1 => "\"(\\\\u[0-9a-fA-F]{4}){0,3}\"",
        ]
    };
    let value = leaf.prop_recursive(3, 20, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key(), inner), 0..5).prop_map(object),
        ]
    });
    let fields = prop::collection::vec((key(), value.clone()), 0..6).prop_map(object);
    prop_oneof![
        8 => fields.prop_map(String::into_bytes),
        1 => value.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

fn object(fields: Vec<(String, String)>) -> String {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn no_request_at_all_gives_a_500() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let org = runtime.block_on(Stack::shared().organization());
    let team = runtime.block_on(org.team("Support"));
    let user = org.users[0].id.uuid().to_string();
    let method = prop::sample::select(
        &[
            "GET", "POST", "POST", "PATCH", "PATCH", "DELETE", "PUT", "HEAD",
        ][..],
    );
    let content_type = prop::sample::select(
        &[
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
        ][..],
    );
    let request = (any::<bool>(), method, path(), query(), content_type, body());
    let config = Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(
        &request,
        |(itsm, method, path, query, content_type, body)| {
            let fill = |text: &str| text.replace("{team}", &team).replace("{user}", &user);
            let (client, speaks) = if itsm {
                (&org.itsm, Speaks::Itsm)
            } else {
                (&org.toptickets, Speaks::Toptickets)
            };
            let target = if query.is_empty() {
                fill(&path)
            } else {
                format!("{}?{query}", fill(&path))
            };
            let body = match String::from_utf8(body) {
                Ok(text) => fill(&text).into_bytes(),
                Err(bytes) => bytes.into_bytes(),
            };
            let authorization = format!("Authorization: Bearer {}", client.token());
            let content_type = format!("Content-Type: {content_type}");
            let line = format!("{method} {target} HTTP/1.1");
            let bytes = http(
                &line,
                &[authorization.as_bytes(), content_type.as_bytes()],
                &body,
            );
            let response = runtime.block_on(raw(&org.stack, &bytes));
            if response.status.is_server_error() {
                return Err(TestCaseError::fail(format!("{line}: {response}")));
            }
            // What the HTTP layer refuses never came to the gateway.
            if response.headers.contains_key("apigw-requestid") && method != "HEAD" {
                assert_response(&response, speaks, &line);
            }
            Ok(())
        },
    );
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// An event of the gateway, payload 2.0, as it invokes a function.
fn event(method: &str, path: &str, token: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "cookies": ["a=b"],
        "headers": {
            "accept": "*/*",
            "authorization": format!("Bearer {token}"),
            "content-length": body.map_or(0, str::len).to_string(),
            "content-type": "application/json",
            "host": "abc123.execute-api.eu-central-1.amazonaws.com",
            "x-amzn-trace-id": "Root=1-65d86e2e-6e2f5d3f0a3c1d2e3f4a5b6c",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "pathParameters": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "ThEgAtEwAy=",
            "routeKey": format!("{method} {path}"),
            "stage": "$default",
            "time": "23/Feb/2024:10:00:00 +0000",
            "timeEpoch": 1_708_682_400_000_i64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Invokes a function with an event, as its `main` does.
async fn invoke(org: &Organization, event: &Value) -> Response {
    let request =
        muster_service::lambda::request(&event.to_string()).expect("an event of the gateway");
    let deps = Deps::new(org.stack.table());
    let response = match event["rawPath"].as_str().unwrap_or_default() {
        path if path.contains("/members") => Box::pin(muster_members::handle(request, &deps)).await,
        path if path.ends_with("/workload") => {
            Box::pin(muster_workload::handle(request, &deps)).await
        }
        _ => Box::pin(muster_teams::handle(request, &deps)).await,
    };
    let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
    let text = String::from_utf8(body.as_ref().to_vec()).expect("the response is text");
    let json = serde_json::from_str(&text).unwrap_or_default();
    Response {
        status: parts.status,
        headers: parts.headers,
        text,
        json,
    }
}

#[tokio::test]
async fn events_of_the_gateway_are_served() {
    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        let token = client.token();
        let name = format!("{} 🦀", unique());
        let body = json!({ "name": name }).to_string();
        let created = invoke(&org, &event("POST", "/v1/teams", token, Some(&body))).await;
        assert_response(&created, speaks, "POST");
        assert_eq!(
            (created.status.as_u16(), self::name(&created)),
            (201, &*name),
            "{created}"
        );
        assert_eq!(created.header("x-request-id"), "req_ThEgAtEwAy=");

        let path = format!("/v1/teams/{}", id(&created));
        let user = json!({ "user_id": org.users[0].id.uuid().to_string() }).to_string();
        for (method, path, body, expected) in [
            ("GET", path.clone(), None, 200),
            ("PATCH", path.clone(), Some("{\"description\":\"d\"}"), 200),
            ("POST", format!("{path}/members"), Some(&*user), 201),
            (
                "DELETE",
                format!("{path}/members/{}", org.users[0].id.uuid()),
                None,
                204,
            ),
            (
                "GET",
                format!("{path}/workload"),
                None,
                if speaks == Speaks::Itsm { 200 } else { 404 },
            ),
            ("PUT", path.clone(), None, 405),
            ("GET", "/v1/nothing".to_owned(), None, 404),
            ("DELETE", path.clone(), None, 204),
            ("GET", path.clone(), None, 404),
        ] {
            let response = invoke(&org, &event(method, &path, token, body)).await;
            assert_response(&response, speaks, format!("{method} {path}"));
            assert_eq!(response.status, expected, "{method} {path}: {response}");
        }
    }
}

#[tokio::test]
async fn events_carry_bodies_in_either_encoding() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let org = Stack::shared().organization().await;
    for (client, speaks) in both(&org) {
        let post = async |body: Value, encoded: bool| {
            let mut event = event("POST", "/v1/teams", client.token(), None);
            event["body"] = body;
            event["isBase64Encoded"] = encoded.into();
            let response = invoke(&org, &event).await;
            assert_response(
                &response,
                speaks,
                event["body"]
                    .to_string()
                    .chars()
                    .take(80)
                    .collect::<String>(),
            );
            response
        };
        let name = format!("{} 🦀", unique());
        let body = json!({ "name": name }).to_string();
        let response = post(BASE64_STANDARD.encode(&body).into(), true).await;
        assert_eq!(
            (response.status.as_u16(), self::name(&response)),
            (201, &*name),
            "{response}"
        );

        assert_malformed(
            &post(BASE64_STANDARD.encode(&body).into(), false).await,
            speaks,
            "base64 that is not said to be",
        );
        for bytes in [&b"\xff"[..], b"{\"name\":\"\xed\xa0\x80\"}", b"", b"\0"] {
            assert_malformed(
                &post(BASE64_STANDARD.encode(bytes).into(), true).await,
                speaks,
                "base64 of what is no JSON",
            );
        }
        assert_malformed(&post(Value::Null, false).await, speaks, "no body");
        assert_malformed(&post(Value::Null, true).await, speaks, "no body, encoded");
        assert_malformed(&post("".into(), false).await, speaks, "an empty body");

        // What counts is the body, not its encoding.
        let padded = format!(
            "{{\"name\":\"{}\",\"more\":\"{}\"}}",
            unique(),
            "x".repeat(MAX_BODY)
        );
        assert_eq!(
            post(BASE64_STANDARD.encode(&padded).into(), true)
                .await
                .status,
            413
        );
        let fits = format!(
            "{{\"name\":\"{}\",\"more\":\"{}\"}}",
            unique(),
            "x".repeat(MAX_BODY - 100)
        );
        assert_eq!(
            post(BASE64_STANDARD.encode(&fits).into(), true)
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn events_may_lack_whatever_is_optional() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let list = || event("GET", "/v1/teams", token, None);
    for missing in [
        "version",
        "routeKey",
        "rawQueryString",
        "cookies",
        "pathParameters",
        "body",
        "isBase64Encoded",
    ] {
        let mut event = list();
        event.as_object_mut().unwrap().remove(missing);
        let response = invoke(&org, &event).await;
        assert_eq!(response.status, 200, "without {missing}: {response}");
    }
    for null in [
        "version",
        "routeKey",
        "rawQueryString",
        "cookies",
        "pathParameters",
        "body",
    ] {
        let mut event = list();
        event[null] = Value::Null;
        assert_eq!(invoke(&org, &event).await.status, 200, "{null} is null");
    }
    for missing in [
        "accountId",
        "apiId",
        "domainName",
        "domainPrefix",
        "requestId",
        "routeKey",
        "time",
        "timeEpoch",
    ] {
        let mut event = list();
        event["requestContext"]
            .as_object_mut()
            .unwrap()
            .remove(missing);
        let response = invoke(&org, &event).await;
        assert_eq!(response.status, 200, "without {missing}: {response}");
        assert_response(&response, Speaks::Itsm, missing);
    }
    for key in [
        "$default",
        "GET /v1/teams",
        "ANY /{proxy+}",
        "POST /v1/teams/{team_id}/members",
    ] {
        let mut event = list();
        event["routeKey"] = key.into();
        event["requestContext"]["routeKey"] = key.into();
        assert_eq!(invoke(&org, &event).await.status, 200, "routed by {key}");
    }

    let mut no_headers = list();
    no_headers["headers"] = json!({});
    let response = invoke(&org, &no_headers).await;
    assert_response(&response, Speaks::Either, "no headers");
    assert_eq!(response.status, 401, "{response}");
    no_headers.as_object_mut().unwrap().remove("headers");
    assert_eq!(invoke(&org, &no_headers).await.status, 401);

    let minimal = json!({
        "version": "2.0",
        "rawPath": "/v1/teams",
        "headers": { "Authorization": format!("Bearer {token}") },
        "requestContext": { "http": { "method": "GET" } },
    });
    assert_eq!(
        invoke(&org, &minimal).await.status,
        200,
        "header names in any letter case"
    );
}

#[tokio::test]
async fn events_with_odd_paths_and_queries_are_answered() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    for path in [
        "",
        "/",
        "//",
        "/v1/teams/%",
        "/v1/teams/%ff",
        "/v1/teams/a b",
        "/v1/teams/é☃",
        "/v1/teams/\"<>\\^`{|}",
        "/v1/../x",
        "/v1/teams/\t",
        "/v1/teams/\u{0}",
        "/v1/teams/a?b",
        "/v1/teams/a#b",
        "/v1/teams/@:x",
    ] {
        let response = invoke(&org, &event("GET", path, token, None)).await;
        assert_response(&response, Speaks::Itsm, path);
        assert_eq!(
            (response.status.as_u16(), &response.json["error"]["path"]),
            (404, &json!(path)),
            "{response}"
        );
    }
    for query in [
        "limit=1",
        "limit=%31&x=%ff",
        "a=b=c&&&",
        "search=a+b%2B",
        "search={}|^`[]'()!*;:@$,/?~",
    ] {
        let mut event = event("GET", "/v1/teams", token, None);
        event["rawQueryString"] = query.into();
        let response = invoke(&org, &event).await;
        assert_response(&response, Speaks::Itsm, query);
        assert_eq!(response.status, 200, "{query}: {response}");
    }
}

#[tokio::test]
async fn a_key_of_any_kind_can_be_garbage() {
    let stack = Stack::shared();
    for kind in KeyKind::ALL {
        for rest in [
            "",
            "x",
            "☃",
            "a.b.c",
            "%00",
            "' OR 1=1 --",
            "x\tx",
            &"x".repeat(43),
            &"x".repeat(5_000),
        ] {
            let header = format!("Authorization: Bearer {}{rest}", kind.prefix());
            let response = raw(
                &stack,
                &http("GET /v1/teams HTTP/1.1", &[header.as_bytes()], b""),
            )
            .await;
            assert_eq!(response.status, 401, "{header}: {response}");
        }
    }
}

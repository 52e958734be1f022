//! Odd headers.

use muster_domain::KeyKind;
use reqwest::Method;
use serde_json::json;

use super::{
    assert_malformed, clients_with_contract, http_request, send_bytes, team_name, unique_text,
};
use crate::support::{Client, Organization, Stack, response_shape::assert_response};

#[tokio::test]
async fn content_type_is_ignored() {
    let org = Stack::shared().organization().await;
    for (client, error_format) in clients_with_contract(&org) {
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
            let name = format!("{} 🦀", unique_text());
            let post = |body: Vec<u8>| {
                let request = client.request(Method::POST, "/v1/teams").body(body);
                Client::send(match content_type {
                    Some(content_type) => request.header("content-type", content_type),
                    None => request,
                })
            };
            let response = post(json!({ "name": name }).to_string().into_bytes()).await;
            assert_eq!(
                (response.status.as_u16(), team_name(&response)),
                (201, &*name),
                "{content_type:?}: {response}"
            );
            for malformed in [&b"name=x"[..], b"\xff\xfe", b"", b"e30="] {
                let response = post(malformed.to_vec()).await;
                assert_response(&response, error_format, format!("{content_type:?}"));
                assert_malformed(&response, error_format, &format!("{content_type:?}"));
            }
        }
    }
}

/// Sends a request with these header lines and asserts the status.
async fn assert_status_of_headers(org: &Organization, headers: &[&[u8]], expected: u16) {
    let shown = headers
        .iter()
        .map(|header| String::from_utf8_lossy(header))
        .collect::<Vec<_>>()
        .join(" | ");
    let response = send_bytes(
        &org.stack,
        &http_request("GET /v1/teams HTTP/1.1", headers, b""),
    )
    .await;
    assert_eq!(response.status, expected, "{shown}: {response}");
    assert!(
        response.header("x-request-id").starts_with("req_"),
        "{shown}"
    );
    if expected == 401 {
        let challenge = response.header("www-authenticate");
        let invalid = r#"Bearer error="invalid_token", error_description="The credential is unknown or malformed""#;
        assert!(
            ["Bearer", invalid].contains(&challenge),
            "{shown}: {challenge}"
        );
        assert_eq!(
            response.json["error"]["code"], "UNAUTHORIZED",
            "{shown}: {response}"
        );
    }
}

#[tokio::test]
async fn odd_headers_are_ignored() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let good = format!("Authorization: Bearer {token}");
    for headers in [
        vec![good.as_bytes(), b"X-Odd: caf\xe9 \xff\xfe"],
        vec![good.as_bytes(), "X-Odd: ☃ 🦀".as_bytes()],
        vec![good.as_bytes(), b"X-Odd:"],
        vec![
            good.as_bytes(),
            b"X-Twice: 1",
            b"X-Twice: 2",
            b"x-twice: \xff",
        ],
        vec![good.as_bytes(), b"Cookie: a=b; c=\xff; ;;=", b"Cookie: x"],
        vec![
            good.as_bytes(),
            b"X-Forwarded-Proto: no scheme",
            b"X-Forwarded-For: \xff",
            b"X-Forwarded-Port: x",
        ],
        vec![good.as_bytes(), b"X-Forwarded-Proto:"],
        vec![good.as_bytes(), b"X-Forwarded-Host: a b/c"],
        vec![
            good.as_bytes(),
            b"X-Request-Id: req_mine\xff",
            b"apigw-requestid: mine",
        ],
        vec![
            good.as_bytes(),
            b"X-Amzn-Trace-Id: \xff",
            b"Forwarded: for=\"[::1\"",
        ],
        vec![
            good.as_bytes(),
            b"Accept: \xff",
            b"Accept-Encoding: br",
            b"Range: bytes=0-",
            b"If-None-Match: *",
        ],
        vec![
            good.as_bytes(),
            b"If-Match: \xff",
            b"If-Match: \"",
            b"Idempotency-Key: \xff",
            b"Idempotency-Key:",
        ],
        vec![good.as_bytes(), b"Expect: 100-continue"],
        vec![good.as_bytes(), b"Content-Type: \xff"],
    ] {
        assert_status_of_headers(&org, &headers, 200).await;
    }
}

#[tokio::test]
async fn odd_authorization_headers_are_unauthorized() {
    let org = Stack::shared().organization().await;
    let token = org.itsm.token();
    let good = format!("Authorization: Bearer {token}");
    let long = "x".repeat(8_000);
    for headers in [
        vec![&b"Authorization:"[..]],
        vec![b"Authorization:    "],
        vec![b"Authorization: Bearer"],
        vec![b"Authorization: Bearer \xff\xfe"],
        vec!["Authorization: Bearer tt_admin_☃".as_bytes()],
        vec![good.as_bytes(), good.as_bytes()],
        vec![good.as_bytes(), b"Authorization:"],
        vec![b"Authorization: Bearer itsm_x", good.as_bytes()],
        vec![format!("Authorization: Bearer itsm_{long}").as_bytes()],
        vec![format!("Authorization: Bearer {long}").as_bytes()],
        vec![format!("Authorization: {}", "Bearer ".repeat(1_000)).as_bytes()],
    ] {
        assert_status_of_headers(&org, &headers, 401).await;
    }
}

#[tokio::test]
async fn malformed_key_of_any_kind_is_unauthorized() {
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
            let response = send_bytes(
                &stack,
                &http_request("GET /v1/teams HTTP/1.1", &[header.as_bytes()], b""),
            )
            .await;
            assert_eq!(response.status, 401, "{header}: {response}");
        }
    }
}

//! Malformed HTTP.

use super::{http_request, send_bytes};
use crate::support::{
    Response, Stack,
    response_shape::{ErrorFormat, assert_response},
};

/// The HTTP layer and the gateway choose the form of their own errors. Muster guarantees a response
/// that is not a 500.
#[tokio::test]
async fn malformed_request_line_gets_a_response() {
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
        let response = send_bytes(&org.stack, &http_request(&line, &[good], b"")).await;
        assert_no_server_error(&response, &line);
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.status,
        200,
        "the stack still responds"
    );
}

#[tokio::test]
async fn malformed_host_gets_a_response() {
    let org = Stack::shared().organization().await;
    let good = format!("Authorization: Bearer {}", org.itsm.token());
    let good = good.as_bytes();
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
        let response = send_bytes(
            &org.stack,
            &http_request("GET /v1/teams HTTP/1.1", &[&line, good], b""),
        )
        .await;
        assert_no_server_error(&response, &String::from_utf8_lossy(&line));
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.status,
        200,
        "the stack still responds"
    );
}

#[tokio::test]
async fn malformed_header_or_chunk_gets_a_response() {
    let org = Stack::shared().organization().await;
    let good = format!("Authorization: Bearer {}", org.itsm.token());
    let good = good.as_bytes();
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
        let response = send_bytes(
            &org.stack,
            &http_request("GET /v1/teams HTTP/1.1", &headers, b""),
        )
        .await;
        assert_no_server_error(&response, &String::from_utf8_lossy(headers[0]));
    }
    let chunked: [&[u8]; 4] = [
        b"2\r\n{}\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2;ext=1\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
    ];
    for body in chunked {
        let head = http_request(
            "POST /v1/teams HTTP/1.1",
            &[b"Transfer-Encoding: chunked", good],
            b"",
        );
        let response = send_bytes(&org.stack, &[&head, body].concat()).await;
        assert!(response.status.is_client_error(), "{response}");
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.status,
        200,
        "the stack still responds"
    );
}

#[track_caller]
fn assert_no_server_error(response: &Response, context: &str) {
    let shown: String = context.chars().take(80).collect();
    assert!(response.status.as_u16() < 500, "{shown}: {response}");
    let from_function = response.headers.contains_key("x-request-id");
    if from_function {
        assert_response(response, ErrorFormat::Itsm, shown);
    } else if response.headers.contains_key("apigw-requestid") {
        assert!(response.json["message"].is_string(), "{shown}: {response}");
    }
}

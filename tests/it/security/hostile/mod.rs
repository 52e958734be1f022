//! No input causes a 500, no rejected input changes the table, and no accepted input is lost.

mod bodies;
mod events;
mod headers;
mod ids;
mod names;
mod paths;
mod queries;
mod random;
mod wire;

use std::time::Duration;

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

use crate::support::{
    Client, Organization, Response, Stack, original_header_names,
    response_shape::{ErrorFormat, assert_response},
};

/// The maximum size of a body, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// The time limit for a response, longer than any request takes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the clients of both contracts, each with its format.
fn clients_with_contract(org: &Organization) -> impl Iterator<Item = (&Client, ErrorFormat)> {
    org.clients().into_iter().zip(ErrorFormat::BOTH)
}

/// Returns a unique text.
fn unique_text() -> String {
    Uuid::new_v4().to_string()
}

fn team_name(response: &Response) -> &str {
    response.json["name"]
        .as_str()
        .or(response.json["data"]["name"].as_str())
        .unwrap_or_default()
}

/// Returns the id of a created team, in the form of the contract.
fn team_id_of(response: &Response) -> &str {
    response.json["id"]
        .as_str()
        .or(response.json["data"]["id"].as_str())
        .unwrap_or_default()
}

fn json_request(
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

/// Sends a body unchanged and asserts the common form of the response.
async fn send_checked(
    client: &Client,
    error_format: ErrorFormat,
    method: Method,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> Response {
    let body = body.into();
    let shown: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let response = Client::send(json_request(client, method.clone(), path, body)).await;
    assert_response(&response, error_format, format!("{method} {path} {shown}"));
    response
}

/// Asserts that the body was rejected as malformed.
#[track_caller]
fn assert_malformed(response: &Response, error_format: ErrorFormat, context: &str) {
    assert_eq!(response.status, 400, "{context}: {response}");
    if error_format == ErrorFormat::Toptickets {
        let expected = json!({ "loc": ["body"], "type": "value_error.jsondecode" });
        let violation = &response.json["detail"][0];
        assert_eq!(
            json!({ "loc": violation["loc"], "type": violation["type"] }),
            expected,
            "{context}: {response}"
        );
    } else {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("VALIDATION_ERROR"), &Value::Null),
            "{context}: {response}"
        );
    }
}

/// Asserts a 404, with this text under TopTickets.
#[track_caller]
fn assert_not_found(response: &Response, words: &str, context: &str) {
    assert_eq!(response.status, 404, "{context}: {response}");
    if let Some(detail) = response.json["detail"].as_str() {
        assert_eq!(detail, words, "{context}");
    }
}

/// A placeholder for the stack's host, which `with_host` replaces.
const HOST_PLACEHOLDER: &[u8] = b"Host: the-stack\r\n";

/// Returns the bytes of an HTTP request, with a placeholder for the host unless the headers have
/// one.
fn http_request(line: &str, headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{line}\r\n").into_bytes();
    let has = |name: &str| {
        headers
            .iter()
            .any(|header| header.to_ascii_lowercase().starts_with(name.as_bytes()))
    };
    if !has("host:") {
        request.extend(HOST_PLACEHOLDER);
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

/// Sends a method and a path unchanged. reqwest would normalize them.
async fn send_raw(client: &Client, method: &str, path: &str, body: &[u8]) -> Response {
    let stack = Stack::shared();
    let authorization = format!("Authorization: Bearer {}", client.token());
    send_bytes(
        &stack,
        &http_request(
            &format!("{method} {path} HTTP/1.1"),
            &[authorization.as_bytes()],
            body,
        ),
    )
    .await
}

/// Sends raw bytes and returns the response. Panics if there is none.
async fn send_bytes(stack: &Stack, request: &[u8]) -> Response {
    let (host, address) = stack.address();
    let request = with_host(request, &host);
    let shown: String = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let socket = TcpStream::connect(address)
        .await
        .expect("the stack listens");
    let (mut reader, mut writer) = socket.into_split();
    let mut received = Vec::new();
    // A server may respond and close the connection before it has read the whole request, so write
    // errors are ignored.
    let write = async {
        let _ = writer.write_all(&request).await;
    };
    let read = async {
        let _ = reader.read_to_end(&mut received).await;
    };
    let both = async { tokio::join!(write, read) };
    assert!(
        tokio::time::timeout(RESPONSE_TIMEOUT, both).await.is_ok(),
        "no end of the response to {shown}"
    );
    parse_response(&received).unwrap_or_else(|| panic!("no response to {shown}"))
}

/// Replaces the placeholder of a request with this host.
fn with_host(request: &[u8], host: &str) -> Vec<u8> {
    match request
        .windows(HOST_PLACEHOLDER.len())
        .position(|bytes| bytes == HOST_PLACEHOLDER)
    {
        Some(at) => [
            &request[..at],
            format!("Host: {host}\r\n").as_bytes(),
            &request[at + HOST_PLACEHOLDER.len()..],
        ]
        .concat(),
        None => request.to_vec(),
    }
}

fn parse_response(received: &[u8]) -> Option<Response> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status: StatusCode = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == StatusCode::CONTINUE {
        return parse_response(&received[end + 4..]);
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

/// Returns the header line with a client's credential.
fn authorization_header(client: &Client) -> [&'static [u8]; 1] {
    [format!("Authorization: Bearer {}", client.token())
        .leak()
        .as_bytes()]
}

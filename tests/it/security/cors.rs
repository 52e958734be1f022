//! CORS: only pages of configured origins may call the API from a browser.

use muster_cli::local::{CorsOrigin, Settings};
use reqwest::{Method, header::HeaderName};
use serde_json::json;

use crate::support::{Client, Response, Stack};

const OURS: &str = "https://desk.example.com";
const LOCAL: &str = "http://localhost:5173";
const FOREIGN: &str = "https://evil.example";

async fn stack(origins: &[&str]) -> Stack {
    let cors_origins = origins
        .iter()
        .map(|origin| CorsOrigin::parse(origin).expect("an origin"))
        .collect();
    Stack::with_settings(Settings {
        cors_origins,
        ..Settings::default()
    })
    .await
}

async fn ask(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = client.request(method, path);
    Client::send(headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    }))
    .await
}

async fn preflight(client: &Client, path: &str, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PATCH"),
    ];
    ask(client, Method::OPTIONS, path, &headers).await
}

/// Returns the sorted names of a response's CORS headers.
fn cors_headers(response: &Response) -> Vec<&str> {
    let mut names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
    names.retain(|name| name.starts_with("access-control-"));
    names.sort_unstable();
    names
}

#[tokio::test]
async fn preflight_gets_a_gateway_response() {
    let anonymous = stack(&[OURS, LOCAL]).await.anonymous();
    for origin in [OURS, LOCAL] {
        for path in ["/v1/teams", "/v1/teams/x/members/y", "/nothing/here"] {
            let response = preflight(&anonymous, path, origin).await;
            assert_eq!(
                (response.status.as_u16(), response.text.as_str()),
                (204, ""),
                "{path}"
            );
            assert_eq!(response.header("access-control-allow-origin"), origin);
            assert_eq!(
                response.header("access-control-allow-methods"),
                "GET,POST,PATCH,DELETE"
            );
            assert_eq!(
                response.header("access-control-allow-headers"),
                "authorization,content-type,idempotency-key,if-match,if-none-match"
            );
            assert_eq!(response.header("access-control-max-age"), "3600");
            assert_eq!(response.header("vary"), "origin");
            assert_eq!(
                response.header("x-request-id"),
                "",
                "no function was invoked"
            );
        }
    }
}

#[tokio::test]
async fn response_to_configured_origin_is_readable() {
    let organization = stack(&[OURS]).await.organization().await;
    let from = [("origin", OURS)];
    for client in organization.clients() {
        for (method, path, status) in [
            (Method::GET, "/v1/teams", 200),
            (Method::GET, "/v1/teams/x", 404),
            (Method::PUT, "/v1/teams", 405),
        ] {
            let response = ask(client, method, path, &from).await;
            assert_eq!(response.status, status, "{response}");
            assert_eq!(response.header("access-control-allow-origin"), OURS);
            assert_eq!(
                response.header("access-control-expose-headers"),
                "allow,etag,link,retry-after,www-authenticate,x-amzn-remapped-www-authenticate,x-ignored-fields,x-request-id"
            );
            assert_eq!(cors_headers(&response).len(), 2, "{:?}", response.headers);
        }
        let made = client
            .request(Method::POST, "/v1/teams")
            .header("origin", OURS);
        let response = Client::send(
            made.json(&json!({ "name": format!("Team of {}", client.token().len()) })),
        )
        .await;
        assert_eq!(
            (
                response.status.as_u16(),
                response.header("access-control-allow-origin")
            ),
            (201, OURS),
            "{response}"
        );
    }
}

#[tokio::test]
async fn open_file_varies_by_origin_and_exposes_its_etag() {
    let anonymous = stack(&[OURS]).await.anonymous();
    for path in ["/docs", "/openapi.json"] {
        let response = ask(
            &anonymous,
            Method::GET,
            path,
            &[("origin", OURS), ("if-none-match", "*")],
        )
        .await;
        assert_eq!(
            (response.status.as_u16(), response.header("vary")),
            (304, "Accept-Encoding, Origin"),
            "{path}"
        );
        assert_eq!(
            response.header("access-control-allow-origin"),
            OURS,
            "{path}"
        );
        let exposed = response.header("access-control-expose-headers");
        assert!(
            exposed.split(',').any(|name| name == "etag"),
            "{path}: {exposed}"
        );
    }
}

#[tokio::test]
async fn other_origin_is_forbidden_without_cors_headers() {
    let organization = stack(&[OURS]).await.organization().await;
    let client = &organization.itsm;
    for origin in [
        FOREIGN,
        "null",
        "",
        "https://desk.example.com.evil.example",
        "http://desk.example.com",
    ] {
        let response = preflight(client, "/v1/teams", origin).await;
        assert_eq!(
            (response.status.as_u16(), cors_headers(&response)),
            (403, vec![]),
            "{origin}"
        );
        let response = ask(client, Method::GET, "/v1/teams", &[("origin", origin)]).await;
        assert_eq!(
            (response.status.as_u16(), cors_headers(&response)),
            (403, vec![]),
            "{origin}"
        );
    }
    let response = client.get("/v1/teams").await;
    assert_eq!(
        (response.status.as_u16(), cors_headers(&response)),
        (200, vec![]),
        "a request without an origin"
    );
}

#[tokio::test]
async fn options_without_preflight_is_not_allowed() {
    let with = stack(&[OURS]).await.anonymous();
    for headers in [
        [("origin", OURS)],
        [("access-control-request-method", "GET")],
    ] {
        let response = ask(&with, Method::OPTIONS, "/v1/teams", &headers).await;
        assert_eq!(response.status, 405, "{response}");
        assert_eq!(response.header("allow"), "GET, POST");
        assert_eq!(response.header("access-control-allow-methods"), "");
    }
}

#[tokio::test]
async fn wildcard_origin_allows_its_scheme() {
    for (configured, admitted, refused) in [
        ("https://*", &[OURS, FOREIGN][..], &[LOCAL][..]),
        ("http://*", &[LOCAL], &[OURS]),
        ("*", &[OURS, LOCAL, FOREIGN], &[]),
    ] {
        let anonymous = stack(&[configured]).await.anonymous();
        for origin in admitted {
            let response = preflight(&anonymous, "/v1/teams", origin).await;
            let named = if configured == "*" { "*" } else { origin };
            assert_eq!(
                response.header("access-control-allow-origin"),
                named,
                "{configured}"
            );
        }
        for origin in refused {
            assert_eq!(
                cors_headers(&preflight(&anonymous, "/v1/teams", origin).await),
                [""; 0],
                "{configured}"
            );
        }
    }
}

#[test]
fn invalid_origin_is_rejected() {
    for origin in [
        "",
        "desk.example.com",
        "https://desk.example.com/",
        "https://a.example/app",
        "https://a.example:443",
    ] {
        assert!(CorsOrigin::parse(origin).is_err(), "{origin}");
    }
}

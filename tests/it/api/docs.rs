//! The start page, the documentation page, the OpenAPI documents and the health check. None needs a
//! credential.

use std::{collections::BTreeMap, convert::Infallible, future::ready, io::Read};

use flate2::read::GzDecoder;
use lambda_http::{Adapter, LambdaEvent, Service, service_fn};
use muster_contracts::events::schemas;
use muster_domain::{Contract, KeyKind};
use reqwest::{
    Method,
    header::{ACCEPT_ENCODING, HeaderMap, IF_NONE_MATCH},
};
use serde_json::{Value, json};

use crate::support::{
    Client, Stack,
    response_shape::{ErrorFormat, assert_response},
    unknown_key,
};

const TOPTICKETS: &str = include_str!("../../../openapi/toptickets.json");
const ITSM: &str = include_str!("../../../openapi/itsm.json");

/// Returns a client for each sort of credential, with the contract of its errors.
async fn clients_of_every_credential(stack: &Stack) -> Vec<(Client, ErrorFormat)> {
    let org = stack.organization().await;
    let mut anybody = vec![
        (stack.anonymous(), ErrorFormat::Either),
        (stack.client("nonsense"), ErrorFormat::Either),
        (
            stack.client(&unknown_key(KeyKind::TtLive)),
            ErrorFormat::Toptickets,
        ),
        (stack.client(&unknown_key(KeyKind::Itsm)), ErrorFormat::Itsm),
        (stack.client("eyJh.eyJz.c2ln"), ErrorFormat::Itsm),
        (org.key(KeyKind::Itsm, &[]).await, ErrorFormat::Itsm),
    ];
    anybody.extend(org.clients().into_iter().cloned().zip(ErrorFormat::BOTH));
    anybody
}

#[tokio::test]
async fn documents_are_readable_without_credential() {
    for (client, _) in clients_of_every_credential(&Stack::shared()).await {
        for (query, document) in [
            ("", ITSM),
            ("?contract=itsm", ITSM),
            ("?contract=toptickets", TOPTICKETS),
            ("?contract=itsm&contract=toptickets", TOPTICKETS),
            ("?contract=top%74ickets&page=x", TOPTICKETS),
            ("?Contract=toptickets&&=", ITSM),
        ] {
            let response = client.get(&format!("/openapi.json{query}")).await;
            assert_eq!(response.status, 200, "{query}: {response}");
            assert_response(&response, ErrorFormat::Either, query);
            assert!(
                response.text == document,
                "{query}: not the document that is checked in"
            );
        }
    }
    for document in [TOPTICKETS, ITSM] {
        let document: Value = serde_json::from_str(document).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    }
}

#[tokio::test]
async fn event_schemas_are_readable_without_credential() {
    let clients = clients_of_every_credential(&Stack::shared()).await;
    for name in schemas::names() {
        let schema = schemas::document(name);
        for (client, _) in &clients {
            let response = client.get(&format!("/schemas/{name}.json")).await;
            assert_eq!(
                (response.status.as_u16(), response.header("content-type")),
                (200, "application/json"),
                "{name}"
            );
            assert!(Some(&response.text) == schema.as_ref(), "{name}");
        }
    }
}

#[tokio::test]
async fn health_has_version_and_commit_without_credential() {
    for (client, error_format) in clients_of_every_credential(&Stack::shared()).await {
        let response = client.get("/health?check=1").await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            (
                response.header("cache-control"),
                response.header("content-type"),
                response.header("etag")
            ),
            ("no-store", "application/json", ""),
            "{error_format:?}"
        );
        let health: BTreeMap<String, String> = serde_json::from_str(&response.text).unwrap();
        assert_eq!(
            health.keys().map(String::as_str).collect::<Vec<_>>(),
            ["commit", "status", "version"]
        );
        assert_eq!(health["status"], "ok");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        assert_ne!(health["commit"], "");
    }
}

#[tokio::test]
async fn unknown_contract_is_rejected() {
    for (client, error_format) in clients_of_every_credential(&Stack::shared()).await {
        for contract in [
            "",
            "ITSM",
            "servicenow",
            "%ff",
            "itsm%20",
            "toptickets,itsm",
        ] {
            let response = client
                .get(&format!("/openapi.json?contract={contract}"))
                .await;
            assert_eq!(response.status, 400, "{contract}: {response}");
            assert_response(&response, error_format, contract);
            if error_format == ErrorFormat::Toptickets {
                let violation = &response.json["detail"][0];
                assert_eq!(violation["loc"], json!(["query", "contract"]), "{response}");
                assert_eq!(violation["type"], "type_error.enum", "{response}");
            } else {
                let error = &response.json["error"];
                assert_eq!(error["code"], "VALIDATION_ERROR", "{response}");
                assert_eq!(
                    error["details"],
                    json!({ "field": "contract", "constraint": "isEnum" }),
                    "{response}"
                );
            }
        }
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_rejected() {
    for (client, error_format) in clients_of_every_credential(&Stack::shared()).await {
        for path in [
            "/",
            "/docs",
            "/health",
            "/openapi.json",
            "/schemas/ticket-event.json",
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let response = client.call(&method, path, None).await;
                assert_eq!(
                    (response.status.as_u16(), response.header("allow")),
                    (405, "GET"),
                    "{method} {path}: {response}"
                );
                assert_response(&response, error_format, format!("{method} {path}"));
            }
            let response = client.call(&Method::HEAD, path, None).await;
            assert_eq!(
                (response.status.as_u16(), response.header("allow")),
                (405, "GET"),
                "HEAD {path}: {response}"
            );
        }
        for path in [
            "/docs/",
            "/index.html",
            "/docs/index.html",
            "/Docs",
            "/health/",
            "/healthz",
            "/schemas",
            "/schemas/",
            "/schemas/ticket-event",
            "/schemas/nothing.json",
            "/schemas/x/ticket-event.json",
            "/openapi.json/",
            "/openapi",
            "/openapi.yaml",
            "/v1/docs",
        ] {
            let response = client.get(path).await;
            assert_eq!(response.status, 404, "{path}: {response}");
            assert_response(&response, error_format, path);
        }
    }
}

/// Requests the documentation page with this `Accept-Encoding`. Returns the headers and the body as
/// received.
async fn get_docs(client: &Client, accept_encoding: Option<&str>) -> (HeaderMap, Vec<u8>) {
    get_page(client, "/docs?contract=whatever", accept_encoding).await
}

async fn get_page(
    client: &Client,
    path: &str,
    accept_encoding: Option<&str>,
) -> (HeaderMap, Vec<u8>) {
    let mut request = client.request(Method::GET, path);
    if let Some(accept_encoding) = accept_encoding {
        request = request.header(ACCEPT_ENCODING, accept_encoding);
    }
    let response = request.send().await.expect("the stack responds");
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    (
        headers,
        response
            .bytes()
            .await
            .expect("the page is complete")
            .to_vec(),
    )
}

#[tokio::test]
async fn page_is_readable_without_credential() {
    let clients = clients_of_every_credential(&Stack::shared()).await;
    for (client, path) in clients
        .iter()
        .flat_map(|(client, _)| PAGES.map(|(path, _)| (client, path)))
    {
        let (headers, plain) = get_page(client, path, None).await;
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["cache-control"], "public, max-age=300");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(
            headers["x-request-id"]
                .to_str()
                .unwrap()
                .starts_with("req_")
        );
        assert!(!headers.contains_key("content-encoding"));
        let plain = String::from_utf8(plain).unwrap();
        assert!(plain.starts_with("<!doctype html>") && plain.ends_with("</html>\n"));
        assert!(
            path != "/" || plain.contains("href=\"docs\""),
            "the start page links the documentation"
        );
        for contract in Contract::ALL {
            assert!(
                plain.contains(&format!(
                    "href=\"openapi.json?contract={}\"",
                    contract.as_str()
                )),
                "the page links the document without scripts"
            );
        }
    }
}

#[tokio::test]
async fn page_is_compressed_on_request() {
    let client = Stack::shared().anonymous();
    let (_, plain) = get_docs(&client, Some("identity")).await;
    let (headers, compressed) = get_docs(&client, Some("gzip, deflate, br, zstd")).await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let mut inflated = Vec::new();
    GzDecoder::new(&*compressed)
        .read_to_end(&mut inflated)
        .expect("the page is gzip");
    assert!(inflated == plain, "both are the same page");
    assert!(
        compressed.len() < (plain.len() / 3).min(600_000),
        "{} of {} bytes",
        compressed.len(),
        plain.len()
    );
    for (accept_encoding, coding) in [
        ("br", None),
        ("gzip;q=0, *", None),
        ("br, *;q=0.1", Some("gzip")),
    ] {
        let (headers, _) = get_docs(&client, Some(accept_encoding)).await;
        let reported = headers
            .get("content-encoding")
            .map(|coding| coding.to_str().unwrap());
        assert_eq!(reported, coding, "{accept_encoding}");
        assert_eq!(
            headers["vary"], "Accept-Encoding, Origin",
            "{accept_encoding}"
        );
    }
}

/// The paths of all files.
const FILES: [&str; 6] = [
    "/",
    "/docs",
    "/openapi.json",
    "/openapi.json?contract=toptickets",
    "/schemas/ticket-event.json",
    "/schemas/team.created.json",
];

/// Requests a file. Returns the status, the headers and the body.
async fn get_file(
    client: &Client,
    path: &str,
    accept_encoding: &str,
    if_none_match: Option<&str>,
) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = client
        .request(Method::GET, path)
        .header(ACCEPT_ENCODING, accept_encoding);
    if let Some(tags) = if_none_match {
        request = request.header(IF_NONE_MATCH, tags);
    }
    let response = request.send().await.expect("the stack responds");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (
        status,
        headers,
        response
            .bytes()
            .await
            .expect("the body is complete")
            .to_vec(),
    )
}

#[tokio::test]
async fn every_file_and_encoding_has_its_own_etag() {
    let client = Stack::shared().anonymous();
    let mut etags = Vec::new();
    for path in FILES {
        let mut texts = Vec::new();
        for encoding in ["identity", "gzip"] {
            let (status, headers, body) = get_file(&client, path, encoding, None).await;
            assert_eq!(
                (status, &headers["cache-control"]),
                (200, &"public, max-age=300".parse().unwrap()),
                "{path}"
            );
            assert_eq!(headers["vary"], "Accept-Encoding, Origin", "{path}");
            let etag = headers["etag"].to_str().unwrap().to_owned();
            assert!(
                etag.starts_with('"') && etag.ends_with('"') && etag.len() > 20,
                "a strong tag: {etag}"
            );
            assert!(!etags.contains(&etag), "{path}, {encoding}: {etag}");
            etags.push(etag);
            let mut text = Vec::new();
            match headers.get("content-encoding") {
                None => text = body,
                Some(_) => drop(GzDecoder::new(&*body).read_to_end(&mut text).expect("gzip")),
            }
            texts.push(text);
        }
        assert!(
            texts[0] == texts[1],
            "{path}: both encodings are the same text"
        );
    }
}

#[tokio::test]
async fn matching_etag_gets_304() {
    let client = Stack::shared().anonymous();
    for path in FILES {
        for encoding in ["identity", "gzip"] {
            let (_, whole, _) = get_file(&client, path, encoding, None).await;
            let etag = whole["etag"].to_str().unwrap();
            for tags in [
                etag,
                "*",
                &format!("W/{etag}"),
                &format!("\"other\", {etag}"),
            ] {
                let (status, headers, body) = get_file(&client, path, encoding, Some(tags)).await;
                assert_eq!((status, body.len()), (304, 0), "{path}, {encoding}: {tags}");
                for repeated in ["etag", "cache-control", "vary"] {
                    assert_eq!(
                        headers[repeated], whole[repeated],
                        "{path}, {encoding}: {tags}"
                    );
                }
                assert!(
                    headers["x-request-id"]
                        .to_str()
                        .unwrap()
                        .starts_with("req_")
                );
                for described in [
                    "content-type",
                    "content-encoding",
                    "content-security-policy",
                ] {
                    assert!(
                        !headers.contains_key(described),
                        "{path}, {encoding}: {described}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn etag_of_another_file_or_encoding_gets_200() {
    let client = Stack::shared().anonymous();
    for (path, encoding, other_path, other_encoding) in [
        ("/docs", "gzip", "/docs", "identity"),
        ("/docs", "identity", "/docs", "gzip"),
        (
            "/openapi.json",
            "gzip",
            "/openapi.json?contract=toptickets",
            "gzip",
        ),
    ] {
        let (_, other, _) = get_file(&client, other_path, other_encoding, None).await;
        let etag = other["etag"].to_str().unwrap();
        for tags in [etag, "\"x\"", ""] {
            let (status, headers, body) = get_file(&client, path, encoding, Some(tags)).await;
            assert_eq!(
                (status, body.is_empty()),
                (200, false),
                "{path}, {encoding}: {tags}"
            );
            assert_ne!(headers["etag"], other["etag"]);
        }
    }
}

#[tokio::test]
async fn error_for_a_file_is_not_cached() {
    let client = Stack::shared().anonymous();
    for path in ["/openapi.json?contract=x", "/docs/"] {
        let (status, headers, _) = get_file(&client, path, "gzip", Some("*")).await;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(!headers.contains_key("etag"), "{path}");
    }
}

/// The pages, each with its inline elements.
const PAGES: [(&str, &[&str]); 2] = [
    ("/", &["style", "script"]),
    (
        "/docs",
        &[
            "style", "style", "style", "script", "script", "script", "script",
        ],
    ),
];

#[tokio::test]
async fn page_policy_allows_own_scripts_and_the_api_only() {
    let client = Stack::shared().anonymous();
    for (path, elements) in PAGES {
        let (headers, page) = get_page(&client, path, None).await;
        assert_confined(&headers, page, elements);
    }
}

/// Asserts that a page runs only its inline elements, and loads no other resource.
#[track_caller]
fn assert_confined(headers: &HeaderMap, page: Vec<u8>, elements: &[&str]) {
    let policy = headers["content-security-policy"].to_str().expect("text");
    let directives: Vec<_> = policy.split("; ").collect();
    for directive in [
        "default-src 'none'",
        "connect-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(directives.contains(&directive), "{policy}");
    }
    assert!(
        !policy.contains("unsafe-") && !policy.contains("http"),
        "{policy}"
    );

    // The page loads no resource except its inline styles and scripts.
    let page = String::from_utf8(page).expect("text");
    let (mut markup, mut rest) = (String::new(), page.as_str());
    for element in elements {
        let (before, after) = rest
            .split_once(&format!("<{element}>"))
            .expect("all are inline");
        markup += before;
        (_, rest) = after.split_once(&format!("</{element}>")).expect("it ends");
    }
    markup += rest;
    for loading in ["<script", "<style", "src=", "http"] {
        assert!(!markup.contains(loading), "{loading} in {markup}");
    }
}

/// Invokes the function like the Lambda runtime. Returns the response in the format that API
/// Gateway receives.
async fn invoked(path: &str, accept_encoding: &str) -> Value {
    let event = json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "accept-encoding": accept_encoding },
        "requestContext": { "http": { "method": "GET", "path": path }, "requestId": "ThEgAtEwAy=" },
    });
    let payload = serde_json::from_value(event).expect("an event of the gateway");
    let mut function = Adapter::from(service_fn(|request| {
        ready(Ok::<_, Infallible>(muster_docs::handle(request)))
    }));
    let Ok(response) = function
        .call(LambdaEvent::new(payload, lambda_http::Context::default()))
        .await;
    serde_json::to_value(response).expect("the response is JSON")
}

#[tokio::test]
async fn gzip_body_is_base64_for_the_gateway() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let plain = invoked("/docs", "").await;
    assert_eq!(
        (&plain["statusCode"], &plain["isBase64Encoded"]),
        (&json!(200), &json!(false))
    );
    let compressed = invoked("/docs", "gzip").await;
    assert_eq!(
        (&compressed["statusCode"], &compressed["isBase64Encoded"]),
        (&json!(200), &json!(true))
    );
    assert_eq!(compressed["headers"]["content-encoding"], "gzip");
    let bytes = BASE64_STANDARD
        .decode(compressed["body"].as_str().unwrap())
        .expect("the body is base64");
    let mut inflated = String::new();
    GzDecoder::new(&*bytes)
        .read_to_string(&mut inflated)
        .expect("the page is gzip");
    assert!(plain["body"] == *inflated, "both are the same page");
    // A Lambda response has at most 6 MB.
    assert!(
        plain.to_string().len() < 3 * 1024 * 1024,
        "{} bytes",
        plain.to_string().len()
    );

    let document = invoked("/openapi.json", "").await;
    assert_eq!(
        (&document["statusCode"], &document["isBase64Encoded"]),
        (&json!(200), &json!(false))
    );
    assert!(document["body"] == *ITSM);
    let document = invoked("/openapi.json", "gzip").await;
    assert_eq!(
        (&document["statusCode"], &document["isBase64Encoded"]),
        (&json!(200), &json!(true))
    );
    assert_eq!(
        invoked("/v1/teams", "").await["statusCode"],
        404,
        "another function's path is not found"
    );
}

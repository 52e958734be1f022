//! The gateway: an HTTP API of API Gateway with payload format 2.0.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::BoxFuture;
use lambda_http::{Context, RequestExt};
use muster_domain::Timestamp;
use muster_service::http::Deps;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ProcessIdentity, cors::Cors};
use crate::sam::{Template, TemplateRoute};

/// The maximum size of a request body. API Gateway Developer Guide, "Quotas for configuring and
/// running an HTTP API in API Gateway":
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// The maximum size of a function's response as JSON. AWS Lambda Developer Guide, "Lambda quotas",
/// invocation payload: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;
/// The maximum size of the request line and headers together.
const MAX_HEAD_BYTES: usize = 10_240;
/// The path whose responses have the identity of the stack.
const HEALTH_PATH: &str = "/health";

type HttpHandler = Arc<
    dyn Fn(lambda_http::Request) -> BoxFuture<'static, lambda_http::Response<lambda_http::Body>>
        + Send
        + Sync,
>;

/// A function and its timeout.
#[derive(Clone)]
struct HttpFunction {
    handler: HttpHandler,
    timeout: Duration,
}

/// The routes of the template with their functions.
pub(super) struct Gateway {
    routes: Vec<(String, Vec<String>, HttpFunction)>,
    default: HttpFunction,
    cors: Option<Cors>,
    /// The value of [`ProcessIdentity::HEADER`].
    process: HeaderValue,
}

/// Returns the handler of the function with this logical id in the template.
fn handler(logical_id: &str, deps: Deps) -> anyhow::Result<HttpHandler> {
    macro_rules! handler {
        ($function:path) => {
            Arc::new(move |request| {
                let deps = deps.clone();
                Box::pin(async move {
                    $function(request, &deps)
                        .await
                        .unwrap_or_else(|never| match never {})
                })
            })
        };
    }
    Ok(match logical_id {
        "TeamsFunction" => handler!(muster_teams::handle),
        "MembersFunction" => handler!(muster_members::handle),
        "WorkloadFunction" => handler!(muster_workload::handle),
        "DocsFunction" => Arc::new(|request| Box::pin(async { muster_docs::handle(request) })),
        unknown => bail!("the local stack has no function {unknown}"),
    })
}

impl Gateway {
    /// Connects the template's routes to the functions. Each has its own dependencies, as when
    /// deployed.
    pub(super) fn new(
        process: ProcessIdentity,
        template: &Template,
        cors: Option<Cors>,
        deps: impl Fn() -> Deps,
    ) -> anyhow::Result<Self> {
        let mut functions = BTreeMap::new();
        let mut routes = Vec::new();
        let mut default = None;
        for TemplateRoute { key, function: id } in &template.routes {
            if !functions.contains_key(id) {
                let function = HttpFunction {
                    handler: handler(id, deps())?,
                    timeout: template.timeout(id),
                };
                functions.insert(id, function);
            }
            let function = functions[id].clone();
            match key {
                Some((method, path)) => {
                    routes.push((
                        method.clone(),
                        path.split('/').map(str::to_owned).collect(),
                        function,
                    ));
                }
                None => default = Some(function),
            }
        }
        Ok(Self {
            routes,
            default: default.context("the template has no $default route")?,
            cors,
            process: HeaderValue::from_str(&process.to_string())?,
        })
    }

    /// Returns a router that serves every path without another route.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(Arc::new(self))
    }

    /// Returns the route of a request: its key, its path parameters, and its function.
    fn route(&self, method: &str, path: &str) -> (String, BTreeMap<String, String>, &HttpFunction) {
        for (route_method, pattern, function) in &self.routes {
            if route_method == method
                && let Some(parameters) = path_parameters(pattern, path)
            {
                return (
                    format!("{method} {}", pattern.join("/")),
                    parameters,
                    function,
                );
            }
        }
        ("$default".to_owned(), BTreeMap::new(), &self.default)
    }
}

fn path_parameters(pattern: &[String], path: &str) -> Option<BTreeMap<String, String>> {
    let segments: Vec<_> = path.split('/').collect();
    if segments.len() != pattern.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, segment) in pattern.iter().zip(segments) {
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) if !segment.is_empty() => {
                parameters.insert(name.to_owned(), segment.to_owned());
            }
            _ if expected == segment => {}
            _ => return None,
        }
    }
    Some(parameters)
}

/// Returns a response of the gateway itself.
fn gateway_response(status: StatusCode, text: &str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        json!({ "message": text }).to_string(),
    )
        .into_response()
}

async fn serve(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(preflight) = gateway
        .cors
        .as_ref()
        .and_then(|cors| cors.preflight(&parts))
    {
        return preflight;
    }
    let mut response = handle(&gateway, client, &parts, body).await;
    if parts.uri.path() == HEALTH_PATH {
        let name = HeaderName::from_static(ProcessIdentity::HEADER);
        response.headers_mut().insert(name, gateway.process.clone());
    }
    if let Some(cors) = &gateway.cors {
        cors.expose(&parts.headers, response.headers_mut());
    }
    response
}

/// Returns the function's response to a request, or the gateway's own error.
async fn handle(gateway: &Gateway, client: SocketAddr, parts: &Parts, body: Body) -> Response {
    if head_size(parts) > MAX_HEAD_BYTES {
        return gateway_response(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Request Header Fields Too Large",
        );
    }
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return gateway_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let Some(host) = host(&parts.headers) else {
        return gateway_response(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let request_id = Uuid::new_v4().to_string();
    let path = decoded(parts.uri.path());
    let (route_key, parameters, function) = gateway.route(parts.method.as_str(), &path);
    let now = Timestamp::now();
    let (is_base64, body) = encode(&parts.headers, &body);
    let event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "cookies": cookies(&parts.headers),
        "headers": headers(&parts.headers, client),
        "pathParameters": if parameters.is_empty() { Value::Null } else { json!(parameters) },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": client.ip().to_string(),
                "userAgent": parts.headers.get(header::USER_AGENT).map(text),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": now.iso8601(),
            "timeEpoch": now.millis(),
        },
        "body": if body.is_empty() { Value::Null } else { Value::String(body) },
        "isBase64Encoded": is_base64,
    });
    let response = invoke(function, &event, &request_id).await;
    let mut response = response.unwrap_or_else(|error| {
        tracing::error!(
            request_id,
            error = format!("{error:#}"),
            "the function failed"
        );
        gateway_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    });
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("apigw-requestid"), id);
    }
    response
}

/// Invokes a function with an event's JSON, as the Lambda service does: with a deadline, and on a
/// task of its own, so that a panic fails only this invocation.
async fn invoke(
    function: &HttpFunction,
    event: &Value,
    request_id: &str,
) -> anyhow::Result<Response> {
    let mut context = Context::default();
    request_id.clone_into(&mut context.request_id);
    context.deadline =
        u64::try_from(Timestamp::now().plus(function.timeout).millis()).unwrap_or(u64::MAX);
    let (handler, event) = (Arc::clone(&function.handler), event.to_string());
    let invocation = tokio::spawn(async move {
        let request = muster_service::lambda::request(&event)?.with_lambda_context(context);
        anyhow::Ok(handler(request).await)
    });
    let response = tokio::time::timeout(function.timeout, invocation)
        .await
        .context("timed out")???;
    let (parts, body) = response.into_parts();
    let bytes = response_bytes(&parts.headers, parts.status, &body);
    if bytes > MAX_RESPONSE_BYTES {
        bail!(
            "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes): {bytes} bytes"
        );
    }
    let body = match body {
        lambda_http::Body::Empty => Body::empty(),
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => bail!("the response has an unknown kind of body"),
    };
    Ok(Response::from_parts(parts, body))
}

/// Returns the bytes of a function's response in payload format 2.0.
fn response_bytes(headers: &HeaderMap, status: StatusCode, body: &lambda_http::Body) -> usize {
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect();
    let (is_base64, body) = match body {
        lambda_http::Body::Text(text) => (false, text.as_str().into()),
        lambda_http::Body::Binary(bytes) => (true, BASE64_STANDARD.encode(bytes).into()),
        _ => (false, std::borrow::Cow::Borrowed("")),
    };
    let response = json!({ "statusCode": status.as_u16(), "headers": headers, "body": body, "isBase64Encoded": is_base64, "cookies": [] });
    response.to_string().len()
}

/// Returns the host if it is valid in a URL. API Gateway routes no other host to an API.
fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers
        .get(header::HOST)
        .map_or_else(|| "localhost".to_owned(), text);
    let url = url::Url::parse(&format!("https://{host}/")).ok()?;
    (url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty())
    .then_some(host)
}

/// Returns the path as API Gateway forwards it: percent-decoded, and cut at a decoded question
/// mark.
fn decoded(path: &str) -> String {
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    path.split('?').next().unwrap_or_default().to_owned()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Joins the values of each header by commas. The gateway overwrites the headers about the
/// connection.
fn headers(headers: &HeaderMap, client: SocketAddr) -> BTreeMap<String, String> {
    let sent = headers
        .keys()
        .filter(|name| *name != header::COOKIE)
        .map(|name| {
            (
                name.to_string(),
                headers
                    .get_all(name)
                    .iter()
                    .map(text)
                    .collect::<Vec<_>>()
                    .join(","),
            )
        });
    let forwarded = [
        ("x-forwarded-for", client.ip().to_string()),
        ("x-forwarded-port", "443".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
    ];
    sent.chain(forwarded.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}

/// Returns the size of the request line and the headers in bytes.
fn head_size(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.to_string().len();
    line + parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>()
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let split = |value: &HeaderValue| {
        text(value)
            .split("; ")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(split)
        .collect()
}

/// Returns the body in the event: as text for the media types that API Gateway treats as text, and
/// as base64 for others.
fn encode(headers: &HeaderMap, body: &Bytes) -> (bool, String) {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(text)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_text = content_type.starts_with("text/")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .iter()
        .any(|textual| content_type.starts_with(textual));
    match std::str::from_utf8(body) {
        Ok(text) if is_text || text.is_empty() => (false, text.to_owned()),
        _ => (true, BASE64_STANDARD.encode(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_encoding_depends_on_the_media_type() {
        let encoded = |content_type: Option<&str>, body: &'static [u8]| {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            }
            encode(&headers, &Bytes::from_static(body))
        };
        assert_eq!(
            encoded(Some("application/json; charset=utf-8"), b"{}"),
            (false, "{}".to_owned())
        );
        assert_eq!(
            encoded(Some("application/x-www-form-urlencoded"), b"{}"),
            (true, "e30=".to_owned())
        );
        assert_eq!(encoded(None, b"{}"), (true, "e30=".to_owned()));
        assert_eq!(encoded(None, b""), (false, String::new()));
        assert_eq!(
            encoded(Some("text/plain"), b"\xff"),
            (true, "/w==".to_owned())
        );
    }

    /// Returns the status of a function's response with this body, through [`invoke`].
    async fn invoked(body: String) -> anyhow::Result<StatusCode> {
        let handler: HttpHandler = Arc::new(move |_| {
            let response = lambda_http::Response::new(lambda_http::Body::Text(body.clone()));
            Box::pin(async { response })
        });
        let function = HttpFunction {
            handler,
            timeout: Duration::from_secs(9),
        };
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
            "requestContext": { "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
                "requestId": "r", "routeKey": "$default", "stage": "$default", "timeEpoch": 0 },
            "isBase64Encoded": false,
        });
        invoke(&function, &event, "r")
            .await
            .map(|response| response.status())
    }

    #[tokio::test]
    async fn response_over_6_mb_of_escaped_json_fails() {
        let envelope =
            r#"{"body":"","cookies":[],"headers":{},"isBase64Encoded":false,"statusCode":200}"#
                .len();
        let most = MAX_RESPONSE_BYTES - envelope;
        assert_eq!(invoked("x".repeat(most)).await.unwrap(), StatusCode::OK);
        assert!(invoked("x".repeat(most + 1)).await.is_err());
        assert_eq!(
            invoked("\"".repeat(most / 2)).await.unwrap(),
            StatusCode::OK
        );
        assert!(invoked("\"".repeat(most / 2 + 1)).await.is_err());
    }

    #[test]
    fn path_is_decoded_once() {
        assert_eq!(decoded("/v1/teams/team%5F1%2f%C3%A9"), "/v1/teams/team_1/é");
        assert_eq!(decoded("/a%253Fb%3Fc"), "/a%3Fb");
        assert_eq!(decoded("/%zz%ff"), "/%zz\u{fffd}");
    }

    #[test]
    fn path_parameters_are_named() {
        let pattern: Vec<String> = "/v1/teams/{team_id}/members"
            .split('/')
            .map(str::to_owned)
            .collect();
        let parameters = path_parameters(&pattern, "/v1/teams/7/members").unwrap();
        assert_eq!(parameters["team_id"], "7");
        assert!(path_parameters(&pattern, "/v1/teams//members").is_none());
        assert!(path_parameters(&pattern, "/v1/teams/7/members/").is_none());
    }
}

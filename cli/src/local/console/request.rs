//! Requests to the API, observed outside of the guard, so that its rejections are shown too.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use muster_domain::{Contract, Timestamp};
use muster_service::auth;
use serde_json::Value;

use super::{
    Console, ConsoleEvent,
    text::{clean, clean_target},
};

/// The largest body of an error response that is searched for the reason.
const MAX_ERROR_BYTES: u64 = 256 * 1024;

/// The header that names the fields of a body that have no effect.
const IGNORED_FIELDS: HeaderName = HeaderName::from_static("x-ignored-fields");

/// A request and its response. All texts are clean.
#[derive(Debug)]
pub(in crate::local) struct RequestSummary {
    /// The time of the response.
    pub(super) at: Timestamp,
    pub(super) method: String,
    /// The path and the query.
    pub(super) target: String,
    pub(super) status: u16,
    /// The contract of the credential's form.
    pub(super) contract: Option<Contract>,
    pub(super) duration: Duration,
    /// The reason of an error.
    pub(super) reason: Option<String>,
    /// The ignored fields, as the response names them.
    pub(super) ignored_fields: Option<String>,
}

/// Reports each request with its response to the console.
pub(in crate::local) async fn observe(
    State(console): State<Console>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let contract = spoken_contract(request.headers());
    let response = next.run(request).await;
    if is_poll(&method, uri.path(), response.status()) {
        return response;
    }
    let (response, reason) = error_reason(response).await;
    console.report(|| {
        ConsoleEvent::Request(RequestSummary {
            at: Timestamp::now(),
            method: clean(method.as_str()),
            target: clean_target(uri.path(), uri.query()),
            status: response.status().as_u16(),
            contract,
            duration: started.elapsed(),
            reason,
            ignored_fields: text(response.headers(), &IGNORED_FIELDS).map(clean),
        })
    });
    response
}

/// Tells whether programs repeat the request at short intervals: it would hide the other lines.
fn is_poll(method: &Method, path: &str, status: StatusCode) -> bool {
    method == Method::GET
        && status.is_success()
        && (path == "/health" || path.starts_with("/_dev/"))
}

fn spoken_contract(headers: &HeaderMap) -> Option<Contract> {
    auth::spoken_contract(auth::bearer(headers.get(header::AUTHORIZATION)).ok()?)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the reason of an error response, and the response with its body.
async fn error_reason(response: Response) -> (Response, Option<String>) {
    use axum::body::HttpBody;

    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let size = response.body().size_hint().exact();
    let Some(size) = size.filter(|size| *size <= MAX_ERROR_BYTES) else {
        return (response, None);
    };
    let (parts, body) = response.into_parts();
    // A body of a known size is in memory, so it can be read.
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let body = to_bytes(body, size).await.unwrap_or_default();
    let reason = reason(&parts.headers, &body);
    (Response::from_parts(parts, Body::from(body)), reason)
}

/// Returns the reason in the body of either contract or of the gateway, with the details in the
/// headers.
fn reason(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    parts.extend(body_reason(&body));
    let challenge = text(headers, &header::WWW_AUTHENTICATE);
    if let Some(description) = challenge.and_then(error_description)
        && !parts.iter().any(|part| part.contains(description))
    {
        parts.push(description.to_owned());
    }
    if let Some(help) = text(headers, &header::LINK).and_then(help_target)
        && !parts.iter().any(|part| part.contains("see /docs"))
    {
        parts.push(format!("see {help}"));
    }
    (!parts.is_empty()).then(|| clean(&parts.join("; ")))
}

fn body_reason(body: &Value) -> Option<String> {
    let texts = ["/error/message", "/detail", "/message"];
    let text = texts
        .iter()
        .find_map(|pointer| body.pointer(pointer)?.as_str());
    if let Some(text) = text {
        return Some(text.to_owned());
    }
    let faults = body.get("detail")?.as_array()?;
    let faults: Vec<_> = faults.iter().filter_map(fault).collect();
    Some(faults.join("; "))
}

/// Returns a validation error of TopTickets as `body.name: field required`.
fn fault(fault: &Value) -> Option<String> {
    let place: Vec<_> = fault
        .get("loc")?
        .as_array()?
        .iter()
        .map(|part| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        })
        .collect();
    Some(format!(
        "{}: {}",
        place.join("."),
        fault.get("msg")?.as_str()?
    ))
}

/// Returns the text of `error_description` in a challenge.
fn error_description(challenge: &str) -> Option<&str> {
    let (_, rest) = challenge.split_once("error_description=\"")?;
    rest.split('"').next()
}

/// Returns the target of the link whose relation is `help`.
fn help_target(links: &str) -> Option<&str> {
    let link = links
        .split(',')
        .find(|link| link.contains("rel=\"help\""))?;
    link.split_once('<')?.1.split('>').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn reason_is_found_in_every_form_of_error() {
        let none = HeaderMap::new();
        for (body, expected) in [
            (
                r#"{"detail":"Team name already exists"}"#,
                Some("Team name already exists"),
            ),
            (
                r#"{"detail":[{"loc":["body","name"],"msg":"field required","type":"x"},{"loc":["body","a",0],"msg":"bad"}]}"#,
                Some("body.name: field required; body.a.0: bad"),
            ),
            (
                r#"{"success":false,"error":{"code":"X","message":"name: is required"},"detail":"Y"}"#,
                Some("name: is required"),
            ),
            (r#"{"message":"Not Found"}"#, Some("Not Found")),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(
                reason(&none, body.as_bytes()).as_deref(),
                expected,
                "{body}"
            );
        }
        let challenge = r#"Bearer error="invalid_token", error_description="the key is expired""#;
        let fields = headers(&[
            (header::WWW_AUTHENTICATE, challenge),
            (
                header::LINK,
                r#"</a>; rel="next", <http://h/docs#auth>; rel="help""#,
            ),
        ]);
        assert_eq!(
            reason(&fields, br#"{"detail":"Invalid token"}"#).as_deref(),
            Some("Invalid token; the key is expired; see http://h/docs#auth")
        );
        let plain = headers(&[(header::WWW_AUTHENTICATE, "Bearer")]);
        assert_eq!(reason(&plain, b""), None);
    }

    #[test]
    fn reason_has_no_credential() {
        let key = format!("itsm_{}", "a1".repeat(22));
        let body = format!(r#"{{"detail":"no team {key}"}}"#);
        assert_eq!(
            reason(&HeaderMap::new(), body.as_bytes()).as_deref(),
            Some("no team itsm_…")
        );
    }

    #[test]
    fn polls_that_fail_are_shown() {
        for (method, path, status, poll) in [
            (Method::GET, "/_dev/queues", StatusCode::OK, true),
            (Method::GET, "/health", StatusCode::OK, true),
            (Method::GET, "/_dev/queues", StatusCode::FORBIDDEN, false),
            (
                Method::POST,
                "/_dev/queues/tickets",
                StatusCode::ACCEPTED,
                false,
            ),
            (Method::GET, "/v1/teams", StatusCode::OK, false),
        ] {
            assert_eq!(is_poll(&method, path, status), poll, "{method} {path}");
        }
    }
}

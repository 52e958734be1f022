//! Answers: what a use case says, and how a failure is said in the caller's contract.

use lambda_http::{
    Body, Response,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};

use super::request::RawRequest;
use crate::store::Answer;
use muster_contracts::{
    Failure, Occurrence,
    itsm::{self, Audience},
    page::{MAX_BODY_BYTES, escaped_bytes},
    toptickets,
};
use muster_domain::{Contract, Timestamp};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A success, rendered.
#[derive(Debug)]
pub struct ApiResponse {
    status: StatusCode,
    body: Body,
    /// The version of the one team that the body shows.
    version: Option<u64>,
    /// Headers beyond those of every response, or in place of `Content-Type` and `Cache-Control`.
    headers: HeaderMap,
}

impl ApiResponse {
    /// 200 with a JSON body.
    #[must_use]
    pub fn ok(body: String) -> Self {
        Self::new(StatusCode::OK, Body::Text(body))
    }

    /// 204 without a body.
    #[must_use]
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, Body::Empty)
    }

    /// 200 with a body that `headers` describe, and JSON where they name no content type.
    #[must_use]
    pub fn with_headers(body: Body, headers: HeaderMap) -> Self {
        Self {
            headers,
            ..Self::new(StatusCode::OK, body)
        }
    }

    /// 304 without a body. `headers` are those of the 200 that RFC 9110, section 15.4.5, wants
    /// repeated.
    #[must_use]
    pub fn not_modified(headers: HeaderMap) -> Self {
        Self {
            headers,
            ..Self::new(StatusCode::NOT_MODIFIED, Body::Empty)
        }
    }

    fn new(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            body,
            version: None,
            headers: HeaderMap::new(),
        }
    }

    /// The same, whose body shows one team, with the team's version as its `ETag`. `None` where it
    /// shows no team.
    #[must_use]
    pub fn of_version(self, version: impl Into<Option<u64>>) -> Self {
        Self {
            version: version.into(),
            ..self
        }
    }
}

impl From<Answer> for ApiResponse {
    fn from(
        Answer {
            status,
            version,
            body,
        }: Answer,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        Self {
            version,
            ..Self::new(status, Body::Text(body))
        }
    }
}

/// Returns the bytes of a body in the event that carries it: an escaped text, or base64.
fn carried_bytes(body: &Body) -> usize {
    match body {
        Body::Text(text) => escaped_bytes(text),
        body => body.len().div_ceil(3) * 4,
    }
}

/// Renders the outcome of a request.
///
/// A body that Lambda would refuse is a failure in the caller's own contract. Stored texts are
/// bounded and lists refuse such pages, so that only a fault of this program leads here.
pub(super) fn render(
    received: &RawRequest,
    now: Timestamp,
    outcome: Result<ApiResponse, Failure>,
) -> Response<Body> {
    let outcome = outcome.and_then(|reply| match carried_bytes(&reply.body) {
        bytes if bytes > MAX_BODY_BYTES => {
            tracing::error!(
                gatewayRequestId = received.request_id,
                bytes,
                "the response exceeds Lambda's limit"
            );
            Err(Failure::Internal)
        }
        _ => Ok(reply),
    });
    let (reply, failure) = match outcome {
        Ok(reply) => (reply, None),
        Err(failure) => {
            let occurrence = Occurrence {
                request_id: &received.request_id,
                at: now,
                path: &received.path,
            };
            let (status, body) = match received.spoken_contract {
                Some(Contract::Toptickets) => toptickets::failure(&failure),
                Some(Contract::Itsm) => itsm::failure(&failure, occurrence, Audience::Itsm),
                None => itsm::failure(&failure, occurrence, Audience::Unknown),
            };
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (ApiResponse::new(status, Body::Text(body)), Some(failure))
        }
    };

    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&received.request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if !matches!(
        reply.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
    }
    if let Some(version) = reply.version
        && let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\""))
    {
        headers.insert(ETAG, etag);
    }
    if let Some(seconds) = failure.as_ref().and_then(Failure::retry_after) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match failure {
        Some(Failure::Unauthorized) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Some(Failure::MethodNotAllowed(methods)) => {
            if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
                headers.insert(ALLOW, allow);
            }
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_takes_more_bytes_in_its_event() {
        assert_eq!(carried_bytes(&Body::from("{\"a\":\"\\\\\"}")), 16);
        for (bytes, carried) in [(0, 0), (1, 4), (3, 4), (4, 8)] {
            assert_eq!(carried_bytes(&Body::from(vec![0; bytes])), carried);
        }
    }
}

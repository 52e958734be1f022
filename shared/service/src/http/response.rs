//! Responses: the result of a use case, or a failure in the caller's contract.

use lambda_http::{
    Body, Response,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};

use super::request::RawRequest;
use crate::store::RenderedResponse;
use muster_contracts::{
    ApiError, ErrorContext,
    itsm::{self, Audience},
    request::UnknownFields,
    response_size::{MAX_RESPONSE_BYTES, escaped_bytes},
    toptickets,
};
use muster_domain::{Contract, Timestamp};

const X_IGNORED_FIELDS: HeaderName = HeaderName::from_static("x-ignored-fields");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An error in words, as an extension of its response. The local stack prints it. It is no part of
/// the response that a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMessage(pub String);

/// A rendered success.
#[derive(Debug)]
pub struct ApiResponse {
    status: StatusCode,
    body: Body,
    /// The version of the team in the body, if the body has one team.
    version: Option<u64>,
    /// Headers in addition to those of every response. They replace `Content-Type` and
    /// `Cache-Control`.
    headers: HeaderMap,
}

impl ApiResponse {
    /// Returns a 200 with a JSON body.
    #[must_use]
    pub fn ok(body: String) -> Self {
        Self::new(StatusCode::OK, Body::Text(body))
    }

    /// Returns a 204 without a body.
    #[must_use]
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, Body::Empty)
    }

    /// Returns a 200 with a body and headers. The content type is JSON unless `headers` have one.
    #[must_use]
    pub fn with_headers(body: Body, headers: HeaderMap) -> Self {
        Self {
            headers,
            ..Self::new(StatusCode::OK, body)
        }
    }

    /// Returns a 304 without a body. `headers` are those of the 200 that a 304 repeats (RFC 9110,
    /// section 15.4.5).
    #[must_use]
    pub fn not_modified(headers: HeaderMap) -> Self {
        Self {
            headers,
            ..Self::new(StatusCode::NOT_MODIFIED, Body::Empty)
        }
    }

    /// Returns the response with the header `X-Ignored-Fields`, if the request had such fields.
    #[must_use]
    pub(super) fn ignoring(mut self, fields: &UnknownFields) -> Self {
        if !fields.is_empty()
            && let Ok(fields) = HeaderValue::try_from(fields.to_string())
        {
            self.headers.insert(X_IGNORED_FIELDS, fields);
        }
        self
    }

    fn new(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            body,
            version: None,
            headers: HeaderMap::new(),
        }
    }

    /// Returns the response with a team's version as its `ETag`. `None` adds no header.
    #[must_use]
    pub fn of_version(self, version: impl Into<Option<u64>>) -> Self {
        Self {
            version: version.into(),
            ..self
        }
    }
}

impl From<RenderedResponse> for ApiResponse {
    fn from(
        RenderedResponse {
            status,
            version,
            body,
        }: RenderedResponse,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        Self {
            version,
            ..Self::new(status, Body::Text(body))
        }
    }
}

/// Returns the size of a body in the response event, in bytes: as escaped text or as base64.
fn carried_bytes(body: &Body) -> usize {
    match body {
        Body::Text(text) => escaped_bytes(text),
        body => body.len().div_ceil(3) * 4,
    }
}

/// Renders the outcome of a request.
///
/// A body over Lambda's limit becomes a 500 in the caller's contract. Stored texts are bounded and
/// lists reject larger pages, so this happens only through a bug.
pub(super) fn render(
    received: &RawRequest,
    now: Timestamp,
    outcome: Result<ApiResponse, ApiError>,
) -> Response<Body> {
    let (response, failure) = match outcome.and_then(|response| within_limit(received, response)) {
        Ok(response) => (response, None),
        Err(failure) => (error_response(received, now, &failure), Some(failure)),
    };
    let mut rendered = Response::new(response.body);
    *rendered.status_mut() = response.status;
    *rendered.headers_mut() = response.headers;
    let headers = rendered.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&received.request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if !matches!(
        response.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
    }
    if let Some(version) = response.version
        && let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\""))
    {
        headers.insert(ETAG, etag);
    }
    if let Some(failure) = &failure {
        add_error_headers(headers, failure, &received.path);
        let message = itsm::message(failure, error_context(received, now));
        rendered.extensions_mut().insert(ErrorMessage(message));
    }
    rendered
}

/// Returns the response if its body is within Lambda's limit.
///
/// # Errors
/// [`ApiError::Internal`] for a larger body.
fn within_limit(received: &RawRequest, response: ApiResponse) -> Result<ApiResponse, ApiError> {
    let bytes = carried_bytes(&response.body);
    if bytes > MAX_RESPONSE_BYTES {
        tracing::error!(
            gatewayRequestId = received.request_id,
            bytes,
            "the response exceeds Lambda's limit"
        );
        return Err(ApiError::Internal);
    }
    Ok(response)
}

/// Returns the response of an error in the caller's contract.
fn error_response(received: &RawRequest, now: Timestamp, failure: &ApiError) -> ApiResponse {
    let context = error_context(received, now);
    let (status, body) = match received.spoken_contract {
        Some(Contract::Toptickets) => toptickets::error_response(failure, context),
        Some(Contract::Itsm) => itsm::error_response(failure, context, Audience::Itsm),
        None => itsm::error_response(failure, context, Audience::Unknown),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ApiResponse::new(status, Body::Text(body))
}

fn error_context(received: &RawRequest, now: Timestamp) -> ErrorContext<'_> {
    ErrorContext {
        request_id: &received.request_id,
        at: now,
        path: &received.path,
        content_type: received.content_type.as_deref(),
    }
}

/// Returns the `Link` to the documentation page (RFC 8288) from a response of this path.
///
/// The reference is relative to the path of the request. So it is correct behind a proxy that adds
/// a prefix to all paths. Excess `..` segments have no effect (RFC 3986, section 5.2.4).
fn help_link(path: &str) -> String {
    const MAX_UPS: usize = 8;
    let ups = path.split('/').skip(2).take(MAX_UPS);
    let ups: String = ups.map(|_| "../").collect();
    format!("<{ups}docs>; rel=\"help\"")
}

/// Adds the headers of an error.
fn add_error_headers(headers: &mut HeaderMap, failure: &ApiError, path: &str) {
    if let Some(seconds) = failure.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if failure.has_help()
        && let Ok(link) = HeaderValue::try_from(help_link(path))
    {
        headers.insert(LINK, link);
    }
    match failure {
        ApiError::Unauthorized(reason) => {
            if let Ok(challenge) = HeaderValue::try_from(reason.challenge()) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        ApiError::MethodNotAllowed(methods) => {
            if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
                headers.insert(ALLOW, allow);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_link_climbs_to_the_root() {
        for (path, expected) in [
            ("/", "<docs>"),
            ("/nowhere", "<docs>"),
            ("/v1/teams", "<../docs>"),
            ("/v1/teams/", "<../../docs>"),
            ("/v1/teams/x/members/y", "<../../../../docs>"),
            ("", "<docs>"),
        ] {
            assert_eq!(
                help_link(path),
                format!("{expected}; rel=\"help\""),
                "{path}"
            );
        }
        assert!(help_link(&"/".repeat(9_000)).len() < 60);
    }

    #[test]
    fn body_takes_more_bytes_in_its_event() {
        assert_eq!(carried_bytes(&Body::from("{\"a\":\"\\\\\"}")), 16);
        for (bytes, carried) in [(0, 0), (1, 4), (3, 4), (4, 8)] {
            assert_eq!(carried_bytes(&Body::from(vec![0; bytes])), carried);
        }
    }
}

//! The parts of a gateway request that the pipeline uses.

use std::{net::IpAddr, time::Duration};

use lambda_http::{
    Body, Request, RequestExt,
    http::{
        HeaderName,
        header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH},
    },
    request::RequestContext,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::proxy::ProxyHeaders;
use crate::{auth, deadline};
use muster_contracts::UnauthorizedReason;
use muster_domain::Contract;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request before any check.
pub(super) struct RawRequest {
    pub(super) method: String,
    /// The path as received, without the query: API Gateway has percent-decoded it.
    pub(super) path: String,
    /// The query as received, still encoded.
    pub(super) query: String,
    /// `req_` and the gateway's id of the request.
    pub(super) request_id: String,
    /// The source address that the gateway saw. Headers that state an address are ignored here,
    /// because any client can send them.
    pub(super) address: Option<IpAddr>,
    /// The headers of a trusted proxy. They are unverified: any client can send them.
    pub(super) proxy: ProxyHeaders,
    /// The bearer token, or the reason why there is none.
    pub(super) token: Result<String, UnauthorizedReason>,
    /// The contract that the credential's form belongs to, regardless of its validity and its
    /// authorization scheme.
    pub(super) spoken_contract: Option<Contract>,
    /// The `If-Match` header.
    pub(super) if_match: Option<String>,
    /// The `Idempotency-Key` header.
    pub(super) idempotency_key: Option<String>,
    /// The `Content-Type` header.
    pub(super) content_type: Option<String>,
    /// The deadline of the store, before which the response has to be ready.
    pub(super) deadline: Instant,
    body: Body,
}

impl RawRequest {
    /// The time between the store's deadline and the end of the invocation. It is enough to send a
    /// 503.
    const MARGIN: Duration = Duration::from_millis(500);

    /// Returns the body, with the gateway's encoding removed.
    pub(super) fn body(&self) -> &[u8] {
        self.body.as_ref()
    }
}

impl From<Request> for RawRequest {
    fn from(request: Request) -> Self {
        let (gateway_id, source_ip) = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                (context.request_id.clone(), context.http.source_ip.clone())
            }
            _ => (None, None),
        };
        let authorization = request.headers().get(AUTHORIZATION);
        let token = auth::bearer(authorization).map(str::to_owned);
        let spoken_contract = authorization
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_whitespace().last())
            .and_then(auth::spoken_contract);
        // The gateway joins headers of one name into one. Bytes that are no UTF-8 occur in no valid
        // entity tag, key or media type, so a lossy conversion is safe.
        let header = |name| {
            request
                .headers()
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (if_match, idempotency_key) = (header(IF_MATCH), header(IDEMPOTENCY_KEY));
        let content_type = header(CONTENT_TYPE);
        let left = deadline::time_left(
            request
                .lambda_context_ref()
                .map_or(0, |context| context.deadline),
        );
        Self {
            method: request.method().as_str().to_owned(),
            path: request.raw_http_path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            request_id: format!(
                "req_{}",
                gateway_id.unwrap_or_else(|| Uuid::new_v4().to_string())
            ),
            address: source_ip.and_then(|address| address.parse().ok()),
            proxy: request.headers().into(),
            token,
            spoken_contract,
            if_match,
            idempotency_key,
            content_type,
            deadline: Instant::now() + left.saturating_sub(Self::MARGIN),
            body: request.into_body(),
        }
    }
}

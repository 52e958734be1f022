//! A request as the gateway hands it over, reduced to what is used.

use std::{net::IpAddr, time::Duration};

use lambda_http::{
    Body, Request, RequestExt,
    http::{
        HeaderName,
        header::{AUTHORIZATION, IF_MATCH},
    },
    request::RequestContext,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::proxy::ProxyHeaders;
use crate::{auth, deadline};
use muster_domain::Contract;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What came in, before anything was checked.
pub(super) struct RawRequest {
    pub(super) method: String,
    /// The path as received, without the query: API Gateway has percent-decoded it.
    pub(super) path: String,
    /// The query as received, still encoded.
    pub(super) query: String,
    /// `req_` and the gateway's id of the request.
    pub(super) request_id: String,
    /// Where it came from, as the gateway saw it: what a header says of that is the client's own
    /// invention.
    pub(super) address: Option<IpAddr>,
    /// The headers that a trusted proxy writes; any client may have written them too.
    pub(super) proxy: ProxyHeaders,
    /// The bearer token, if there is one.
    pub(super) token: Option<String>,
    /// The contract that the form of the credential belongs to, be it good or not, and whatever
    /// scheme stands before it.
    pub(super) spoken_contract: Option<Contract>,
    /// The `If-Match` header.
    pub(super) if_match: Option<String>,
    /// The `Idempotency-Key` header.
    pub(super) idempotency_key: Option<String>,
    /// When the answer has to be on its way.
    pub(super) deadline: Instant,
    body: Body,
}

impl RawRequest {
    /// How long before the function is stopped the store gives up, so that a 503 can still be sent.
    const MARGIN: Duration = Duration::from_millis(500);

    /// The body, whatever way the gateway encoded it.
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
        let authorization = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = authorization.and_then(auth::bearer).map(str::to_owned);
        let spoken_contract = authorization
            .and_then(|value| value.split_whitespace().last())
            .and_then(auth::spoken_contract);
        // The gateway has joined several headers of one name to one. What is not UTF-8 is neither a
        // tag of ours nor a key.
        let header = |name| {
            request
                .headers()
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (if_match, idempotency_key) = (header(IF_MATCH), header(IDEMPOTENCY_KEY));
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
            deadline: Instant::now() + left.saturating_sub(Self::MARGIN),
            body: request.into_body(),
        }
    }
}

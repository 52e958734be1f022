//! The wiring that every function's `main` shares: from the environment to what the function depends on, and from the
//! runtime's events to requests.

use std::{convert::Infallible, env, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use lambda_http::{
    Adapter, Body, LambdaEvent, Request, Response, Service, lambda_runtime, request::LambdaRequest, tower::Layer,
    tower::util::MapRequestLayer,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::time::Instant;

use crate::{http::Deps, store::Table};

/// The configuration of AWS clients by the usual environment (region, credentials, `AWS_ENDPOINT_URL`).
///
/// Its own retries are off, since the store has a deadline to keep; one attempt may take 3 seconds. TLS is rustls over ring:
/// smaller than the SDK's default provider, and without its gathering of entropy at start-up.
pub async fn aws_config() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

/// Starts logging and connects to the table that `TABLE_NAME` names, before the first request needs it.
///
/// # Errors
/// `TABLE_NAME` is not set.
pub async fn init() -> Result<Deps, lambda_http::Error> {
    lambda_http::tracing::init_default_subscriber();
    let table = env::var("TABLE_NAME").map_err(|_| "TABLE_NAME must name the DynamoDB table")?;
    let table = Table::new(aws_sdk_dynamodb::Client::new(&aws_config().await), table);
    if let Err(error) = table.until(Instant::now() + Duration::from_secs(5)).warm_up().await {
        tracing::warn!(%error, "could not reach the table ahead of the first request");
    }
    Ok(Deps::new(table))
}

/// Answers the runtime's events with a handler, for the life of the function's instance.
///
/// # Errors
/// The runtime's own.
pub async fn run<'h, H>(handler: H) -> Result<(), lambda_http::Error>
where
    H: Service<Request, Response = Response<Body>, Error = Infallible>,
    H::Future: Send + 'h,
{
    let escaped = MapRequestLayer::new(|LambdaEvent { payload, context }| LambdaEvent::new(escaped(payload), context));
    lambda_runtime::run(escaped.layer(Adapter::from(handler))).await
}

/// The request that an event in payload format 2.0 stands for.
///
/// # Errors
/// It is no such event.
pub fn request(event: &str) -> Result<Request, serde_json::Error> {
    serde_json::from_str(event).map(|payload| escaped(payload).into())
}

/// Takes out of an event what `lambda_http` panics over when it makes a URI of it.
///
/// The gateway passes a query on as the client wrote it: what may not stand in one is escaped, and what is escaped already
/// stays, so the query means the same. A scheme that somebody made up is dropped; nothing reads it.
fn escaped(mut payload: LambdaRequest) -> LambdaRequest {
    const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
    if let LambdaRequest::ApiGatewayV2(request) = &mut payload {
        request.headers.remove("x-forwarded-proto");
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_query_becomes_a_request() {
        let event = |query: &str| {
            serde_json::json!({
                "version": "2.0",
                "rawPath": "/v1/teams",
                "rawQueryString": query,
                "headers": {"host": "api.example", "x-forwarded-proto": "no scheme"},
                "requestContext": {"http": {"method": "GET", "path": "/v1/teams"}, "stage": "$default"},
            })
        };
        for (sent, escaped) in [
            ("search=a+b%20c&limit=5", "search=a+b%20c&limit=5"),
            ("search=\"a b\"<c>#d\u{7f}\n", "search=%22a%20b%22%3Cc%3E%23d%7F%0A"),
            ("search=caf\u{e9}", "search=caf%C3%A9"),
            ("%zz&%", "%zz&%"),
        ] {
            assert_eq!(request(&event(sent).to_string()).unwrap().uri().query(), Some(escaped));
        }
    }
}

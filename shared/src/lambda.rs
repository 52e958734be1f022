//! The wiring that every function's `main` shares: from the environment to what the function depends on.

use std::{env, time::Duration};

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::time::Instant;

use crate::{http::Deps, store::Store};

/// Makes a client for the table by the usual AWS environment (region, credentials, `AWS_ENDPOINT_URL`).
///
/// Its own retries are off, since the store has a deadline to keep; one attempt may take 3 seconds. TLS is rustls over ring:
/// smaller than the SDK's default provider, and without its gathering of entropy at start-up.
pub async fn dynamodb_client() -> aws_sdk_dynamodb::Client {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await;
    aws_sdk_dynamodb::Client::new(&config)
}

/// Starts logging and connects to the table that `TABLE_NAME` names, before the first request needs it.
///
/// # Errors
/// `TABLE_NAME` is not set.
pub async fn init() -> Result<Deps, lambda_http::Error> {
    lambda_http::tracing::init_default_subscriber();
    let table = env::var("TABLE_NAME").map_err(|_| "TABLE_NAME must name the DynamoDB table")?;
    let deadline = Instant::now() + Duration::from_secs(5);
    let store = Store::new(dynamodb_client().await, table, deadline);
    if let Err(error) = store.warm_up().await {
        tracing::warn!(%error, "could not reach the table ahead of the first request");
    }
    Ok(Deps::new(store))
}

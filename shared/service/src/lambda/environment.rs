//! The environment of a function: configuration of AWS clients, and the resources that variables
//! name.

use std::{env, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::time::Instant;

use crate::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    error_chain,
    jobs::JobQueues,
    store::Table,
    telemetry::Calls,
};

/// Loads the configuration of AWS clients from the standard environment: region, credentials and
/// `AWS_ENDPOINT_URL`.
///
/// The SDK's own retries are off, because callers retry until their deadline. One attempt takes at
/// most 3 seconds. TLS is rustls over ring: it is smaller than the SDK's default provider and
/// gathers no entropy at a cold start.
pub async fn aws_config() -> SdkConfig {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
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

/// The resources of a function: the table, queues, bus and bucket that its environment variables
/// name.
///
/// The clients share one configuration and its resolved credentials.
#[derive(Debug)]
pub struct Environment {
    config: SdkConfig,
}

impl Environment {
    /// Reads the configuration of AWS clients.
    pub async fn load() -> Self {
        Self {
            config: aws_config().await,
        }
    }

    /// Returns the table that `TABLE_NAME` names, with a connection that is already open. Takes at
    /// most 5 seconds.
    ///
    /// # Errors
    /// `TABLE_NAME` is not set. An unreachable table is logged and no error, because it may be
    /// reachable again at the first event.
    pub async fn table(&self) -> Result<Table, lambda_http::Error> {
        let name = variable("TABLE_NAME", "name the DynamoDB table")?;
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .interceptor(Calls::to_table(&*name));
        let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config.build()), name);
        if let Err(error) = table
            .until(Instant::now() + Duration::from_secs(5))
            .warm_up()
            .await
        {
            tracing::warn!(
                error = error_chain(&error),
                "could not reach the table ahead of the first event"
            );
        }
        Ok(table)
    }

    /// Returns the dead-letter queue at `DEAD_LETTER_QUEUE_URL`.
    ///
    /// # Errors
    /// `DEAD_LETTER_QUEUE_URL` is not set.
    pub fn dead_letters(&self) -> Result<Queue, lambda_http::Error> {
        Ok(self.queue(variable(
            "DEAD_LETTER_QUEUE_URL",
            "be the URL of the dead-letter queue",
        )?))
    }

    /// Returns the job queues at `JOBS_QUEUE_URL` and `LONG_JOBS_QUEUE_URL`.
    ///
    /// # Errors
    /// One of the variables is not set.
    pub fn jobs(&self) -> Result<JobQueues, lambda_http::Error> {
        Ok(JobQueues {
            urgent: self.queue(variable(
                "JOBS_QUEUE_URL",
                "be the URL of the queue of urgent jobs",
            )?),
            long: self.queue(variable(
                "LONG_JOBS_QUEUE_URL",
                "be the URL of the queue of long jobs",
            )?),
        })
    }

    /// Returns the bus that `EVENT_BUS_NAME` names.
    ///
    /// # Errors
    /// `EVENT_BUS_NAME` is not set.
    pub fn bus(&self) -> Result<Bus, lambda_http::Error> {
        let name = variable("EVENT_BUS_NAME", "name the EventBridge bus")?;
        let config =
            aws_sdk_eventbridge::config::Builder::from(&self.config).interceptor(Calls::to_any());
        Ok(Bus::new(
            aws_sdk_eventbridge::Client::from_conf(config.build()),
            name,
        ))
    }

    /// Returns the bucket of failed records that `FAILED_RECORDS_BUCKET` names.
    ///
    /// # Errors
    /// `FAILED_RECORDS_BUCKET` is not set, or the environment has no region or credentials.
    pub fn failed_records(&self) -> Result<Bucket, lambda_http::Error> {
        let name = variable("FAILED_RECORDS_BUCKET", "name the bucket of failed records")?;
        Ok(Bucket::new(&self.config, name)?)
    }

    fn queue(&self, url: String) -> Queue {
        let config =
            aws_sdk_sqs::config::Builder::from(&self.config).interceptor(Calls::to_queue(&*url));
        Queue::new(aws_sdk_sqs::Client::from_conf(config.build()), url)
    }
}

/// Returns an environment variable. The error says which value the variable must have.
fn variable(name: &str, requirement: &str) -> Result<String, lambda_http::Error> {
    env::var(name).map_err(|error| format!("{name} must {requirement}: {error}").into())
}

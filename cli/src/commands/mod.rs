//! The operator's commands, on any table and any ticket queue.

pub mod changes;
pub mod jwks;
pub mod keys;
pub mod openapi;
pub mod table;
pub mod tickets;
pub mod users;

use std::{env, time::Duration};

use anyhow::{Context, ensure};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::{Client, config::Region};
use muster::store::{Store, Table};
use tokio::time::Instant;

use crate::{args::Target, emulator};

/// How long a command may wait for one answer of the table, retries included.
const PATIENCE: Duration = Duration::from_secs(8);

/// The configuration of AWS clients by the usual environment. Without credentials a call would try
/// for as long as it may before it said so; this says so at once, and that the user may do
/// `otherwise`.
///
/// # Errors
/// The environment has no credentials for AWS.
async fn aws_config(otherwise: &str) -> anyhow::Result<SdkConfig> {
    let config = muster::lambda::aws_config().await;
    let remedy = || {
        format!(
            "configure AWS credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or {otherwise}"
        )
    };
    config
        .credentials_provider()
        .with_context(remedy)?
        .provide_credentials()
        .await
        .with_context(remedy)?;
    Ok(config)
}

impl Target {
    /// A client for where the table is. Nobody has to make up credentials for an emulator on this
    /// machine.
    ///
    /// # Errors
    /// The environment has no credentials for AWS.
    async fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.endpoint_url
            && emulator::is_at(url)
        {
            return Ok(emulator::client(url.as_str()));
        }
        let config = aws_config("name a local DynamoDB with --endpoint-url").await?;
        let mut builder = aws_sdk_dynamodb::config::Builder::from(&config);
        if let Some(url) = &self.endpoint_url {
            builder = builder.endpoint_url(url.as_str());
        }
        if config.region().is_none() {
            ensure!(
                self.endpoint_url.is_some(),
                "set AWS_REGION to the table's region"
            );
            builder = builder.region(Region::from_static("us-east-1"));
        }
        Ok(Client::from_conf(builder.build()))
    }

    async fn table(&self) -> anyhow::Result<Table> {
        Ok(Table::new(self.client().await?, self.table.as_str()))
    }

    /// The table, for one step of a command.
    async fn store(&self) -> anyhow::Result<Store> {
        Ok(self.table().await?.until(Instant::now() + PATIENCE))
    }

    /// Says what went wrong with the table, and what to do about it.
    fn explain(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let place = self
            .endpoint_url
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| env::var("AWS_ENDPOINT_URL_DYNAMODB").ok())
            .or_else(|| env::var("AWS_ENDPOINT_URL").ok())
            .unwrap_or_else(|| "AWS".to_owned());
        let cause = format!("{error:#}");
        let said = |words: &[&str]| words.iter().any(|word| cause.contains(word));
        let remedy = if said(&["ResourceNotFoundException"]) {
            format!(
                "there is no table {:?} at {place}: name another with --table, or run `muster table create`",
                self.table
            )
        } else if said(&[
            "AccessDenied",
            "UnrecognizedClient",
            "ExpiredToken",
            "InvalidSignature",
        ]) {
            format!(
                "{place} refuses these AWS credentials: check AWS_PROFILE, or what their user may do"
            )
        } else if said(&["unavailable", "dispatch failure", "timeout"]) {
            format!("check that DynamoDB answers at {place}, and try again")
        } else {
            return error;
        };
        error.context(remedy)
    }
}

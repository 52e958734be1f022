//! The table that a command works on.

use std::env;

use anyhow::ensure;
use aws_sdk_dynamodb::{Client, config::Region};
use clap::Args;
use muster_service::store::{Store, Table};
use tokio::time::Instant;

use super::{CALL_TIMEOUT, aws};
use crate::emulator;

/// The name and the endpoint of the table.
#[derive(Debug, Clone, Args)]
pub struct TableTarget {
    /// Name of the table
    #[arg(long, env = "TABLE_NAME", default_value = "muster", value_name = "NAME", value_parser = table_name)]
    pub table: String,
    /// Endpoint of DynamoDB [default: the endpoint of AWS]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<url::Url>,
}

impl TableTarget {
    /// Returns a client for the table's endpoint. An emulator on this machine needs no credentials.
    ///
    /// # Errors
    /// The environment has no credentials for AWS.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.endpoint_url
            && emulator::is_local_without_credentials(url)
        {
            return Ok(emulator::client(url.as_str()));
        }
        let config = aws::sdk_config("name a local DynamoDB with --endpoint-url").await?;
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

    pub(super) async fn table(&self) -> anyhow::Result<Table> {
        Ok(Table::new(self.client().await?, self.table.as_str()))
    }

    /// Returns the table with the deadline of one operation.
    pub(super) async fn store(&self) -> anyhow::Result<Store> {
        Ok(self.table().await?.until(Instant::now() + CALL_TIMEOUT))
    }

    /// Adds the fix to an error of the table, if the cause is known.
    pub(super) fn explain(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let place = self
            .endpoint_url
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| env::var("AWS_ENDPOINT_URL_DYNAMODB").ok())
            .or_else(|| env::var("AWS_ENDPOINT_URL").ok())
            .unwrap_or_else(|| "AWS".to_owned());
        let cause = format!("{error:#}");
        let mentions = |words: &[&str]| words.iter().any(|word| cause.contains(word));
        let remedy = if mentions(&["ResourceNotFoundException"]) {
            format!(
                "there is no table {:?} at {place}: name another with --table, or run `muster table create`",
                self.table
            )
        } else if mentions(&[
            "AccessDenied",
            "UnrecognizedClient",
            "ExpiredToken",
            "InvalidSignature",
        ]) {
            format!(
                "{place} rejects these AWS credentials: check AWS_PROFILE and the permissions of the user"
            )
        } else if mentions(&["unavailable", "dispatch failure", "timeout"]) {
            format!("DynamoDB does not respond at {place}: check the endpoint, and try again")
        } else {
            return error;
        };
        error.context(remedy)
    }
}

fn table_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (3..=255).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a table's name has 3 to 255 characters of A-Z a-z 0-9 _ - .".to_owned())
    }
}

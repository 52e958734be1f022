//! The table that a command works on.

use std::env;

use anyhow::ensure;
use aws_sdk_dynamodb::{Client, config::Region};
use clap::Args;
use muster_service::store::{Store, Table};
use tokio::time::Instant;

use super::{CALL_TIMEOUT, aws};
use crate::emulator;

/// Which table, and where.
#[derive(Debug, Clone, Args)]
pub struct TableTarget {
    /// The table's name
    #[arg(long, env = "TABLE_NAME", default_value = "muster", value_name = "NAME", value_parser = table_name)]
    pub table: String,
    /// DynamoDB's address, where it is not AWS's own
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<url::Url>,
}

impl TableTarget {
    /// A client for where the table is. Nobody has to make up credentials for an emulator on this
    /// machine.
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

    /// The table, for one step of a command.
    pub(super) async fn store(&self) -> anyhow::Result<Store> {
        Ok(self.table().await?.until(Instant::now() + CALL_TIMEOUT))
    }

    /// Says what went wrong with the table, and what to do about it.
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

fn table_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (3..=255).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a table's name has 3 to 255 characters of A-Z a-z 0-9 _ - .".to_owned())
    }
}

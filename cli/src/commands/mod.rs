//! The operator's commands, on any table.

pub mod keys;
pub mod table;
pub mod users;

use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::Client;
use muster::store::{self, Store, Table};
use tokio::time::Instant;

use crate::{args::Target, emulator};

/// How long a command may wait for one answer of the table, retries included.
const PATIENCE: Duration = Duration::from_secs(8);

impl Target {
    /// A client for where the table is. Nobody has to make up credentials for an emulator on this machine.
    ///
    /// # Errors
    /// The environment has no credentials for AWS.
    async fn client(&self) -> anyhow::Result<Client> {
        if let Some(url) = &self.endpoint_url
            && emulator::is_at(url)
        {
            return Ok(emulator::client(url.as_str()));
        }
        let config = muster::lambda::aws_config().await;
        let remedy = "configure AWS credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), \
                      or name a local DynamoDB with --endpoint-url";
        // Else a call would try for as long as it may before it said so.
        config.credentials_provider().context(remedy)?.provide_credentials().await.context(remedy)?;
        let mut config = aws_sdk_dynamodb::config::Builder::from(&config);
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url.as_str());
        }
        Ok(Client::from_conf(config.build()))
    }

    async fn table(&self) -> anyhow::Result<Table> {
        Ok(Table::new(self.client().await?, self.table.as_str()))
    }

    /// The table, for one step of a command.
    async fn store(&self) -> anyhow::Result<Store> {
        Ok(self.table().await?.until(Instant::now() + PATIENCE))
    }

    /// Says what went wrong with the table, and what to do about it.
    fn explain(&self, error: store::Error) -> anyhow::Error {
        let place = self.endpoint_url.as_ref().map_or_else(|| "AWS".to_owned(), ToString::to_string);
        let cause = error.to_string();
        let remedy = if cause.contains("ResourceNotFoundException") {
            format!(
                "There is no table {:?} at {place}: name another with --table, or run `muster table create`",
                self.table
            )
        } else if matches!(error, store::Error::Unavailable(_)) {
            format!("Check that DynamoDB answers at {place}, and try again")
        } else {
            return anyhow!(error);
        };
        anyhow!(error).context(remedy)
    }
}

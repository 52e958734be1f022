//! The operator's commands, on any table.

pub mod keys;
pub mod table;
pub mod users;

use std::time::Duration;

use anyhow::anyhow;
use aws_sdk_dynamodb::Client;
use muster::store::{self, Store};
use tokio::time::Instant;

use crate::{args::Target, emulator};

/// How long a command may wait for one answer of the table, retries included.
const PATIENCE: Duration = Duration::from_secs(8);

impl Target {
    /// A client for where the table is. Nobody has to make up credentials for an emulator on this machine.
    async fn client(&self) -> Client {
        match &self.endpoint_url {
            None => muster::lambda::dynamodb_client().await,
            Some(url) if emulator::is_at(url) => emulator::client(url.as_str()),
            Some(url) => {
                let client = muster::lambda::dynamodb_client().await;
                Client::from_conf(client.config().to_builder().endpoint_url(url.as_str()).build())
            }
        }
    }

    async fn store(&self) -> Store {
        Store::new(self.client().await, self.table.as_str(), Instant::now() + PATIENCE)
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
        } else if cause.contains("credentials") {
            "Configure AWS credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)".to_owned()
        } else if matches!(error, store::Error::Unavailable(_)) {
            format!("Check that DynamoDB answers at {place}, and try again")
        } else {
            return anyhow!(error);
        };
        anyhow!(error).context(remedy)
    }
}

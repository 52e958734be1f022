//! The operator's commands, on any table.

pub mod keys;
pub mod table;
pub mod users;

use std::{env, time::Duration};

use anyhow::anyhow;
use aws_sdk_dynamodb::{Client, config::Credentials};
use muster::store::{self, Store};
use tokio::time::Instant;

use crate::args::Target;

/// How long a command may wait for one answer of the table, retries included.
const PATIENCE: Duration = Duration::from_secs(20);

impl Target {
    /// A client for where the table is.
    ///
    /// An address on this machine is an emulator, which takes any credentials: where the environment has none, some are
    /// made up, so that nobody has to.
    async fn client(&self) -> Client {
        let client = muster::lambda::dynamodb_client().await;
        let Some(url) = &self.endpoint_url else { return client };
        let mut config = client.config().to_builder().endpoint_url(url.as_str());
        if is_loopback(url) && env::var_os("AWS_ACCESS_KEY_ID").is_none() && env::var_os("AWS_PROFILE").is_none() {
            config = config.credentials_provider(Credentials::new("local", "local", None, None, "local"));
            if client.config().region().is_none() {
                config = config.region(aws_sdk_dynamodb::config::Region::from_static("us-east-1"));
            }
        }
        Client::from_conf(config.build())
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

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

//! The table that a command works on.

use std::env;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::{Client, config::Region};
use clap::Args;
use muster_domain::OrganizationId;
use muster_service::store::{Store, Table};
use tokio::time::Instant;
use url::Url;

use super::{CALL_TIMEOUT, aws, local_stack::running_stack};
use crate::{emulator, output, running::RunningStack};

/// The name of the table in a local stack, and of `muster table create`.
const DEFAULT_TABLE: &str = "muster";

/// The alternatives to the running stack.
const ALTERNATIVES: &str =
    "name a table with --table, or pass --aws for the table muster of the AWS account";

/// The options that select a table.
#[derive(Debug, Clone, Args)]
pub struct TableTarget {
    /// Name of the table [default: the table of the running `muster dev`; muster, with --aws or
    /// --endpoint-url]
    #[arg(long, env = "TABLE_NAME", value_name = "NAME", value_parser = table_name)]
    pub table: Option<String>,
    /// Endpoint of DynamoDB [default: the running `muster dev`; the endpoint of AWS, with --table
    /// or --aws]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<url::Url>,
    /// Use the AWS account of the environment (AWS_PROFILE, AWS_REGION, …), and no local stack
    #[arg(long, conflicts_with = "endpoint_url")]
    pub aws: bool,
}

/// A table and its endpoint.
#[derive(Debug, Clone)]
pub struct TableLocation {
    /// The table's name.
    pub table: String,
    /// The endpoint of DynamoDB, or none for the one of the environment.
    endpoint_url: Option<Url>,
    /// The local stack of the table, if the command found it by itself.
    pub stack: Option<RunningStack>,
}

impl TableTarget {
    /// Returns the table: the one that the options name, or else the one of the running local
    /// stack.
    ///
    /// # Errors
    /// The options name no table, and no local stack runs or the environment selects an account.
    pub(super) async fn resolve(self) -> anyhow::Result<TableLocation> {
        let Self {
            table,
            endpoint_url,
            aws,
        } = self;
        if aws || table.is_some() || endpoint_url.is_some() {
            return Ok(TableLocation {
                table: table.unwrap_or_else(|| DEFAULT_TABLE.to_owned()),
                endpoint_url,
                stack: None,
            });
        }
        let stack = running_stack(ALTERNATIVES).await?;
        Ok(TableLocation {
            table: stack.table.clone(),
            endpoint_url: Some(stack.dynamodb_url.clone()),
            stack: Some(stack),
        })
    }
}

impl TableLocation {
    /// Returns a client for the table's endpoint. An emulator on this machine needs no credentials.
    ///
    /// # Errors
    /// The environment has no credentials for AWS.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        // A local stack that does not listen on the loopback interface needs no credentials either.
        if let Some(url) = &self.endpoint_url
            && (self.stack.is_some() || emulator::is_local_without_credentials(url))
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

    /// Returns an organization: the given one, or else the one that the greeting of the local stack
    /// shows.
    ///
    /// # Errors
    /// No organization is given, and the table is not that of a local stack.
    pub(super) fn organization(
        &self,
        given: Option<OrganizationId>,
    ) -> anyhow::Result<OrganizationId> {
        if let Some(given) = given {
            return Ok(given);
        }
        let stack = self
            .stack
            .as_ref()
            .context("name the organization with --organization")?;
        let id = &stack.greeted().organization_id;
        output::note(format_args!(
            "using the organization {id} of the local stack"
        ));
        Ok(OrganizationId::parse(id)?)
    }

    /// Checks that an organization exists: a misspelt id would have an empty list. One round trip.
    ///
    /// # Errors
    /// There is no such organization, or the table fails.
    pub(super) async fn ensure_organization(
        &self,
        store: &Store,
        organization: &OrganizationId,
    ) -> anyhow::Result<()> {
        let exists = store
            .organization_exists(organization)
            .await
            .map_err(|error| self.explain(error))?;
        ensure!(
            exists,
            "there is no organization {organization} in table {:?}: check --organization",
            self.table
        );
        Ok(())
    }

    /// Returns the table and its place, to name them in a question.
    pub(super) fn place(&self) -> String {
        format!("the table {} at {}", self.table, self.endpoint())
    }

    /// Returns the endpoint of DynamoDB for a message.
    fn endpoint(&self) -> String {
        self.endpoint_url
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| env::var("AWS_ENDPOINT_URL_DYNAMODB").ok())
            .or_else(|| env::var("AWS_ENDPOINT_URL").ok())
            .unwrap_or_else(|| "AWS".to_owned())
    }

    /// Adds the fix to an error of the table, if the cause is known.
    pub(super) fn explain(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let place = self.endpoint();
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

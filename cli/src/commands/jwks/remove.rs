//! `muster jwks remove`.

use anyhow::bail;
use clap::Args;
use muster_domain::OrganizationId;
use serde_json::json;

use super::none;
use crate::{
    commands::{Confirmation, TableTarget, values},
    output,
};

/// `muster jwks remove`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster jwks remove --organization acme
  muster jwks remove --organization acme --yes")]
pub struct Remove {
    /// Organization of the tokens
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Print one line of JSON: the organization and the number of removed keys
    #[arg(long)]
    pub json: bool,
    /// The confirmation.
    #[command(flatten)]
    pub confirmation: Confirmation,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Remove {
    /// Removes the organization's keys.
    ///
    /// # Errors
    /// The organization has no keys, the user declines, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            json,
            confirmation,
            target,
        } = self;
        let target = target.resolve().await?;
        let issuer = target
            .store()
            .await?
            .token_issuer(&organization)
            .await
            .map_err(|error| target.explain(error))?;
        let Some(issuer) = issuer else {
            bail!(none(&organization))
        };
        confirmation.confirm(&format!(
            "Remove the {} keys that verify the tokens of {organization}, from {}",
            issuer.keys.as_slice().len(),
            target.place()
        ))?;
        // The confirmation can take longer than the deadline of the first operation.
        let store = target.store().await?;
        if !store
            .remove_token_issuer(&organization)
            .await
            .map_err(|error| target.explain(error))?
        {
            bail!(none(&organization));
        }
        if json {
            return Ok(output::line(json!({
                "organization_id": organization.as_str(),
                "removed": issuer.keys.as_slice().len(),
            }))?);
        }
        Ok(output::line(format_args!(
            "Tokens of {organization} are rejected. Functions cache the keys for up to 60 seconds."
        ))?)
    }
}

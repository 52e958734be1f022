//! `muster jwks remove`.

use anyhow::bail;
use clap::Args;
use muster_domain::OrganizationId;

use super::none;
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster jwks remove`
#[derive(Debug, Args)]
pub struct Remove {
    /// Whose tokens
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Which table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Remove {
    /// Forgets an organization's keys.
    ///
    /// # Errors
    /// There are none, or the table's.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            target,
        } = self;
        let store = target.store().await?;
        if !store
            .remove_token_issuer(&organization)
            .await
            .map_err(|error| target.explain(error))?
        {
            bail!(none(&organization));
        }
        Ok(output::line(format_args!(
            "No token of {organization} is good any more. Functions that know its keys stop taking them within 60 seconds."
        ))?)
    }
}

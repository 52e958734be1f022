//! `muster jwks show`.

use anyhow::bail;
use clap::Args;
use muster_domain::{OrganizationId, TokenKey};

use super::{key_set::describe, none};
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster jwks show`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster jwks show --organization acme
  muster jwks show --organization acme --json > jwks.json")]
pub struct Show {
    /// Organization of the tokens
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Print one line of JSON, which `muster jwks set` accepts
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Show {
    /// Prints the organization's keys.
    ///
    /// # Errors
    /// The organization has no keys, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            json,
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
        if json {
            return Ok(output::line(describe(&issuer))?);
        }
        Ok(output::write(|out| {
            writeln!(
                out,
                "Issuer:    {}",
                issuer.issuer.as_deref().unwrap_or("any")
            )?;
            writeln!(
                out,
                "Audience:  {}",
                issuer.audience.as_deref().unwrap_or("any")
            )?;
            writeln!(out, "Set:       {}", issuer.updated_at.iso8601())?;
            writeln!(out, "BITS  KID")?;
            for TokenKey { kid, key } in issuer.keys.as_slice() {
                writeln!(out, "{}  {}", key.bits(), kid.as_deref().unwrap_or("-"))?;
            }
            Ok(())
        })?)
    }
}

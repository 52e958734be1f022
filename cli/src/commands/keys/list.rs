//! `muster keys list`.

use std::io::{self, Write};

use clap::Args;
use muster_domain::{ApiKey, OrganizationId};

use super::description::{ID_DIGITS, describe, id, origin, scopes, state};
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster keys list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster keys list --organization acme
  muster keys list --organization acme --json | jq -r .id")]
pub struct List {
    /// Organization of the keys
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Print one line of JSON for each key
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl List {
    /// Prints the organization's keys.
    ///
    /// # Errors
    /// The table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            json,
            target,
        } = self;
        let target = target.resolve().await?;
        let keys = target
            .store()
            .await?
            .api_keys(&organization)
            .await
            .map_err(|error| target.explain(error))?;
        if json {
            return Ok(output::write(|out| {
                keys.iter()
                    .try_for_each(|key| writeln!(out, "{}", describe(key)))
            })?);
        }
        if keys.is_empty() {
            output::note(format_args!(
                "The organization {organization} has no keys. `muster keys create` creates one."
            ));
            return Ok(());
        }
        Ok(output::write(|out| write_list(out, &keys))?)
    }
}

fn write_list(out: &mut dyn Write, keys: &[ApiKey]) -> io::Result<()> {
    writeln!(
        out,
        "{:ID_DIGITS$}  {:8}  {:20}  {:34}  {:36}  {:18}  NAME",
        "ID", "KIND", "CREATED", "STATE", "SCOPES", "FROM"
    )?;
    for key in keys {
        writeln!(
            out,
            "{}  {:8}  {}  {:34}  {:36}  {:18}  {}",
            id(key),
            key.kind.as_str(),
            key.created_at.iso8601(),
            state(key),
            scopes(key).join(","),
            origin(key),
            key.name.as_deref().unwrap_or("-")
        )?;
    }
    Ok(())
}

//! `muster table create`.

use clap::Args;
use serde_json::json;

use crate::{commands::TableTarget, output, sam::Template};

/// `muster table create`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster table create
  muster table create --table muster --aws")]
pub struct Create {
    /// Print one line of JSON: the name of the table, and if the command created it
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Create {
    /// Creates the table.
    ///
    /// # Errors
    /// DynamoDB refuses, or the output cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { json, target } = self;
        let target = target.resolve().await?;
        let created = Template::load()?
            .table
            .create(&target.client().await?, &target.table)
            .await
            .map_err(|error| target.explain(error))?;
        let table = &target.table;
        if json {
            return Ok(output::line(json!({ "table": table, "created": created }))?);
        }
        Ok(output::line(if created {
            format!("Created the table {table}.")
        } else {
            format!("The table {table} already exists.")
        })?)
    }
}

//! `muster table create`.

use clap::Args;

use crate::{commands::TableTarget, output, sam::Template};

/// `muster table create`
#[derive(Debug, Args)]
pub struct Create {
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
        let Self { target } = self;
        let target = target.resolve().await?;
        let created = Template::load()?
            .table
            .create(&target.client().await?, &target.table)
            .await
            .map_err(|error| target.explain(error))?;
        let table = &target.table;
        Ok(output::line(if created {
            format!("Created the table {table}.")
        } else {
            format!("The table {table} already exists.")
        })?)
    }
}

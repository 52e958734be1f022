//! `muster table`.

use crate::{args::TableCreate, output, template::Template};

/// Creates the table.
///
/// # Errors
/// DynamoDB's, or the output cannot be written.
pub async fn create(TableCreate { target }: TableCreate) -> anyhow::Result<()> {
    let created = Template::load()?
        .table
        .create(&target.client().await?, &target.table)
        .await
        .map_err(|error| target.explain(error))?;
    let table = &target.table;
    Ok(output::line(if created {
        format!("Created the table {table}.")
    } else {
        format!("The table {table} exists already.")
    })?)
}

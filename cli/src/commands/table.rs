//! `muster table`.

use crate::{args::TableCreate, template::Template};

/// Creates the table.
///
/// # Errors
/// DynamoDB's.
pub async fn create(TableCreate { target }: TableCreate) -> anyhow::Result<()> {
    let created = Template::load()?
        .table
        .create(&target.client().await?, &target.table)
        .await
        .map_err(|error| target.explain(error))?;
    if created {
        println!("Created the table {}.", target.table);
    } else {
        println!("The table {} exists already.", target.table);
    }
    Ok(())
}

//! `muster table`.

use anyhow::Context;

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
        .with_context(|| format!("could not create the table {:?}", target.table))?;
    if created {
        println!("Created the table {}.", target.table);
    } else {
        println!("The table {} exists already; nothing was changed.", target.table);
    }
    Ok(())
}

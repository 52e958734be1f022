//! `muster schema`: the JSON Schemas of the events.

use clap::{Args, builder::PossibleValuesParser};
use muster_contracts::events::schemas;

use crate::output;

/// `muster schema`
#[derive(Debug, Args)]
pub struct SchemaCommand {
    /// Which event
    #[arg(value_parser = PossibleValuesParser::new(schemas::names()))]
    pub event: String,
}

impl SchemaCommand {
    /// Prints the schema of the event.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { event } = self;
        let schema = schemas::document(&event).expect("the parser accepts only known names");
        Ok(output::write(|out| out.write_all(schema.as_bytes()))?)
    }
}

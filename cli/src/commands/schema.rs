//! `muster schema`: the JSON Schemas of the events.

use clap::{Args, builder::PossibleValuesParser};
use muster_contracts::events::schemas;
use serde_json::{Map, Value};

use crate::output;

/// `muster schema`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster schema ticket-event > ticket-event.json
  muster schema user-event --json")]
pub struct SchemaCommand {
    /// Which event
    #[arg(value_parser = PossibleValuesParser::new(schemas::names()))]
    pub event: String,
    /// Print the schema in one line
    #[arg(long)]
    pub json: bool,
}

impl SchemaCommand {
    /// Prints the schema of the event.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { event, json } = self;
        let schema = schemas::document(&event).expect("the parser accepts only known names");
        if json {
            let schema: Map<String, Value> = serde_json::from_str(&schema)?;
            return Ok(output::line(Value::Object(schema))?);
        }
        Ok(output::write(|out| out.write_all(schema.as_bytes()))?)
    }
}

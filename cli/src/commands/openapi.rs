//! `muster openapi`: the contracts as OpenAPI documents.

use clap::{Args, ValueEnum};
use muster_contracts::openapi;
use muster_domain::Contract;
use serde_json::{Map, Value};

use crate::output;

/// `muster openapi`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster openapi itsm > itsm.json
  muster openapi toptickets --json")]
pub struct Openapi {
    /// Which contract
    #[arg(value_enum)]
    pub contract: ContractArg,
    /// Print the document in one line
    #[arg(long)]
    pub json: bool,
}

impl Openapi {
    /// Prints the contract's document.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self {
            contract: ContractArg(contract),
            json,
        } = self;
        if json {
            let document: Map<String, Value> =
                serde_json::from_str(openapi::document(contract).as_ref())?;
            return Ok(output::line(Value::Object(document))?);
        }
        Ok(output::write(|out| {
            out.write_all(openapi::document(contract).as_bytes())
        })?)
    }
}

/// The contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractArg(pub Contract);

impl ValueEnum for ContractArg {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Contract::Toptickets), Self(Contract::Itsm)] }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

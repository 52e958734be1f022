//! `muster openapi`: the contracts as OpenAPI documents.

use clap::{Args, ValueEnum};
use muster_contracts::openapi;
use muster_domain::Contract;

use crate::output;

/// `muster openapi`
#[derive(Debug, Args)]
pub struct Openapi {
    /// Which contract
    #[arg(value_enum)]
    pub contract: ContractArg,
}

impl Openapi {
    /// Prints the contract's document.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self {
            contract: ContractArg(contract),
        } = self;
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

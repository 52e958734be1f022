//! `muster openapi`: the contracts as OpenAPI documents.

use std::io::Write;

use muster::openapi;

use crate::args::{ContractName, Openapi};

/// Prints a contract's document.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print(&Openapi { contract: ContractName(contract) }: &Openapi) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(openapi::document(contract).as_bytes())?)
}

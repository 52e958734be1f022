//! `muster openapi`: the contracts as OpenAPI documents.

use muster::openapi;

use crate::{
    args::{ContractName, Openapi},
    output,
};

/// Prints a contract's document.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print(
    &Openapi {
        contract: ContractName(contract),
    }: &Openapi,
) -> anyhow::Result<()> {
    Ok(output::write(|out| {
        out.write_all(openapi::document(contract).as_bytes())
    })?)
}

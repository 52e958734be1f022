//! Cost: dollars for a million requests of each endpoint, and for a million tickets, from measured
//! capacity and round trips and a table of list prices. With `--write`, docs/cost.md has the
//! tables; without it, the part says if the page differs.

mod page;
mod prices;
mod requests;
mod tickets;

use std::{fs, path::Path};

use anyhow::Context;

use crate::{
    Options,
    fixture::{Fixture, function_runtime},
    report::{Figure, Unit},
};
use prices::Usage;

/// A million of something, as it is billed.
struct Million {
    name: String,
    usage: Usage,
    /// The usage without strong consistency and without transactions.
    floor: Usage,
}

/// Measures requests and tickets.
///
/// # Errors
/// A request fails, or docs/cost.md cannot be written.
pub fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let fixture = Fixture::start()?;
    let (requests, tickets) = function_runtime()?.block_on(async {
        let requests = requests::measure(&fixture).await?;
        anyhow::Ok((requests, tickets::measure(&fixture).await?))
    })?;
    let page = page::render(&requests, &tickets);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cost.md");
    if options.writes {
        fs::write(&path, &page).with_context(|| path.display().to_string())?;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    if written != page {
        eprintln!("docs/cost.md is out of date; run `cargo bench -- cost --write`");
    }
    let figures = requests.iter().chain(&tickets).map(|it| {
        Figure::new(
            format!("a million x {}", it.name),
            it.usage.dollars(),
            Unit::Dollars,
        )
        .beside("floor", it.floor.dollars())
    });
    Ok(figures.collect())
}

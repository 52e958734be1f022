//! Routing: tickets per second through the planner, without I/O, and through the handler of
//! `assignment` with the embedded engine.

mod engine;
mod planner;

use crate::{Options, report::Figure};

/// The tickets of a batch.
const BATCHES: [usize; 3] = [1, 10, 80];
/// The teams of the tickets.
const TEAMS: &[u32] = &[1, 50];
/// The members of each team.
const MEMBERS: [u32; 3] = [5, 50, 500];

/// Measures the planner and the handler.
///
/// # Errors
/// The local stack fails, or criterion's results cannot be read.
pub fn run(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = planner::measure()?;
    figures.extend(engine::measure()?);
    Ok(figures)
}

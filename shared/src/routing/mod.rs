//! Which team, which member: decisions over what was read, with no I/O.
//!
//! [`plan`] takes a batch of tickets and what is [`Known`], and says what to write, or what it would have to know. Tickets are
//! settled one after the other, each seeing what those before it changed, so that a batch ends where its tickets would have
//! ended one by one. Who is given a ticket is each strategy's own file.

mod choose;
mod known;
mod least_busy;
mod plan;
mod round_robin;
mod settle;
mod skill_based;
mod specialists;

pub use choose::{Choice, choose};
pub use known::{Desk, Known, Missing, Seat, TeamState};
pub use plan::{Counted, Decided, LoadWrite, MAX_WRITES, MemberWrite, Plan, Turn, Writes, plan};
pub use settle::{Cause, Work};

#[cfg(test)]
mod tests;

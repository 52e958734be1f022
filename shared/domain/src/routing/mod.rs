//! Which team, which member: decisions over what was read, with no I/O.
//!
//! [`plan`] takes a batch of tickets and what is [`Known`], and says what to write, or what it would have to know. Tickets are
//! settled one after the other, each seeing what those before it changed, so that a batch ends
//! where its tickets would have ended one by one. [`Choices`] finds the team of a ticket that names
//! none, before a plan is made. Each strategy's own file chooses the member.

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
pub use specialists::{
    Choices, MAX_ENTRIES, MAX_TEAMS, Specialist, Specialists, TeamCandidate, TeamChoice, Wanted,
    candidates,
};

#[cfg(test)]
mod tests;

//! Routing: selects a team and a member for each ticket. Pure functions over [`PlanningInput`].
//!
//! [`plan`] takes a batch of tasks and returns the writes, or the [`MissingInput`] to read first.
//! It reconciles the tickets one after the other, and each sees the effect of those before it. A
//! batch therefore ends in the state in which its tickets would have ended one by one.
//!
//! Modules, in the order of a plan: `input` (the state that was read), `plan` (the batch, and its
//! transactions), `reconcile` (one ticket), `team_match` (a team for a ticket that names none),
//! `select` (a member of the team), `rank` and `strategy` (the order of the members). Each strategy
//! is one file in `strategy`, and one line of the `match` in `strategy::rank`.

mod input;
mod plan;
mod rank;
mod reconcile;
mod select;
mod strategy;
mod team_match;

pub use input::{
    MemberInput, MissingInput, PlanningInput, TeamInput, TeamLookup, TeamMatch, UnmatchedTicket,
};
pub use plan::{
    CounterItem, DecisionCounts, LoadWrite, MAX_WRITES, MemberWrite, Plan, TransactionPlan,
    TurnAdvance, plan,
};
pub use reconcile::{TicketTask, Trigger};
pub use select::{Selection, select_member};
pub use team_match::{
    MAX_ENTRIES, MAX_TEAMS, TeamCandidate, TeamMatcher, TopicEntry, TopicPage, candidates,
};

#[cfg(test)]
mod tests;

//! Routing: selects a team and a member for each ticket. Pure functions over [`PlanningInput`].
//!
//! [`plan`] takes a batch of tasks and returns the writes, or the [`MissingInput`] to read first.
//! It reconciles the tickets one after the other, and each sees the effect of those before it. A
//! batch therefore ends in the state in which its tickets would have ended one by one.
//!
//! Modules, in the order of a plan: `input` (the items that were read), `state` (the batch between
//! two of its tickets), `plan` (the batch), `reconcile` (one ticket), `team_match` (a team for a
//! ticket that names none), `select` (a member of the team), `rank`, `skills` and `strategy` (the
//! order of the members), `transaction` (the writes). Each strategy is one file in `strategy`, with
//! one line in each `match` of `strategy`.

mod input;
mod plan;
mod rank;
mod reconcile;
mod select;
mod skills;
mod state;
mod strategy;
mod team_match;
mod transaction;

pub use input::{MissingInput, PlanningInput, TeamInput, TeamLookup, TeamMatch, UnmatchedTicket};
pub use plan::{Plan, plan};
pub use reconcile::{TicketTask, Trigger};
pub use team_match::{
    MAX_ENTRIES, MAX_TEAMS, TeamCandidate, TeamMatcher, TopicEntry, TopicPage, candidates,
};
pub use transaction::{
    CounterItem, DecisionCounts, LoadWrite, MAX_WRITES, MemberWrite, TransactionPlan, TurnAdvance,
};

#[cfg(test)]
mod tests;

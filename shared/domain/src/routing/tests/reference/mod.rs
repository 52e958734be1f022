//! The reference planner: it clones its input for each plan, and sorts all members for each ticket.
//!
//! Every plan of the tests is compared with the plan of the reference. The types of a result are
//! those of the planner.

mod input;
mod plan;
mod rank;
mod reconcile;
mod select;
mod strategy;
mod team_match;

use std::collections::BTreeMap;

use self::{
    input::{MemberInput, PlanningInput, TeamInput, TeamLookup},
    plan::plan,
    select::{Selection, select_member},
};
use crate::{
    Folded, Ticket, TicketId, Timestamp, Topics,
    routing::{self, MissingInput, TicketTask},
};

/// Asserts that the reference returns the same result: turns, reasons, candidates, the order of
/// writes, and the missing input.
pub(super) fn assert_same(
    planned: &Result<routing::Plan, MissingInput>,
    tasks: &[TicketTask],
    tickets: &BTreeMap<TicketId, Ticket>,
    input: &routing::PlanningInput,
    now: Timestamp,
) {
    let expected = plan(tasks, tickets, &input.into(), now);
    assert_eq!(*planned, expected);
}

fn matched(topics: &Topics, tags: &[Folded]) -> usize {
    let is_topic = |tag: &&Folded| topics.as_slice().contains(tag);
    tags.iter().filter(is_topic).count()
}

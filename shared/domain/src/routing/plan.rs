//! Plans a batch: reconciles each ticket, and combines the writes into few transactions.

use std::collections::BTreeMap;

use super::{
    MissingInput, PlanningInput, TicketTask, TransactionPlan,
    reconcile::{Reconciliation, reconcile},
    state::BatchState,
    transaction::Transactions,
};
use crate::{TeamId, Ticket, TicketId, Timestamp};

/// The writes for a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The transactions of each team, in order. Each one assumes that those before it committed.
    /// Transactions of different teams are independent.
    pub groups: Vec<Vec<TransactionPlan>>,
    /// The positions of the tasks that need no write.
    pub unchanged: Vec<usize>,
    /// The number of superseded events among the tasks that need no write.
    pub superseded: usize,
}

/// Plans a batch, in which each ticket occurs once. Each ticket is planned over the result of those
/// before it.
///
/// # Errors
/// The input that is missing, for the whole batch at once. So the number of read rounds does not
/// grow with the batch.
pub fn plan(
    tasks: &[TicketTask],
    tickets: &BTreeMap<TicketId, Ticket>,
    input: &PlanningInput,
    now: Timestamp,
) -> Result<Plan, MissingInput> {
    let mut state = BatchState::new(input);
    let mut missing = MissingInput::default();
    let mut plan = Plan::default();
    let mut groups: BTreeMap<Option<TeamId>, Transactions> = BTreeMap::new();
    for (position, task) in tasks.iter().enumerate() {
        match reconcile(tickets.get(&task.ticket_id), task, &mut state, now) {
            Ok(Reconciliation {
                planned: Some(planned),
                superseded,
            }) => {
                let left = planned.before.and_then(|before| before.team_id);
                groups
                    .entry(planned.after.team_id.or(left))
                    .or_default()
                    .add(position, planned, superseded);
            }
            Ok(Reconciliation {
                planned: None,
                superseded,
            }) => {
                plan.unchanged.push(position);
                plan.superseded += superseded;
            }
            // The other tickets are still planned, to collect everything that is missing. Their
            // results are discarded.
            Err(more) => missing.add(more),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    plan.groups = groups.into_values().map(Transactions::finish).collect();
    Ok(plan)
}

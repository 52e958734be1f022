//! Plans a batch: reconciles each ticket, and combines the writes into few transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    PlanningInput, TeamLookup,
    reconcile::{PlannedTicket, Reconciliation, SelectedMember, reconcile},
};
use crate::{
    LoadDelta, MemberDelta, PastCounters, TeamId, Ticket, TicketId, TicketState, Timestamp, UserId,
    routing::{
        CounterItem, LoadWrite, MAX_WRITES, MemberWrite, MissingInput, Plan, TicketTask,
        TransactionPlan, TurnAdvance,
    },
};

/// Plans a batch, in which each ticket occurs once.
///
/// # Errors
/// The input that is missing, for the whole batch at once. So the number of read rounds does not
/// grow with the batch.
pub(super) fn plan(
    tasks: &[TicketTask],
    tickets: &BTreeMap<TicketId, Ticket>,
    input: &PlanningInput,
    now: Timestamp,
) -> Result<Plan, MissingInput> {
    // Each ticket is planned over the result of those before it.
    let mut current = input.clone();
    let mut missing = MissingInput::default();
    let mut plan = Plan::default();
    let mut groups: BTreeMap<Option<TeamId>, Vec<(usize, PlannedTicket, usize)>> = BTreeMap::new();
    for (position, task) in tasks.iter().enumerate() {
        match reconcile(tickets.get(&task.ticket_id), task, &mut current, now) {
            Ok(Reconciliation {
                planned: Some(planned),
                superseded,
            }) => {
                let left = planned.before.as_ref().and_then(|before| before.team_id);
                groups
                    .entry(planned.after.team_id.or(left))
                    .or_default()
                    .push((position, planned, superseded));
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
    plan.groups = groups
        .into_values()
        .map(|planned| transactions(planned, input))
        .collect();
    Ok(plan)
}

/// Cuts the tickets of a team into transactions within the limit.
fn transactions(
    planned: Vec<(usize, PlannedTicket, usize)>,
    input: &PlanningInput,
) -> Vec<TransactionPlan> {
    let mut transactions = Vec::new();
    let mut current = TransactionPlan::default();
    for (position, planned, superseded) in planned {
        if current.items_with(&planned) > MAX_WRITES {
            transactions.push(std::mem::take(&mut current));
        }
        current.add(position, planned, input);
        current.decisions.superseded += superseded;
    }
    if !current.tasks.is_empty() {
        transactions.push(current);
    }
    transactions
        .iter_mut()
        .for_each(TransactionPlan::drop_empty_writes);
    transactions
}

impl TransactionPlan {
    /// Returns an upper bound of the number of items if this ticket is added.
    fn items_with(&self, planned: &PlannedTicket) -> usize {
        let versions = || planned.before.iter().chain([&planned.after]);
        let checked = planned.placeholder.as_ref().and(planned.after.team_id);
        let loads: BTreeSet<_> = versions()
            .filter_map(|ticket| Some(ticket.adds_to_team()?.0))
            .chain(checked)
            .collect();
        let members: BTreeSet<_> = versions()
            .filter_map(|ticket| ticket.adds_to_member().map(|(team, user, _)| (team, user)))
            .collect();
        let more_loads = loads
            .iter()
            .filter(|team| !self.loads.contains_key(team))
            .count();
        let more_members = members
            .iter()
            .filter(|member| !self.members.contains_key(member))
            .count();
        // The creation of a placeholder also checks that there is no membership.
        let checks = usize::from(planned.placeholder.is_some());
        self.items() + 1 + more_loads + more_members + checks
    }

    /// Adds a ticket and the change of its counters.
    fn add(&mut self, position: usize, planned: PlannedTicket, input: &PlanningInput) {
        let PlannedTicket {
            before,
            after,
            selected,
            placeholder,
        } = planned;
        self.count_ticket(before.as_ref(), &after, placeholder, input);
        if let Some(selected) = selected {
            self.advance_turns(selected);
        }
        let place = |ticket: &Ticket| (ticket.state, ticket.team_id);
        let has_moved = before.as_ref().map(place) != Some(place(&after));
        let began = |state| usize::from(has_moved && after.state == state);
        self.decisions.assigned += usize::from(selected.is_some());
        self.decisions.unrouted += began(TicketState::Unrouted);
        self.decisions.begun_waiting += began(TicketState::Waiting);
        self.tasks.push(position);
        self.tickets
            .push((before.map(|before| before.rev), Box::new(after)));
    }

    /// Moves the counters by the contribution of a ticket after, less that before.
    fn count_ticket(
        &mut self,
        before: Option<&Ticket>,
        after: &Ticket,
        placeholder: Option<PastCounters>,
        input: &PlanningInput,
    ) {
        let contribution = |ticket: &Ticket| (ticket.adds_to_team(), ticket.adds_to_member());
        let (left, left_member) = before.map(contribution).unwrap_or_default();
        let (entered, entered_member) = contribution(after);
        if let Some((team, delta)) = left {
            self.count_load(team, delta.negated(), false, input);
        }
        if let Some((team, user, delta)) = left_member {
            self.count_member(team, user, delta.negated(), input);
        }
        if let Some((team, delta)) = entered {
            let stays = left.is_some_and(|(left, _)| left == team);
            self.count_load(team, delta, !stays, input);
        }
        if let Some((team, user, delta)) = entered_member {
            self.count_member(team, user, delta, input);
            if let (Some(past), Some(write)) = (placeholder, self.members.get_mut(&(team, user))) {
                write.counter_item = CounterItem::NewPastCounters(past);
                // A ticket that was closed in its first event may change no counter of the load.
                // The placeholder still requires the team: a sweep that has passed would not
                // remove it.
                self.count_load(team, LoadDelta::default(), true, input);
            }
        }
    }

    /// Advances the turn of the team and of the selected member. Several decisions of one
    /// transaction are one advance: from the turn that was read to that of the last decision.
    fn advance_turns(&mut self, selected: SelectedMember) {
        let SelectedMember {
            team,
            user,
            turn,
            last_turn,
        } = selected;
        let advance = |before: Option<TurnAdvance>, read: u64| {
            let from = before.map_or(read, |before| before.from);
            Some(TurnAdvance { from, to: turn })
        };
        if let Some(write) = self.loads.get_mut(&team) {
            write.turn = advance(write.turn, turn - 1);
        }
        if let Some(write) = self.members.get_mut(&(team, user)) {
            write.turn = advance(write.turn, last_turn);
        }
    }

    fn count_load(
        &mut self,
        team: TeamId,
        delta: LoadDelta,
        requires_team: bool,
        input: &PlanningInput,
    ) {
        let (is_deleted, delta) = match input.teams.get(&team) {
            Some(TeamLookup::Found(_)) => (false, delta),
            // The tombstone has no SLA counters: no endpoint shows those of a deleted team.
            Some(TeamLookup::Deleted) => {
                let delta = LoadDelta {
                    sla_met: 0,
                    sla_due: 0,
                    ..delta
                };
                (true, delta)
            }
            Some(TeamLookup::NotFound) | None => return,
        };
        let empty = LoadWrite {
            is_deleted,
            delta: LoadDelta::default(),
            turn: None,
            requires_team: false,
        };
        let write = self.loads.entry(team).or_insert(empty);
        write.delta = write.delta.plus(delta);
        write.requires_team |= requires_team;
    }

    fn count_member(
        &mut self,
        team: TeamId,
        user: UserId,
        delta: MemberDelta,
        input: &PlanningInput,
    ) {
        // The sweep of a deleted team removes its memberships with their counters.
        if let Some(TeamLookup::Found(team_input)) = input.teams.get(&team) {
            // The input has no counters that an earlier transaction of the batch creates. They
            // exist when this one is written.
            let counter_item = if team_input.member(user).is_some() {
                CounterItem::Membership
            } else {
                CounterItem::PastCounters
            };
            let empty = MemberWrite {
                delta: MemberDelta::default(),
                turn: None,
                counter_item,
            };
            let write = self.members.entry((team, user)).or_insert(empty);
            write.delta = write.delta.plus(delta);
        }
    }
}

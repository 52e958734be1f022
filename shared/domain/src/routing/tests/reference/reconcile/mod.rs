//! Reconciles one ticket: merges its events, places it, and computes the change of the counters.

mod draft;

use self::draft::Draft;
use super::{MissingInput, PlanningInput};
use crate::{
    PastCounters, TeamId, Ticket, TicketState, Timestamp, UserId,
    routing::{TicketTask, Trigger},
};

/// A decision of a team's strategy, and the turns that it advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SelectedMember {
    pub(super) team: TeamId,
    pub(super) user: UserId,
    /// The turn that the decision takes: one above the team's turn before it.
    pub(super) turn: u64,
    /// The turn of the member's latest decision before this one.
    pub(super) last_turn: u64,
}

/// A ticket to write.
#[derive(Debug, Clone)]
pub(super) struct PlannedTicket {
    /// The ticket as it was read; `None` for a new one.
    pub(super) before: Option<Ticket>,
    pub(super) after: Ticket,
    /// The decision, if a strategy made one.
    pub(super) selected: Option<SelectedMember>,
    /// The counters to create for an assignee that is not a member.
    pub(super) placeholder: Option<PastCounters>,
}

/// The result for a ticket.
#[derive(Debug, Clone, Default)]
pub(super) struct Reconciliation {
    /// The ticket to write. `None` if the ticket stays as it is.
    pub(super) planned: Option<PlannedTicket>,
    /// The number of superseded events: newer events have set every field that they mention.
    pub(super) superseded: usize,
}

/// Reconciles a ticket, and applies the result to the input.
///
/// # Errors
/// The input that is missing. The input is then unchanged, so the caller can read it and
/// plan the whole batch again.
pub(super) fn reconcile(
    before: Option<&Ticket>,
    task: &TicketTask,
    input: &mut PlanningInput,
    now: Timestamp,
) -> Result<Reconciliation, MissingInput> {
    let Some(mut draft) = Draft::start(before, task, input, now)? else {
        return Ok(Reconciliation::default());
    };
    if !apply_trigger(&mut draft, &task.trigger, input)? {
        return Ok(Reconciliation {
            planned: None,
            superseded: draft.superseded,
        });
    }
    // A sweep does not route to another team. It has to end by a counter of the deleted team, and
    // the decisions of other teams would only add conflicts. The next event or pass routes the
    // ticket.
    let may_match_team = task.trigger != Trigger::TeamDeleted;
    let selected = draft.place(input, may_match_team, now)?;
    let Draft {
        before,
        ticket: mut after,
        superseded,
        ..
    } = draft;
    if is_no_op(&task.trigger, before.as_ref(), &after) {
        return Ok(Reconciliation::default());
    }
    after.rev += 1;
    require_counters(before.as_ref(), &after, input)?;
    let placeholder = placeholder(&after, input)?;
    let planned = PlannedTicket {
        before,
        after,
        selected,
        placeholder,
    };
    // Every check that can fail is above this line, so the input changes as a whole or not at all.
    apply(&planned, input);
    Ok(Reconciliation {
        planned: Some(planned),
        superseded,
    })
}

/// Merges the events of a trigger into the draft. Returns whether the ticket has to be placed.
///
/// Lists of tickets come from an eventually consistent index, and jobs are redelivered. So the
/// ticket may have left the state for which a drain, a pass or a sweep found it.
fn apply_trigger(
    draft: &mut Draft,
    trigger: &Trigger,
    input: &PlanningInput,
) -> Result<bool, MissingInput> {
    let state = draft.ticket.state;
    Ok(match trigger {
        Trigger::Events(events) => {
            for event in events {
                draft.apply_event(event, input)?;
            }
            draft.has_changed
        }
        // If the team was deleted, the sweep handles the ticket.
        Trigger::Waiting => state == TicketState::Waiting && draft.deleted_team.is_none(),
        Trigger::Unrouted => state == TicketState::Unrouted,
        Trigger::TeamDeleted => draft.deleted_team.is_some(),
    })
}

/// Returns whether a drain or a pass leaves the ticket in its place. Such a task does not
/// write: a new revision alone would only cause conflicts.
fn is_no_op(trigger: &Trigger, before: Option<&Ticket>, after: &Ticket) -> bool {
    let stays =
        before.is_some_and(|before| before.state == after.state && before.team_id == after.team_id);
    stays && matches!(trigger, Trigger::Waiting | Trigger::Unrouted)
}

/// Checks that the input has the counters of every team and user that the ticket changes.
///
/// Placing a closed ticket requires neither, but its credit counts in both.
///
/// # Errors
/// The teams and the past counters that are missing.
fn require_counters(
    before: Option<&Ticket>,
    after: &Ticket,
    input: &PlanningInput,
) -> Result<(), MissingInput> {
    let mut missing = MissingInput::default();
    for ticket in before.into_iter().chain([after]) {
        let of_team = ticket.adds_to_team().map(|(team, _)| team);
        let of_member = ticket.adds_to_member().map(|(team, user, _)| (team, user));
        let team = of_team.or(of_member.map(|(team, _)| team));
        if let Some(Err(more)) = team.map(|team| input.team(team)) {
            missing.add(more);
        } else if let Some((team, user)) = of_member
            && let Some(team_input) = input.team_input(team)?
            && team_input.member(user).is_none()
            && !team_input.past_counters.contains_key(&user)
        {
            missing.past_counters.insert((team, user));
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}

/// Returns the placeholder to create for an assignee that is not a member and has no past counters.
fn placeholder(
    after: &Ticket,
    input: &PlanningInput,
) -> Result<Option<PastCounters>, MissingInput> {
    let Some((team, user, _)) = after.adds_to_member() else {
        return Ok(None);
    };
    let is_absent = |past: Option<&Option<PastCounters>>| past == Some(&None);
    Ok(input
        .team_input(team)?
        .filter(|team_input| is_absent(team_input.past_counters.get(&user)))
        .map(|team_input| PastCounters::placeholder(user, team_input.load.turn)))
}

/// Applies a planned ticket to the input, so that the next ticket of the batch sees it.
fn apply(planned: &PlannedTicket, input: &mut PlanningInput) {
    let PlannedTicket {
        before,
        after,
        selected,
        placeholder,
    } = planned;
    if let Some(SelectedMember {
        team, user, turn, ..
    }) = *selected
        && let Some(team_input) = input.team_input_mut(team)
    {
        team_input.load.turn = turn;
        if let Some(member) = team_input.member_mut(user) {
            member.membership.last_turn = turn;
        }
    }
    // Before the counters move: the ticket counts in the placeholder.
    if let Some(past) = placeholder
        && let Some(team_input) = after.team_id.and_then(|team| input.team_input_mut(team))
    {
        team_input
            .past_counters
            .insert(past.user_id, Some(past.clone()));
    }
    input.count(before.as_ref(), after);
}

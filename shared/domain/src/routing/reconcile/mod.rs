//! Reconciles one ticket: merges its events, places it, and computes the change of the counters.

mod draft;

use self::draft::Draft;
use super::{
    MissingInput,
    state::{BatchState, Contribution, Counters, MemberContribution},
};
use crate::{PastCounters, TeamId, Ticket, TicketEvent, TicketId, TicketState, Timestamp, UserId};

/// The reason for which a ticket is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// New events of the ticket, at least one, in the order of their versions.
    Events(Vec<TicketEvent>),
    /// A drain: the ticket waits, and a member of its team may be eligible.
    Waiting,
    /// A pass: the ticket has no team, and a team may have added a matching specialization.
    Unrouted,
    /// A sweep: the team of the ticket was deleted.
    TeamDeleted,
}

/// A ticket to reconcile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketTask {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The reason.
    pub trigger: Trigger,
}

/// A decision of a team's strategy, and the turns that it advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SelectedMember {
    pub(super) team: TeamId,
    pub(super) user: UserId,
    /// The position of the member in the input.
    position: usize,
    /// The turn that the decision takes: one above the team's turn before it.
    pub(super) turn: u64,
    /// The turn of the member's latest decision before this one.
    pub(super) last_turn: u64,
}

/// A ticket to write, and the counters that it moves.
#[derive(Debug)]
pub(super) struct PlannedTicket<'t> {
    /// The ticket as it was read; `None` for a new one.
    pub(super) before: Option<&'t Ticket>,
    pub(super) after: Box<Ticket>,
    /// The contribution of the ticket before.
    pub(super) left: Contribution,
    /// The contribution of the ticket after.
    pub(super) entered: Contribution,
    /// The decision, if a strategy made one.
    pub(super) selected: Option<SelectedMember>,
    /// The counters to create for an assignee that is not a member.
    pub(super) placeholder: Option<PastCounters>,
}

/// The result for a ticket.
#[derive(Debug, Default)]
pub(super) struct Reconciliation<'t> {
    /// The ticket to write. `None` if the ticket stays as it is.
    pub(super) planned: Option<PlannedTicket<'t>>,
    /// The number of superseded events: newer events have set every field that they mention.
    pub(super) superseded: usize,
}

/// Reconciles a ticket, and applies the result to the state of the batch.
///
/// # Errors
/// The input that is missing. The state is then unchanged.
pub(super) fn reconcile<'t>(
    before: Option<&'t Ticket>,
    task: &'t TicketTask,
    state: &mut BatchState<'_>,
    now: Timestamp,
) -> Result<Reconciliation<'t>, MissingInput> {
    let Some(mut draft) = Draft::start(before, task, state, now)? else {
        return Ok(Reconciliation::default());
    };
    if !apply_trigger(&mut draft, &task.trigger, state)? {
        return Ok(Reconciliation {
            planned: None,
            superseded: draft.superseded,
        });
    }
    // A sweep does not route to another team. It has to end by a counter of the deleted team, and
    // the decisions of other teams would only add conflicts. The next event or pass routes the
    // ticket.
    let may_match_team = task.trigger != Trigger::TeamDeleted;
    let selected = draft.place(state, may_match_team, now)?;
    let Draft {
        ticket: mut after,
        superseded,
        ..
    } = draft;
    if is_no_op(&task.trigger, before, &after) {
        return Ok(Reconciliation::default());
    }
    after.rev += 1;
    let (left, entered) = contributions(before, &after, selected, state)?;
    let placeholder = placeholder(&entered, state)?;
    let planned = PlannedTicket {
        before,
        after,
        left,
        entered,
        selected,
        placeholder,
    };
    // Every check that can fail is above this line, so the state changes as a whole or not at all.
    apply(&planned, state);
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
    draft: &mut Draft<'_>,
    trigger: &Trigger,
    batch: &mut BatchState<'_>,
) -> Result<bool, MissingInput> {
    let state = draft.ticket.state;
    Ok(match trigger {
        Trigger::Events(events) => {
            for event in events {
                draft.apply_event(event, batch)?;
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

/// Returns the contributions of a ticket before and after the batch.
///
/// Placing a closed ticket requires neither team nor assignee, but its credit counts in both.
///
/// # Errors
/// The teams and the past counters that were not read yet, of both contributions at once.
fn contributions(
    before: Option<&Ticket>,
    after: &Ticket,
    selected: Option<SelectedMember>,
    state: &mut BatchState<'_>,
) -> Result<(Contribution, Contribution), MissingInput> {
    let position = selected.map(|selected| selected.position);
    let left = before.map_or_else(
        || Ok(Contribution::default()),
        |before| state.contribution(before, None),
    );
    match (left, state.contribution(after, position)) {
        (Ok(left), Ok(entered)) => Ok((left, entered)),
        (Err(missing), Ok(_)) | (Ok(_), Err(missing)) => Err(missing),
        (Err(mut missing), Err(more)) => {
            missing.add(more);
            Err(missing)
        }
    }
}

/// Returns the placeholder to create for an assignee that is not a member and has no past counters.
fn placeholder(
    entered: &Contribution,
    state: &mut BatchState<'_>,
) -> Result<Option<PastCounters>, MissingInput> {
    let Some(MemberContribution {
        team,
        user,
        counters: Some(Counters::Absent),
        ..
    }) = entered.member
    else {
        return Ok(None);
    };
    let team = state.team(team)?;
    Ok(team.map(|team| PastCounters::placeholder(user, team.turn)))
}

/// Applies a planned ticket to the state, so that the next ticket of the batch sees it.
fn apply(planned: &PlannedTicket<'_>, state: &mut BatchState<'_>) {
    if let Some(SelectedMember { team, position, .. }) = planned.selected
        && let Ok(Some(team)) = state.team(team)
    {
        team.advance(position);
    }
    if let Some(past) = &planned.placeholder
        && let Some(MemberContribution { team, .. }) = planned.entered.member
        && let Ok(Some(team)) = state.team(team)
    {
        team.add_placeholder(past.user_id);
    }
    state.count(&planned.left, -1);
    state.count(&planned.entered, 1);
}

//! A ticket between its state before the events and its state after the decision.
//!
//! Events arrive duplicated and in any order, so each field has a version of its own: an event sets
//! a field only if no newer event has set it. The team and the assignee have additional rules,
//! because Muster also sets them by itself.

use std::sync::Arc;

use super::{
    super::{
        MissingInput, PlanningInput, Selection, TeamInput, TeamLookup, select_member, team_match,
    },
    SelectedMember,
};
use crate::{
    Decision, EventVersion, Merge, Priority, Reason, TeamId, Ticket, TicketEvent, TicketEventKind,
    TicketState, TicketStatus, TicketVersions, Timestamp, Topics, UserId,
    routing::{TicketTask, Trigger},
};

/// A ticket that is being reconciled.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate fact of the events, in any combination"
)]
pub(super) struct Draft {
    /// The ticket as it was read; `None` for a new one.
    pub(super) before: Option<Ticket>,
    pub(super) ticket: Ticket,
    /// Whether an event changed the ticket, or is its first one.
    pub(super) has_changed: bool,
    /// The number of superseded events.
    pub(super) superseded: usize,
    /// The deleted team that the ticket was taken from.
    pub(super) deleted_team: Option<TeamId>,
    /// Whether an event named an assignee other than the one before it.
    is_adopted: bool,
    /// Whether an event named the assignee while the ticket was open.
    is_named: bool,
    /// The assignee that an `unassigned` event removed.
    previous: Option<UserId>,
    /// Whether the latest event that names a team names one that does not exist.
    names_missing_team: bool,
    /// The version that a decision gives to the assignee.
    version: Arc<EventVersion>,
}

impl Draft {
    /// Starts from the stored ticket, or from an empty one for a first event. Returns `None` if the
    /// task has no ticket to place.
    pub(super) fn start(
        before: Option<&Ticket>,
        task: &TicketTask,
        input: &PlanningInput,
        now: Timestamp,
    ) -> Result<Option<Self>, MissingInput> {
        let (ticket, version) = match (before, &task.trigger) {
            (Some(ticket), Trigger::Events(events)) => (ticket.clone(), newest(events).cloned()),
            (Some(ticket), _) if ticket.state == TicketState::Deleted => return Ok(None),
            (Some(ticket), _) => (ticket.clone(), ticket.versions.newest().cloned()),
            (None, Trigger::Events(events)) => match (events.first(), newest(events).cloned()) {
                (Some(first), version) => (new_ticket(first, now), version),
                (None, _) => return Ok(None),
            },
            (None, _) => return Ok(None),
        };
        // No event has mentioned a field of the ticket, so an event that does must be newer than
        // this version.
        let oldest = || {
            Arc::new(EventVersion {
                at: ticket.created_at,
                time: None,
                event_id: String::new(),
            })
        };
        let version = version.unwrap_or_else(oldest);
        let mut draft = Self {
            before: before.cloned(),
            ticket,
            has_changed: before.is_none(),
            superseded: 0,
            deleted_team: None,
            is_adopted: false,
            is_named: false,
            previous: None,
            // Events that do not mention the team leave it as it is: absent, and missing.
            names_missing_team: before
                .is_some_and(|before| before.decision.reason == Reason::TeamMissing),
            version,
        };
        draft.leave_deleted_team(input)?;
        Ok(Some(draft))
    }

    /// If the team of an open ticket was deleted, removes team and assignee. A deletion does not
    /// write the tickets of the team, so an event may find such a ticket before the sweep does.
    fn leave_deleted_team(&mut self, input: &PlanningInput) -> Result<(), MissingInput> {
        let ticket = &mut self.ticket;
        if let Some(team) = ticket.team_id.filter(|_| ticket.is_open())
            && !matches!(input.team(team)?, TeamLookup::Found(_))
        {
            self.deleted_team = Some(team);
            ticket.team_id = None;
            ticket.assignee_id = None;
        }
        Ok(())
    }

    /// Merges an event: sets each field that it mentions, unless a newer event has set that field.
    pub(super) fn apply_event(
        &mut self,
        event: &TicketEvent,
        input: &PlanningInput,
    ) -> Result<(), MissingInput> {
        let TicketEvent {
            organization_id: _,
            kind,
            version,
            ticket: snapshot,
        } = event;
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            // A deletion is final at any version: a late snapshot must not restore the ticket.
            let is_older = ticket.versions.newest() > Some(version);
            self.superseded += usize::from(is_older && !ticket.versions.contains(version));
            return Ok(());
        }
        if *kind == TicketEventKind::Deleted {
            ticket.state = TicketState::Deleted;
            // A version never decreases, even if the deletion is older than the status.
            ticket.versions.status = ticket.versions.status.take().max(Some(version.clone()));
            self.has_changed = true;
            return Ok(());
        }
        let mut merge = Merge::new(version);
        ticket.merge(snapshot, &mut merge);
        // The order matters: a move to another team clears the assignee, and the same event may
        // name a new one.
        if let Some(team) = snapshot.team_id {
            self.apply_team(team, version, &mut merge, input)?;
        }
        self.apply_assignee(*kind, snapshot.assignee_id, &mut merge);
        self.has_changed |= merge.has_changed();
        self.superseded += usize::from(merge.is_superseded(&self.ticket.versions));
        Ok(())
    }

    /// Merges the team that an event names.
    fn apply_team(
        &mut self,
        team: TeamId,
        version: &EventVersion,
        merge: &mut Merge<'_>,
        input: &PlanningInput,
    ) -> Result<(), MissingInput> {
        let ticket = &mut self.ticket;
        if !merge.wins_over(ticket.versions.team.as_ref()) {
            return Ok(());
        }
        if input.team_input(team)?.is_none() {
            // A team that does not exist counts as no team. The field keeps its version, so an
            // older event with an existing team still sets it.
            self.names_missing_team = true;
            return Ok(());
        }
        if ticket.team_id != Some(team) {
            // A move takes the ticket from its assignee: Muster selected a member of the other
            // team, or an event that is older than the move named that user. An assignee named by
            // this event or by a newer one stays. Without a team before, the ticket did not move.
            let is_selected = match ticket.decision.reason {
                Reason::Adopted => false,
                // A reopened ticket has its assignee from before the close, or from the event that
                // reopened it. Only in the second case the assignee is as new as the status.
                Reason::Reopened => ticket.versions.assignee < ticket.versions.status,
                _ => true,
            };
            let moves = ticket.team_id.is_some() && ticket.status.is_open();
            let is_older = |assignee: &Arc<EventVersion>| **assignee < *version;
            if moves && (is_selected || ticket.versions.assignee.as_ref().is_none_or(is_older)) {
                ticket.assignee_id = None;
                self.is_adopted = false;
                self.is_named = false;
            }
            ticket.team_id = Some(team);
        }
        merge.mark(&mut ticket.versions.team);
        self.names_missing_team = false;
        Ok(())
    }

    /// Merges the assignee that an event names, or its removal.
    fn apply_assignee(
        &mut self,
        kind: TicketEventKind,
        named: Option<UserId>,
        merge: &mut Merge<'_>,
    ) {
        let ticket = &mut self.ticket;
        let is_open = ticket.status.is_open();
        // A close ends the effect of an earlier name: after it, only a new name makes the assignee
        // of the reopened ticket an adopted one.
        self.is_named &= is_open;
        let unassigns = kind == TicketEventKind::Unassigned;
        if !(unassigns || named.is_some()) || !merge.wins_over(ticket.versions.assignee.as_ref()) {
            return;
        }
        merge.mark(&mut ticket.versions.assignee);
        if unassigns {
            // A closed ticket keeps its last assignee, who has the credit.
            if is_open {
                // If the ticket has no assignee any more, the user that the event names was the
                // previous one.
                self.previous = ticket.assignee_id.take().or(named).or(self.previous);
                self.is_adopted = false;
                self.is_named = false;
            }
        } else {
            // The platform echoes the assignee that Muster selected. An echo is no adoption: the
            // decision keeps its reason.
            self.is_adopted |= ticket.assignee_id != named;
            self.is_named = is_open;
            ticket.assignee_id = named;
        }
    }

    /// Places the ticket by its status, team and assignee: deleted, closed, assigned, waiting or
    /// unrouted. Returns the decision if a strategy made one.
    ///
    /// `may_match_team` permits a match by specializations for a ticket without a team.
    pub(super) fn place(
        &mut self,
        input: &PlanningInput,
        may_match_team: bool,
        now: Timestamp,
    ) -> Result<Option<SelectedMember>, MissingInput> {
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            // The tombstone counts for no team and no user.
            ticket.team_id = None;
            ticket.assignee_id = None;
            return Ok(None);
        }
        if !ticket.status.is_open() {
            // Team and assignee stay: they have the credit.
            ticket.state = TicketState::Closed;
            if self.before.is_none() {
                ticket.decision = Decision::without_strategy(Reason::SeenClosed, now);
            }
            return Ok(None);
        }
        let team_input = found_team(input, ticket.team_id)?;
        if team_input.is_none() {
            // `start` checks the team of an open ticket only. The team of this one may have been
            // deleted while the ticket was closed.
            ticket.team_id = None;
        }
        let state_before = self.before.as_ref().map(|before| before.state);
        if state_before == Some(TicketState::Closed)
            && !self.is_adopted
            && self.reopen(team_input, now)
        {
            return Ok(None);
        }
        let ticket = &mut self.ticket;
        if ticket.assignee_id.is_some() {
            ticket.state = TicketState::Assigned;
            if self.is_adopted {
                ticket.decision = Decision::without_strategy(Reason::Adopted, now);
            }
            return Ok(None);
        }
        self.route(input, may_match_team, now)
    }

    /// Returns a reopened ticket to its previous assignee if that member is still eligible, without
    /// a turn. Otherwise removes the assignee, unless an event names that user, and returns false.
    fn reopen(&mut self, team_input: Option<&TeamInput>, now: Timestamp) -> bool {
        let ticket = &mut self.ticket;
        let assignee = ticket.assignee_id.take();
        let is_eligible = assignee
            .and_then(|user| team_input?.member(user))
            .is_some_and(|member| member.membership.is_eligible());
        if is_eligible {
            ticket.assignee_id = assignee;
            ticket.state = TicketState::Assigned;
            ticket.decision = Decision::without_strategy(Reason::Reopened, now);
        } else if self.is_named {
            // The platform decided: an event that reopens a ticket and names its assignee is
            // adopted, even if the assignee is not eligible.
            ticket.assignee_id = assignee;
            self.is_adopted = true;
        }
        is_eligible
    }

    /// Finds a team and a member for an open ticket without an assignee.
    fn route(
        &mut self,
        input: &PlanningInput,
        may_match_team: bool,
        now: Timestamp,
    ) -> Result<Option<SelectedMember>, MissingInput> {
        let ticket = &mut self.ticket;
        let is_matched = ticket.team_id.is_none() && may_match_team;
        if is_matched {
            // The field gets no version, so an older event that names a team still wins over the
            // match.
            ticket.team_id = team_match::matched_team(input, &ticket.id, &topics(ticket))?;
        }
        if let Some(team_input) = found_team(input, ticket.team_id)? {
            let replaces_missing_team = is_matched && self.names_missing_team;
            Ok(self.select(team_input, replaces_missing_team, now))
        } else {
            let reason = match (may_match_team, self.names_missing_team) {
                (false, _) => Reason::TeamDeleted,
                (true, true) => Reason::TeamMissing,
                (true, false) => Reason::NoTeamMatches,
            };
            self.wait_in(TicketState::Unrouted, || {
                Decision::without_strategy(reason, now)
            });
            Ok(None)
        }
    }

    /// Lets the team's strategy select a member. The ticket waits if no member is eligible.
    fn select(
        &mut self,
        team_input: &TeamInput,
        replaces_missing_team: bool,
        now: Timestamp,
    ) -> Option<SelectedMember> {
        let Selection {
            selected,
            fallback,
            considered,
            eligible,
            candidates,
        } = select_member(team_input, &topics(&self.ticket), self.previous);
        let turn = selected.map(|_| team_input.load.turn + 1);
        let decision = Decision {
            reason: if selected.is_some() {
                Reason::Strategy
            } else {
                Reason::NoEligibleMember
            },
            strategy: Some(team_input.team.queue_strategy),
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team,
            decided_at: now,
        };
        let Some((user, turn)) = selected.zip(turn) else {
            self.wait_in(TicketState::Waiting, || decision);
            return None;
        };
        let ticket = &mut self.ticket;
        ticket.state = TicketState::Assigned;
        ticket.assignee_id = Some(user);
        // The version never decreases: an assignee that a later event removed must not return with
        // an older snapshot. While the ticket waits, the version stays, so that an older snapshot
        // may still name the assignee.
        let version = ticket.versions.assignee.take();
        ticket.versions.assignee = version.max(Some(self.version.clone()));
        ticket.decision = decision;
        let last_turn = team_input
            .member(user)
            .map_or(0, |member| member.membership.last_turn);
        Some(SelectedMember {
            team: team_input.team.id,
            user,
            turn,
            last_turn,
        })
    }

    /// Leaves the ticket unassigned in a state. A ticket that was there before for the same reason
    /// keeps its decision, so that `decided_at` is the time at which it began to wait.
    fn wait_in(&mut self, state: TicketState, decision: impl FnOnce() -> Decision) {
        let ticket = &mut self.ticket;
        ticket.state = state;
        let decision = decision();
        let stays = self.before.as_ref().is_some_and(|before| {
            before.state == state
                && before.team_id == ticket.team_id
                && before.decision.reason == decision.reason
        });
        if !stays {
            ticket.decision = decision;
        }
    }
}

/// Returns the team of a ticket, if it has one that exists.
fn found_team(
    input: &PlanningInput,
    team: Option<TeamId>,
) -> Result<Option<&TeamInput>, MissingInput> {
    team.map_or(Ok(None), |team| input.team_input(team))
}

/// Returns the newest version. Events are sorted by version, but an older one may come first in a
/// redelivered batch.
fn newest(events: &[TicketEvent]) -> Option<&Arc<EventVersion>> {
    events.iter().map(|event| &event.version).max()
}

/// Returns a ticket without any reported field, before its first event is merged.
fn new_ticket(event: &TicketEvent, now: Timestamp) -> Ticket {
    Ticket {
        id: event.ticket.id.clone(),
        rev: 0,
        versions: TicketVersions::default(),
        status: TicketStatus::New,
        priority: Priority::default(),
        category: None,
        subcategory: None,
        tags: Topics::default(),
        created_at: event.version.at,
        resolved_at: None,
        due_at: None,
        closed_at: None,
        team_id: None,
        assignee_id: None,
        state: TicketState::Unrouted,
        decision: Decision::without_strategy(Reason::NoTeamMatches, now),
    }
}

fn topics(ticket: &Ticket) -> Topics {
    ticket.topics().into_iter().cloned().collect()
}

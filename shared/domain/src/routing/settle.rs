//! One ticket: what its events say, and where that puts it.

use super::{Choice, Known, Missing, TeamState, choose, specialists};
use crate::{
    Decision, EventVersion, Merge, Past, Priority, Reason, TeamId, Ticket, TicketEvent,
    TicketEventKind, TicketId, TicketState, TicketStatus, TicketVersions, Timestamp, Topics,
    UserId,
};

/// Why a ticket is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its platform said something. In the order of their versions, at least one.
    Events(Vec<TicketEvent>),
    /// It waits, and somebody may have become eligible.
    Waiting,
    /// It has no team, and one may have come to know of it.
    Unrouted,
    /// Its team was deleted.
    TeamGone,
}

/// A ticket to settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Which.
    pub ticket_id: TicketId,
    /// Why.
    pub cause: Cause,
}

/// A decision of a team: whose turn it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) team: TeamId,
    pub(super) user: UserId,
    /// The turn that the decision took.
    pub(super) turn: u64,
    /// The turn of the member's latest decision before.
    pub(super) last_turn: u64,
}

/// A ticket that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) before: Option<Ticket>,
    pub(super) after: Ticket,
    pub(super) chosen: Option<Chosen>,
    /// The counters that have to be created for an assignee who is not a member.
    pub(super) adopted: Option<Past>,
}

/// What becomes of a ticket.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// What to write. `None` if the events change nothing, or nothing can be done yet.
    pub(super) settled: Option<Settled>,
    /// The number of events that changed nothing because newer ones have set the fields that they
    /// mention.
    pub(super) superseded: usize,
}

impl Outcome {
    fn nothing(superseded: usize) -> Self {
        Self {
            settled: None,
            superseded,
        }
    }
}

/// Settles a ticket over what is known, which then knows what that changed.
pub(super) fn settle(
    before: Option<&Ticket>,
    work: &Work,
    known: &mut Known,
    now: Timestamp,
) -> Result<Outcome, Missing> {
    let Some(mut draft) = Draft::begin(before, work, known, now)? else {
        return Ok(Outcome::default());
    };
    match &work.cause {
        Cause::Events(events) => {
            for event in events {
                draft.apply(event, known)?;
            }
            if !draft.has_changed {
                return Ok(Outcome::nothing(draft.superseded));
            }
        }
        // One whose team is gone is the sweep's.
        Cause::Waiting if draft.ticket.state == TicketState::Waiting && draft.left.is_none() => {}
        Cause::Unrouted if draft.ticket.state == TicketState::Unrouted => {}
        Cause::TeamGone if draft.left.is_some() => {}
        Cause::Waiting | Cause::Unrouted | Cause::TeamGone => return Ok(Outcome::default()),
    }
    let routes_elsewhere = work.cause != Cause::TeamGone;
    let chosen = draft.place(known, routes_elsewhere, now)?;
    let Draft {
        before,
        ticket: mut after,
        superseded,
        ..
    } = draft;
    let still_so = before
        .as_ref()
        .is_some_and(|before| before.state == after.state && before.team_id == after.team_id);
    if still_so && matches!(work.cause, Cause::Waiting | Cause::Unrouted) {
        return Ok(Outcome::default());
    }
    after.rev += 1;
    // What counts in a team, or counted, is written there: of a closed ticket nothing above has
    // asked for its team.
    let mut missing = Missing::default();
    for ticket in before.iter().chain([&after]) {
        let counts_in = ticket.adds_to_team().map(|(team, _)| team);
        let counts_for = ticket.adds_to_member().map(|(team, user, _)| (team, user));
        if let Some(Err(more)) = counts_in
            .or(counts_for.map(|(team, _)| team))
            .map(|team| known.team(team))
        {
            missing.add(more);
        } else if let Some((team, user)) = counts_for
            && let Some(desk) = known.desk(team)?
            && desk.seat(user).is_none()
            && !desk.pasts.contains_key(&user)
        {
            missing.pasts.insert((team, user));
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let adopted = match after.adds_to_member() {
        Some((team, user, _)) => match known.desk(team)? {
            Some(desk) if desk.pasts.get(&user) == Some(&None) => {
                Some(Past::outside(user, desk.load.turn))
            }
            _ => None,
        },
        None => None,
    };
    // From here on nothing fails, so that what is known changes whole or not at all.
    if let Some(Chosen {
        team, user, turn, ..
    }) = chosen
        && let Some(desk) = known.desk_mut(team)
    {
        desk.load.turn = turn;
        if let Some(seat) = desk.seat_mut(user) {
            seat.member.last_turn = turn;
        }
    }
    if let (Some(past), Some(desk)) = (
        &adopted,
        after.team_id.and_then(|team| known.desk_mut(team)),
    ) {
        desk.pasts.insert(past.user_id, Some(past.clone()));
    }
    known.count(before.as_ref(), &after);
    Ok(Outcome {
        settled: Some(Settled {
            before,
            after,
            chosen,
            adopted,
        }),
        superseded,
    })
}

/// A ticket on the way from what it was to what it will be.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate fact of the events, in any combination"
)]
struct Draft {
    before: Option<Ticket>,
    ticket: Ticket,
    /// Whether an event changed the ticket, or is the first of it.
    has_changed: bool,
    /// The number of events that newer ones have superseded.
    superseded: usize,
    /// The team that is gone, out of which it was taken.
    left: Option<TeamId>,
    /// Whether an event named another assignee than the one there was.
    is_adopted: bool,
    /// Whether an event named the assignee while the ticket was open.
    is_named: bool,
    /// From whom it was just taken.
    previous: Option<UserId>,
    /// Whether it names a team that does not exist, which counts as no team.
    names_missing_team: bool,
    /// The version that a decision takes.
    version: EventVersion,
}

impl Draft {
    /// Starts from the ticket as it is. Returns `None` if there is no ticket, or a deleted one that
    /// needs no event merged.
    fn begin(
        before: Option<&Ticket>,
        work: &Work,
        known: &Known,
        now: Timestamp,
    ) -> Result<Option<Self>, Missing> {
        let (ticket, version) = match (before, &work.cause) {
            (Some(ticket), Cause::Events(events)) => (ticket.clone(), latest(events).cloned()),
            (Some(ticket), _) if ticket.state == TicketState::Deleted => return Ok(None),
            (Some(ticket), _) => (ticket.clone(), ticket.versions.newest().cloned()),
            (None, Cause::Events(events)) => match (events.first(), latest(events).cloned()) {
                (Some(first), version) => (unheard_of(first, now), version),
                (None, _) => return Ok(None),
            },
            (None, _) => return Ok(None),
        };
        // No event has mentioned a field of the ticket, so any event that does is newer.
        let oldest = || EventVersion {
            at: ticket.created_at,
            time: None,
            event_id: String::new(),
        };
        let version = version.unwrap_or_else(oldest);
        let mut draft = Self {
            before: before.cloned(),
            ticket,
            has_changed: before.is_none(),
            superseded: 0,
            left: None,
            is_adopted: false,
            is_named: false,
            previous: None,
            names_missing_team: before
                .is_some_and(|before| before.decision.reason == Reason::TeamMissing),
            version,
        };
        if let Some(team) = draft.ticket.team_id.filter(|_| draft.ticket.is_open())
            && !matches!(known.team(team)?, TeamState::Present(_))
        {
            draft.left = Some(team);
            draft.ticket.team_id = None;
            draft.ticket.assignee_id = None;
        }
        Ok(Some(draft))
    }

    /// Merges an event: each field that it mentions, unless a newer event has set that field.
    fn apply(&mut self, event: &TicketEvent, known: &Known) -> Result<(), Missing> {
        let TicketEvent {
            organization_id: _,
            kind,
            version,
            ticket: snapshot,
        } = event;
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            let is_older = ticket.versions.newest() > Some(version);
            self.superseded += usize::from(is_older && !ticket.versions.contains(version));
            return Ok(());
        }
        if *kind == TicketEventKind::Deleted {
            ticket.state = TicketState::Deleted;
            ticket.versions.status = ticket.versions.status.take().max(Some(version.clone()));
            self.has_changed = true;
            return Ok(());
        }
        let mut merge = Merge::new(version);
        ticket.merge(snapshot, &mut merge);
        if let Some(team) = snapshot.team_id {
            self.apply_team(team, version, &mut merge, known)?;
        }
        self.apply_assignee(*kind, snapshot.assignee_id, &mut merge);
        self.has_changed |= merge.has_changed();
        self.superseded += usize::from(merge.is_superseded(&self.ticket.versions));
        Ok(())
    }

    fn apply_team(
        &mut self,
        team: TeamId,
        version: &EventVersion,
        merge: &mut Merge<'_>,
        known: &Known,
    ) -> Result<(), Missing> {
        let ticket = &mut self.ticket;
        if !merge.wins_over(ticket.versions.team.as_ref()) {
            return Ok(());
        }
        if known.desk(team)?.is_none() {
            self.names_missing_team = true;
            return Ok(());
        }
        if ticket.team_id != Some(team) {
            // The assignee in the other team does not come along, unless a later event named the
            // assignee.
            let is_ours = ticket.decision.reason != Reason::Adopted;
            let leaves = ticket.team_id.is_some() && ticket.status.is_open();
            if leaves
                && (is_ours
                    || ticket
                        .versions
                        .assignee
                        .as_ref()
                        .is_none_or(|assignee| assignee < version))
            {
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

    fn apply_assignee(
        &mut self,
        kind: TicketEventKind,
        named: Option<UserId>,
        merge: &mut Merge<'_>,
    ) {
        let ticket = &mut self.ticket;
        let is_open = ticket.status.is_open();
        self.is_named &= is_open;
        let unassigns = kind == TicketEventKind::Unassigned;
        if !(unassigns || named.is_some()) || !merge.wins_over(ticket.versions.assignee.as_ref()) {
            return;
        }
        merge.mark(&mut ticket.versions.assignee);
        if unassigns {
            if is_open {
                self.previous = ticket.assignee_id.take().or(named).or(self.previous);
                self.is_adopted = false;
                self.is_named = false;
            }
        } else {
            self.is_adopted |= ticket.assignee_id != named;
            self.is_named = is_open;
            ticket.assignee_id = named;
        }
    }

    /// Puts the ticket where what is said of it wants it, and tells whose turn that took.
    fn place(
        &mut self,
        known: &Known,
        routes_elsewhere: bool,
        now: Timestamp,
    ) -> Result<Option<Chosen>, Missing> {
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            ticket.team_id = None;
            ticket.assignee_id = None;
            return Ok(None);
        }
        let was = self.before.as_ref().map(|before| before.state);
        if !ticket.status.is_open() {
            ticket.state = TicketState::Closed;
            if was.is_none() {
                ticket.decision = Decision::plain(Reason::SeenClosed, now);
            }
            return Ok(None);
        }
        let desk = match ticket.team_id {
            Some(team) => known.desk(team)?,
            None => None,
        };
        if desk.is_none() {
            // It may have gone while the ticket was closed.
            ticket.team_id = None;
        }
        if was == Some(TicketState::Closed) && !self.is_adopted {
            let user = ticket.assignee_id.take();
            let seat = user
                .and_then(|user| desk?.seat(user))
                .filter(|seat| seat.member.is_eligible());
            if let Some(seat) = seat {
                ticket.assignee_id = Some(seat.member.user.id);
                ticket.state = TicketState::Assigned;
                ticket.decision = Decision::plain(Reason::Reopened, now);
                return Ok(None);
            }
            // An event that reopens a ticket and names its assignee is adopted, even if the
            // assignee is not eligible.
            if self.is_named {
                ticket.assignee_id = user;
                self.is_adopted = true;
            }
        }
        if ticket.assignee_id.is_some() {
            ticket.state = TicketState::Assigned;
            if self.is_adopted {
                ticket.decision = Decision::plain(Reason::Adopted, now);
            }
            return Ok(None);
        }
        self.route(known, routes_elsewhere, now)
    }

    /// Finds a team and a member for an open ticket that nobody has.
    fn route(
        &mut self,
        known: &Known,
        routes_elsewhere: bool,
        now: Timestamp,
    ) -> Result<Option<Chosen>, Missing> {
        let (version, ticket) = (self.version.clone(), &mut self.ticket);
        let is_matched = ticket.team_id.is_none() && routes_elsewhere;
        if is_matched {
            ticket.team_id = specialists::chosen_team(known, &ticket.id, &ticket.topics())?;
        }
        let desk = match ticket.team_id {
            Some(team) => known.desk(team)?,
            None => None,
        };
        let was = self
            .before
            .as_ref()
            .map(|before| (before.state, before.team_id, before.decision.reason));
        let Some(desk) = desk else {
            let reason = match (routes_elsewhere, self.names_missing_team) {
                (false, _) => Reason::TeamDeleted,
                (true, true) => Reason::TeamMissing,
                (true, false) => Reason::NoTeamMatches,
            };
            ticket.state = TicketState::Unrouted;
            if was != Some((TicketState::Unrouted, None, reason)) {
                ticket.decision = Decision::plain(reason, now);
            }
            return Ok(None);
        };

        let Choice {
            chosen,
            fallback,
            considered,
            eligible,
            candidates,
        } = choose(desk, &ticket.topics(), self.previous);
        let turn = chosen.map(|_| desk.load.turn + 1);
        let decision = Decision {
            reason: if chosen.is_some() {
                Reason::Strategy
            } else {
                Reason::NobodyEligible
            },
            strategy: Some(desk.team.queue_strategy),
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team: is_matched && self.names_missing_team,
            decided_at: now,
        };
        let Some((user, turn)) = chosen.zip(turn) else {
            ticket.state = TicketState::Waiting;
            if was != Some((TicketState::Waiting, ticket.team_id, Reason::NobodyEligible)) {
                ticket.decision = decision;
            }
            return Ok(None);
        };
        ticket.state = TicketState::Assigned;
        ticket.assignee_id = Some(user);
        // The version never goes back: an assignee that a later event took away must not return
        // with an older snapshot. Where no member is eligible the version stays, so an assignee
        // that an older snapshot names still counts.
        ticket.versions.assignee = ticket.versions.assignee.take().max(Some(version));
        ticket.decision = decision;
        let last_turn = desk.seat(user).map_or(0, |seat| seat.member.last_turn);
        Ok(Some(Chosen {
            team: desk.team.id,
            user,
            turn,
            last_turn,
        }))
    }
}

/// The largest version: events come in their order.
fn latest(events: &[TicketEvent]) -> Option<&EventVersion> {
    events.iter().map(|event| &event.version).max()
}

/// Returns the ticket of a first event before the event is merged.
fn unheard_of(event: &TicketEvent, now: Timestamp) -> Ticket {
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
        decision: Decision::plain(Reason::NoTeamMatches, now),
    }
}

//! One ticket: what its events say, and where that puts it.

use super::{Choice, Known, Missing, TeamState, choose, specialists};
use crate::domain::{
    Credit, Decision, EventVersion, Member, Priority, Reason, TeamId, Ticket, TicketEvent, TicketEventKind, TicketId,
    TicketSnapshot, TicketState, TicketStatus, Timestamp, Topics, UserId,
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
    /// The membership that has to be made for its assignee.
    pub(super) unseated: Option<Member>,
}

/// Settles a ticket over what is known, which then knows what that changed. `None` if there is nothing to write: the events
/// are no news, or nothing can be done yet.
pub(super) fn settle(
    before: Option<&Ticket>,
    work: &Work,
    known: &mut Known,
    now: Timestamp,
) -> Result<Option<Settled>, Missing> {
    let Some(mut draft) = Draft::begin(before, work, known, now)? else { return Ok(None) };
    match &work.cause {
        Cause::Events(events) => {
            for event in events {
                draft.agree_with(event, known)?;
            }
            if !draft.is_news {
                return Ok(None);
            }
        }
        // One whose team is gone is the sweep's.
        Cause::Waiting if draft.ticket.state == TicketState::Waiting && draft.left.is_none() => {}
        Cause::Unrouted if draft.ticket.state == TicketState::Unrouted => {}
        Cause::TeamGone if draft.left.is_some() => {}
        Cause::Waiting | Cause::Unrouted | Cause::TeamGone => return Ok(None),
    }
    let routes_elsewhere = work.cause != Cause::TeamGone;
    let chosen = draft.place(known, routes_elsewhere, now)?;
    let Draft { before, ticket: mut after, .. } = draft;
    let still_so = before.as_ref().is_some_and(|before| before.state == after.state && before.team_id == after.team_id);
    if still_so && matches!(work.cause, Cause::Waiting | Cause::Unrouted) {
        return Ok(None);
    }
    after.rev += 1;
    // What counts in a team, or counted, is written there: of a closed ticket nothing above has asked for its team.
    let mut missing = Missing::default();
    for ticket in before.iter().chain([&after]) {
        let counts_in = ticket.adds_to_team().map(|(team, _)| team);
        let counts_for = ticket.adds_to_member().map(|(team, ..)| team);
        if let Some(Err(more)) = counts_in.or(counts_for).map(|team| known.team(team)) {
            missing.add(more);
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let unseated = match after.adds_to_member() {
        Some((team, user, _)) => match known.desk(team)? {
            Some(desk) if desk.seat(user).is_none() => Some(known.unseated(desk, user, now)?),
            _ => None,
        },
        None => None,
    };
    // From here on nothing fails, so that what is known changes whole or not at all.
    if let Some(Chosen { team, user, turn, .. }) = chosen
        && let Some(desk) = known.desk_mut(team)
    {
        desk.load.turn = turn;
        if let Some(seat) = desk.seat_mut(user) {
            seat.member.last_turn = turn;
        }
    }
    if let (Some(member), Some(desk)) = (&unseated, after.team_id.and_then(|team| known.desk_mut(team))) {
        desk.seats.push(super::Seat::new(member.clone()));
    }
    known.count(before.as_ref(), &after);
    Ok(Some(Settled { before, after, chosen, unseated }))
}

/// A ticket on the way from what it was to what it will be.
struct Draft {
    before: Option<Ticket>,
    ticket: Ticket,
    /// Whether an event said something new.
    is_news: bool,
    /// The team that is gone, out of which it was taken.
    left: Option<TeamId>,
    /// Whether an event named another assignee than the one there was.
    is_adopted: bool,
    /// From whom it was just taken.
    previous: Option<UserId>,
    /// Whether its latest word on a team was one that does not exist.
    names_missing_team: bool,
    /// The version that a decision takes.
    version: EventVersion,
}

impl Draft {
    /// `None` for a ticket of which there is nothing, or nothing any more, to say.
    fn begin(before: Option<&Ticket>, work: &Work, known: &Known, now: Timestamp) -> Result<Option<Self>, Missing> {
        let (ticket, version) = match (before, &work.cause) {
            (Some(ticket), _) if ticket.state == TicketState::Deleted => return Ok(None),
            (Some(ticket), Cause::Events(events)) => (ticket.clone(), latest(events).cloned()),
            (Some(ticket), _) => (ticket.clone(), ticket.assignee_version.clone().max(Some(ticket.version.clone()))),
            (None, Cause::Events(events)) => match (events.first(), latest(events).cloned()) {
                (Some(first), version) => (unheard_of(first, now), version),
                (None, _) => return Ok(None),
            },
            (None, _) => return Ok(None),
        };
        let version = version.unwrap_or_else(|| ticket.version.clone());
        let mut draft = Self {
            before: before.cloned(),
            ticket,
            is_news: false,
            left: None,
            is_adopted: false,
            previous: None,
            names_missing_team: false,
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

    /// Takes over what an event says that is newer than what was said before.
    fn agree_with(&mut self, event: &TicketEvent, known: &Known) -> Result<(), Missing> {
        let TicketEvent { organization_id: _, kind, version, ticket: snapshot } = event;
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            return Ok(());
        }
        let is_newer = |than: &Option<EventVersion>| than.as_ref().is_none_or(|than| version > than);
        if *kind == TicketEventKind::Deleted {
            ticket.state = TicketState::Deleted;
            ticket.version = ticket.version.clone().max(version.clone());
            self.is_news = true;
            return Ok(());
        }
        // One that says nothing of the status tells only that the ticket was taken from somebody: an older snapshot, come late,
        // still has the facts.
        let tells_facts = *kind == TicketEventKind::Snapshot || snapshot.status.is_some();
        if tells_facts && *version > ticket.version {
            ticket.version = version.clone();
            take_facts(ticket, snapshot);
            self.is_news = true;
        }
        if let Some(team) = snapshot.team_id.filter(|_| is_newer(&ticket.team_version)) {
            if known.desk(team)?.is_some() {
                if ticket.team_id != Some(team) {
                    // Whoever had it in the other team does not come along, unless a person said so later.
                    let is_ours = ticket.decision.reason != Reason::Adopted;
                    let leaves = ticket.team_id.is_some() && ticket.status.is_open();
                    if leaves && (is_ours || is_newer(&ticket.assignee_version)) {
                        ticket.assignee_id = None;
                        self.is_adopted = false;
                    }
                    ticket.team_id = Some(team);
                }
                ticket.team_version = Some(version.clone());
                self.names_missing_team = false;
                self.is_news = true;
            } else {
                self.names_missing_team = true;
            }
        }
        if !is_newer(&ticket.assignee_version) {
            return Ok(());
        }
        match (kind, snapshot.assignee_id) {
            (TicketEventKind::Unassigned, named) => {
                self.is_news = true;
                ticket.assignee_version = Some(version.clone());
                if ticket.status.is_open() {
                    self.previous = ticket.assignee_id.take().or(named).or(self.previous);
                    self.is_adopted = false;
                }
            }
            (_, Some(user)) => {
                self.is_news = true;
                ticket.assignee_version = Some(version.clone());
                self.is_adopted |= ticket.assignee_id != Some(user);
                ticket.assignee_id = Some(user);
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Puts the ticket where what is said of it wants it, and tells whose turn that took.
    fn place(&mut self, known: &Known, routes_elsewhere: bool, now: Timestamp) -> Result<Option<Chosen>, Missing> {
        let ticket = &mut self.ticket;
        if ticket.state == TicketState::Deleted {
            ticket.team_id = None;
            ticket.assignee_id = None;
            ticket.credit = None;
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
            let seat = user.and_then(|user| desk?.seat(user)).filter(|seat| seat.member.is_eligible());
            if let Some(seat) = seat {
                ticket.assignee_id = Some(seat.member.user.id);
                ticket.state = TicketState::Assigned;
                ticket.decision = Decision::plain(Reason::Reopened, now);
                return Ok(None);
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
    fn route(&mut self, known: &Known, routes_elsewhere: bool, now: Timestamp) -> Result<Option<Chosen>, Missing> {
        let (version, ticket) = (self.version.clone(), &mut self.ticket);
        if ticket.team_id.is_none() && routes_elsewhere && !self.names_missing_team {
            ticket.team_id = specialists::best_team(known, &ticket.topics())?;
            if ticket.team_id.is_some() {
                ticket.team_version = ticket.team_version.take().max(Some(version.clone()));
            }
        }
        let desk = match ticket.team_id {
            Some(team) => known.desk(team)?,
            None => None,
        };
        let was = self.before.as_ref().map(|before| (before.state, before.team_id, before.decision.reason));
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

        let Choice { chosen, fallback, considered, eligible, candidates } =
            choose(desk, &ticket.topics(), self.previous);
        let turn = chosen.map(|_| desk.load.turn + 1);
        let decision = Decision {
            reason: if chosen.is_some() { Reason::Strategy } else { Reason::NobodyEligible },
            strategy: Some(desk.team.queue_strategy),
            turn,
            fallback,
            considered,
            eligible,
            candidates,
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
        // Never back: what a later event took away must not return with a snapshot from before it. Where nobody is found,
        // nobody was set: whoever an older snapshot names still counts.
        ticket.assignee_version = ticket.assignee_version.take().max(Some(version));
        ticket.decision = decision;
        let last_turn = desk.seat(user).map_or(0, |seat| seat.member.last_turn);
        Ok(Some(Chosen { team: desk.team.id, user, turn, last_turn }))
    }
}

/// The largest version: events come in their order.
fn latest(events: &[TicketEvent]) -> Option<&EventVersion> {
    events.iter().map(|event| &event.version).max()
}

/// A ticket of which nothing was heard before this event, and nothing is taken over yet.
fn unheard_of(event: &TicketEvent, now: Timestamp) -> Ticket {
    Ticket {
        id: event.ticket.id.clone(),
        rev: 0,
        version: EventVersion { at: Timestamp::from_millis(i64::MIN), time: None, event_id: String::new() },
        status: TicketStatus::New,
        priority: Priority::default(),
        category: None,
        subcategory: None,
        tags: Topics::default(),
        created_at: event.ticket.created_at.unwrap_or(event.version.at),
        resolved_at: None,
        due_at: None,
        team_id: None,
        team_version: None,
        assignee_id: None,
        assignee_version: None,
        state: TicketState::Unrouted,
        credit: None,
        decision: Decision::plain(Reason::NoTeamMatches, now),
    }
}

fn take_facts(ticket: &mut Ticket, snapshot: &TicketSnapshot) {
    let TicketSnapshot {
        id: _,
        status,
        priority,
        category,
        subcategory,
        tags,
        team_id: _,
        assignee_id: _,
        created_at,
        resolved_at,
        due_at,
    } = snapshot.clone();
    ticket.status = status.unwrap_or(ticket.status);
    ticket.created_at = created_at.unwrap_or(ticket.created_at);
    set(&mut ticket.priority, priority.new_value().map(Option::unwrap_or_default));
    set(&mut ticket.category, category.new_value());
    set(&mut ticket.subcategory, subcategory.new_value());
    set(&mut ticket.tags, tags.new_value().map(Option::unwrap_or_default));
    set(&mut ticket.resolved_at, resolved_at.new_value());
    set(&mut ticket.due_at, due_at.new_value());
    // With every event, not once for all: so a batch of them ends where they would have ended one by one.
    ticket.credit = credit(ticket);
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// What a closed ticket is credited with: what it was at its close, for resolved and closed ones only.
fn credit(ticket: &Ticket) -> Option<Credit> {
    if !ticket.status.is_resolved() {
        return None;
    }
    ticket.credit.or_else(|| {
        let resolved_at = ticket.resolved_at.unwrap_or(ticket.version.at);
        let resolution = resolved_at.since(ticket.created_at);
        Some(Credit {
            resolution_ms: u64::try_from(resolution.as_millis()).unwrap_or(u64::MAX),
            in_time: ticket.due_at.map(|due| resolved_at <= due),
        })
    })
}

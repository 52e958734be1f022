//! The state that a plan is made over: teams at work and the teams chosen for tickets, as far as
//! they were read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::specialists::{TeamChoice, Wanted};
use crate::{
    Folded, Load, LoadDelta, Member, MemberDelta, Past, Resolved, Tags, Team, TeamId, Ticket,
    TicketId, UserId,
};

/// A membership, its skills made comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The membership.
    pub member: Member,
    /// Its skills, folded.
    pub skills: Vec<Folded>,
}

impl Seat {
    /// The seat of a member.
    #[must_use]
    pub fn new(member: Member) -> Self {
        Self {
            skills: folded(&member.skills),
            member,
        }
    }
}

/// A team at work: its load, its members, and the other users that a plan has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// The team.
    pub team: Team,
    /// Its specializations, folded.
    pub specializations: Vec<Folded>,
    /// Its load.
    pub load: Load,
    /// Its members.
    pub seats: Vec<Seat>,
    /// The counters of users who are not members, as far as they were read. `None` for a user
    /// without counters.
    pub pasts: BTreeMap<UserId, Option<Past>>,
}

impl Desk {
    /// The desk of a team.
    #[must_use]
    pub fn new(team: Team, load: Load, members: Vec<Member>) -> Self {
        let specializations = folded(&team.specializations);
        let seats = members.into_iter().map(Seat::new).collect();
        Self {
            team,
            specializations,
            load,
            seats,
            pasts: BTreeMap::new(),
        }
    }

    /// How many members can be given a ticket.
    #[must_use]
    pub fn eligible(&self) -> usize {
        self.seats
            .iter()
            .filter(|seat| seat.member.is_eligible())
            .count()
    }

    /// Returns a member's seat.
    #[must_use]
    pub fn seat(&self, user: UserId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.member.user.id == user)
    }

    pub(super) fn seat_mut(&mut self, user: UserId) -> Option<&mut Seat> {
        self.seats
            .iter_mut()
            .find(|seat| seat.member.user.id == user)
    }

    fn count(&mut self, delta: LoadDelta) {
        let LoadDelta {
            open,
            waiting,
            sla_met,
            sla_due,
        } = delta;
        let Load {
            turn: _,
            open_tickets,
            waiting_tickets,
            sla_met: met,
            sla_due: due,
            eligible: _,
        } = &mut self.load;
        for (counter, delta) in [
            (open_tickets, open),
            (waiting_tickets, waiting),
            (met, sla_met),
            (due, sla_due),
        ] {
            *counter = counter.saturating_add_signed(delta);
        }
    }

    /// Moves the counters of a member, or of a user who is not a member.
    fn count_user(&mut self, user: UserId, delta: MemberDelta) {
        if let Some(Seat { member, .. }) = self.seat_mut(user) {
            count_user(
                &mut member.open_tickets,
                &mut member.in_progress_tickets,
                &mut member.resolved,
                delta,
            );
        } else if let Some(Some(past)) = self.pasts.get_mut(&user) {
            count_user(
                &mut past.open_tickets,
                &mut past.in_progress_tickets,
                &mut past.resolved,
                delta,
            );
        }
    }
}

/// Moves the counters of a user in a team.
fn count_user(
    open_tickets: &mut u64,
    in_progress_tickets: &mut u64,
    Resolved { tickets, total_ms }: &mut Resolved,
    delta: MemberDelta,
) {
    let MemberDelta {
        open,
        in_progress,
        resolved,
        resolved_ms,
    } = delta;
    let counters = [
        (open_tickets, open),
        (in_progress_tickets, in_progress),
        (tickets, resolved),
        (total_ms, resolved_ms),
    ];
    for (counter, delta) in counters {
        *counter = counter.saturating_add_signed(delta);
    }
}

fn folded(tags: &Tags) -> Vec<Folded> {
    tags.as_slice().iter().map(|tag| Folded::of(tag)).collect()
}

/// What has become of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TeamState {
    /// It is there.
    Present(Box<Desk>),
    /// It was deleted; what it left still counts the open tickets that are not unassigned yet.
    Gone,
    /// There never was such a team.
    Absent,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Teams.
    pub teams: HashMap<TeamId, TeamState>,
    /// The teams that were chosen for tickets that name none. The desk shows whether one still
    /// matches.
    pub choices: HashMap<TicketId, TeamChoice>,
}

/// What has to be read before a plan can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Teams.
    pub teams: BTreeSet<TeamId>,
    /// Tickets for which a team has to be chosen, in the order of the batch.
    pub choices: Vec<Wanted>,
    /// Users of teams whose members they are not, for their counters.
    pub pasts: BTreeSet<(TeamId, UserId)>,
}

impl Missing {
    fn team(id: TeamId) -> Self {
        Self {
            teams: [id].into(),
            ..Self::default()
        }
    }

    pub(super) fn choice(wanted: Wanted) -> Self {
        Self {
            choices: vec![wanted],
            ..Self::default()
        }
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            teams,
            choices,
            pasts,
        } = self;
        teams.is_empty() && choices.is_empty() && pasts.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self {
            teams,
            choices,
            pasts,
        } = other;
        self.teams.extend(teams);
        self.choices.extend(choices);
        self.pasts.extend(pasts);
    }
}

impl Known {
    pub(super) fn team(&self, id: TeamId) -> Result<&TeamState, Missing> {
        self.teams.get(&id).ok_or_else(|| Missing::team(id))
    }

    /// A team's desk, if the team is there.
    pub(super) fn desk(&self, id: TeamId) -> Result<Option<&Desk>, Missing> {
        Ok(match self.team(id)? {
            TeamState::Present(desk) => Some(desk),
            TeamState::Gone | TeamState::Absent => None,
        })
    }

    pub(super) fn desk_mut(&mut self, id: TeamId) -> Option<&mut Desk> {
        match self.teams.get_mut(&id)? {
            TeamState::Present(desk) => Some(desk),
            TeamState::Gone | TeamState::Absent => None,
        }
    }

    /// Adds the counters that were read of users who are not members of teams. Those of the others
    /// in `asked` do not exist.
    pub fn learn_pasts(&mut self, asked: BTreeSet<(TeamId, UserId)>, found: Vec<(TeamId, Past)>) {
        for (team, user) in asked {
            if let Some(desk) = self.desk_mut(team) {
                desk.pasts.insert(user, None);
            }
        }
        for (team, past) in found {
            if let Some(desk) = self.desk_mut(team) {
                desk.pasts.insert(past.user_id, Some(past));
            }
        }
    }

    /// Moves the counters by what a ticket adds after a change, less what it added before.
    pub(super) fn count(&mut self, before: Option<&Ticket>, after: &Ticket) {
        let was = |ticket: &Ticket| (ticket.adds_to_team(), ticket.adds_to_member());
        let (team_before, member_before) = before.map(was).unwrap_or_default();
        let (team_after, member_after) = was(after);
        let teams = team_before
            .map(|(team, delta)| (team, delta.negated()))
            .into_iter()
            .chain(team_after);
        for (team, delta) in teams {
            if let Some(desk) = self.desk_mut(team) {
                desk.count(delta);
            }
        }
        let members = member_before
            .map(|(team, user, delta)| (team, user, delta.negated()))
            .into_iter()
            .chain(member_after);
        for (team, user, delta) in members {
            if let Some(desk) = self.desk_mut(team) {
                desk.count_user(user, delta);
            }
        }
    }
}

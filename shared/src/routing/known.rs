//! The state that a plan is made over: teams at work and the specialists of each topic, as far as they were read.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{
    Folded, Load, LoadDelta, Member, MemberDelta, Resolved, Tags, Team, TeamId, Ticket, Timestamp, User, UserId,
};

/// A membership, its skills made comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The membership, a removed one too.
    pub member: Member,
    /// Its skills, folded.
    pub skills: Vec<Folded>,
}

impl Seat {
    /// The seat of a member.
    #[must_use]
    pub fn new(member: Member) -> Self {
        Self { skills: folded(&member.skills), member }
    }
}

/// A team at work: its load, and everybody who is or was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// The team.
    pub team: Team,
    /// Its specializations, folded.
    pub specializations: Vec<Folded>,
    /// Its load.
    pub load: Load,
    /// Its memberships, the removed ones too.
    pub seats: Vec<Seat>,
}

impl Desk {
    /// The desk of a team.
    #[must_use]
    pub fn new(team: Team, load: Load, memberships: Vec<Member>) -> Self {
        let specializations = folded(&team.specializations);
        Self { team, specializations, load, seats: memberships.into_iter().map(Seat::new).collect() }
    }

    /// The members.
    pub fn present(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| seat.member.removed_at.is_none())
    }

    /// How many members can be given a ticket.
    #[must_use]
    pub fn eligible(&self) -> usize {
        self.seats.iter().filter(|seat| seat.member.is_eligible()).count()
    }

    /// A user's seat, a removed one too.
    #[must_use]
    pub fn seat(&self, user: UserId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.member.user.id == user)
    }

    pub(super) fn seat_mut(&mut self, user: UserId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.member.user.id == user)
    }

    fn count(&mut self, delta: LoadDelta) {
        let LoadDelta { open, waiting, sla_met, sla_due } = delta;
        let Load { turn: _, open_tickets, waiting_tickets, sla_met: met, sla_due: due, eligible: _ } = &mut self.load;
        for (counter, delta) in [(open_tickets, open), (waiting_tickets, waiting), (met, sla_met), (due, sla_due)] {
            *counter = counter.saturating_add_signed(delta);
        }
    }
}

impl Seat {
    fn count(&mut self, delta: MemberDelta) {
        let MemberDelta { open, in_progress, resolved, resolved_ms } = delta;
        let Member { open_tickets, in_progress_tickets, resolved: Resolved { tickets, total_ms }, .. } =
            &mut self.member;
        let counters =
            [(open_tickets, open), (in_progress_tickets, in_progress), (tickets, resolved), (total_ms, resolved_ms)];
        for (counter, delta) in counters {
            *counter = counter.saturating_add_signed(delta);
        }
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
    /// The teams that may know of a topic. Whether one does is seen from the team itself.
    pub specialists: HashMap<Folded, Vec<TeamId>>,
}

/// What has to be read before a plan can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Teams.
    pub teams: BTreeSet<TeamId>,
    /// Topics whose specialists are wanted.
    pub topics: BTreeSet<Folded>,
}

impl Missing {
    fn team(id: TeamId) -> Self {
        Self { teams: [id].into(), ..Self::default() }
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { teams, topics } = self;
        teams.is_empty() && topics.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self { teams, topics } = other;
        self.teams.extend(teams);
        self.topics.extend(topics);
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

    /// Returns a placeholder membership for an assignee who is not a member. It is created already removed: it carries
    /// their ticket counters but is never eligible.
    ///
    /// It copies no profile. A membership with personal data is only written on condition that its profile is unchanged;
    /// a copy made here from an earlier read could outlive the erasure of the user.
    pub(super) fn unseated(desk: &Desk, user: UserId, now: Timestamp) -> Member {
        Member {
            user: User::placeholder(user),
            skills: Tags::default(),
            joined_at: now,
            removed_at: Some(now),
            last_turn: desk.load.turn,
            open_tickets: 0,
            in_progress_tickets: 0,
            resolved: Resolved::default(),
        }
    }

    /// Moves the counters by what a ticket adds after a change, less what it added before.
    pub(super) fn count(&mut self, before: Option<&Ticket>, after: &Ticket) {
        let was = |ticket: &Ticket| (ticket.adds_to_team(), ticket.adds_to_member());
        let (team_before, member_before) = before.map(was).unwrap_or_default();
        let (team_after, member_after) = was(after);
        let teams = team_before.map(|(team, delta)| (team, delta.negated())).into_iter().chain(team_after);
        for (team, delta) in teams {
            if let Some(desk) = self.desk_mut(team) {
                desk.count(delta);
            }
        }
        let members =
            member_before.map(|(team, user, delta)| (team, user, delta.negated())).into_iter().chain(member_after);
        for (team, user, delta) in members {
            if let Some(seat) = self.desk_mut(team).and_then(|desk| desk.seat_mut(user)) {
                seat.count(delta);
            }
        }
    }
}

//! The state of a batch between two of its tickets: the input, and the changes of the tickets
//! before.
//!
//! The input is borrowed. A plan copies only the figures that its tickets move, and only of the
//! teams that they touch.

use std::collections::{BTreeMap, BTreeSet};

use super::{MissingInput, PlanningInput, TeamInput, TeamLookup, skills::SkillIndex};
use crate::{
    LoadDelta, Member, MemberDelta, PastCounters, Team, TeamId, Ticket, Timestamp, UserId,
    UserStatus,
};

/// The state of a batch.
pub(super) struct BatchState<'i> {
    input: &'i PlanningInput,
    /// The teams that the batch has touched. Most batches touch one: a scan is faster than a map.
    teams: Vec<(TeamId, TeamEntry<'i>)>,
}

/// The lookup of a team, with the state of a team that exists.
pub(super) enum TeamEntry<'i> {
    Found(TeamState<'i>),
    Deleted,
    NotFound,
}

/// The state of a team. Members are referred to by their position in the input.
pub(super) struct TeamState<'i> {
    pub(super) team: &'i Team,
    /// The members, in the order of `standings`.
    pub(super) members: &'i [Member],
    /// The figures that strategies compare.
    pub(super) standings: Vec<Standing>,
    /// The number of eligible members.
    pub(super) eligible: u64,
    /// The team's turn, after the decisions of the batch.
    pub(super) turn: u64,
    /// The skills, for strategies that compare them.
    pub(super) skills: SkillIndex<'i>,
    past_counters: &'i BTreeMap<UserId, Option<PastCounters>>,
    /// The users whose past counters the batch creates.
    placeholders: BTreeSet<UserId>,
}

/// The figures of a member that strategies compare, and the tie-breakers.
pub(super) struct Standing {
    pub(super) user_id: UserId,
    pub(super) joined_at: Timestamp,
    pub(super) open_tickets: u64,
    pub(super) last_turn: u64,
    pub(super) status: UserStatus,
}

/// The item that has the counters of a user in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counters {
    /// The membership at this position.
    Member(usize),
    /// Past counters that exist, or that the batch creates.
    Past,
    /// No item. The first ticket creates past counters.
    Absent,
}

/// The item that has the counters of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadItem {
    /// The load of a team that exists.
    Load,
    /// The tombstone of a deleted team.
    Tombstone,
}

/// The contribution of a ticket to the counters of its team and of its assignee.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Contribution {
    pub(super) team: Option<TeamContribution>,
    pub(super) member: Option<MemberContribution>,
}

/// The contribution of a ticket to the counters of its team.
#[derive(Debug, Clone, Copy)]
pub(super) struct TeamContribution {
    pub(super) team: TeamId,
    pub(super) delta: LoadDelta,
    /// `None` if the organization never had the team, so that no item has its counters.
    pub(super) item: Option<LoadItem>,
}

/// The contribution of a ticket to the counters of its assignee.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberContribution {
    pub(super) team: TeamId,
    pub(super) user: UserId,
    pub(super) delta: MemberDelta,
    /// `None` if the team does not exist, so that it has no counters.
    pub(super) counters: Option<Counters>,
}

impl<'i> BatchState<'i> {
    pub(super) fn new(input: &'i PlanningInput) -> Self {
        Self {
            input,
            teams: Vec::new(),
        }
    }

    /// Returns the input.
    pub(super) fn input(&self) -> &'i PlanningInput {
        self.input
    }

    /// Returns the entry of a team.
    ///
    /// # Errors
    /// The team, if it was not read yet.
    pub(super) fn entry(&mut self, id: TeamId) -> Result<&mut TeamEntry<'i>, MissingInput> {
        let Self { input, teams } = self;
        let position = if let Some(position) = teams.iter().position(|(team, _)| *team == id) {
            position
        } else {
            let lookup = input.teams.get(&id).ok_or_else(|| MissingInput::team(id))?;
            teams.push((id, TeamEntry::new(lookup)));
            teams.len() - 1
        };
        Ok(&mut teams[position].1)
    }

    /// Returns the state of a team if it exists.
    ///
    /// # Errors
    /// The team, if it was not read yet.
    pub(super) fn team(&mut self, id: TeamId) -> Result<Option<&mut TeamState<'i>>, MissingInput> {
        Ok(match self.entry(id)? {
            TeamEntry::Found(team) => Some(team),
            TeamEntry::Deleted | TeamEntry::NotFound => None,
        })
    }

    /// Returns the contribution of a ticket to the counters. `selected` is the position of the
    /// assignee, if a strategy has just selected that member.
    ///
    /// # Errors
    /// The team or the past counters, if they were not read yet.
    pub(super) fn contribution(
        &mut self,
        ticket: &Ticket,
        selected: Option<usize>,
    ) -> Result<Contribution, MissingInput> {
        let team = match ticket.adds_to_team() {
            None => None,
            Some((team, delta)) => Some(TeamContribution {
                team,
                delta,
                item: self.entry(team)?.load_item(),
            }),
        };
        let member = match ticket.adds_to_member() {
            None => None,
            Some((team, user, delta)) => {
                let counters = match (self.team(team)?, selected) {
                    (None, _) => None,
                    (Some(_), Some(position)) => Some(Counters::Member(position)),
                    (Some(state), None) => Some(state.counters(user)?),
                };
                Some(MemberContribution {
                    team,
                    user,
                    delta,
                    counters,
                })
            }
        };
        Ok(Contribution { team, member })
    }

    /// Moves the open tickets of a user in a team.
    pub(super) fn count(&mut self, contribution: &Contribution, sign: i64) {
        if let Some(MemberContribution {
            team,
            delta,
            counters: Some(Counters::Member(position)),
            ..
        }) = &contribution.member
            && let Ok(Some(state)) = self.team(*team)
        {
            let open = &mut state.standings[*position].open_tickets;
            *open = open.saturating_add_signed(sign * delta.open);
        }
    }
}

impl<'i> TeamEntry<'i> {
    fn new(lookup: &'i TeamLookup) -> Self {
        match lookup {
            TeamLookup::Found(input) => Self::Found(TeamState::new(input)),
            TeamLookup::Deleted => Self::Deleted,
            TeamLookup::NotFound => Self::NotFound,
        }
    }

    fn load_item(&self) -> Option<LoadItem> {
        match self {
            Self::Found(_) => Some(LoadItem::Load),
            Self::Deleted => Some(LoadItem::Tombstone),
            Self::NotFound => None,
        }
    }
}

impl<'i> TeamState<'i> {
    pub(super) fn new(input: &'i TeamInput) -> Self {
        let TeamInput {
            team,
            load,
            members,
            past_counters,
        } = input;
        Self {
            team,
            members,
            eligible: input.eligible() as u64,
            standings: members.iter().map(Standing::new).collect(),
            turn: load.turn,
            skills: SkillIndex::default(),
            past_counters,
            placeholders: BTreeSet::new(),
        }
    }

    /// Returns the position of a member.
    pub(super) fn position(&self, user: UserId) -> Option<usize> {
        self.standings
            .iter()
            .position(|standing| standing.user_id == user)
    }

    /// Returns the item that has the counters of a user.
    ///
    /// # Errors
    /// The past counters, if they were not read yet.
    fn counters(&self, user: UserId) -> Result<Counters, MissingInput> {
        if let Some(position) = self.position(user) {
            return Ok(Counters::Member(position));
        }
        match self.past_counters.get(&user) {
            Some(Some(_)) => Ok(Counters::Past),
            Some(None) if self.placeholders.contains(&user) => Ok(Counters::Past),
            Some(None) => Ok(Counters::Absent),
            None => Err(MissingInput::past_counters(self.team.id, user)),
        }
    }

    /// Gives a decision to a member: advances the turns of the team and of the member.
    pub(super) fn advance(&mut self, position: usize) {
        self.turn += 1;
        self.standings[position].last_turn = self.turn;
    }

    /// Remembers that the batch creates the past counters of a user.
    pub(super) fn add_placeholder(&mut self, user: UserId) {
        self.placeholders.insert(user);
    }
}

impl Standing {
    fn new(member: &Member) -> Self {
        Self {
            user_id: member.user.id,
            joined_at: member.joined_at,
            open_tickets: member.open_tickets,
            last_turn: member.last_turn,
            status: member.user.status,
        }
    }

    pub(super) fn is_eligible(&self) -> bool {
        self.status == UserStatus::Active
    }
}

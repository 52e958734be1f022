//! The input of a plan: the teams and the team matches that were read so far.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Load, Member, PastCounters, Team, TeamId, TicketId, Topics, UserId};

/// A team that exists: its load, its members, and the past counters that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamInput {
    /// The team.
    pub team: Team,
    /// Its load.
    pub load: Load,
    /// Its members.
    pub members: Vec<Member>,
    /// The counters of users that are not members. A user without an entry was not read yet; `None`
    /// means that the user has no counters.
    pub past_counters: BTreeMap<UserId, Option<PastCounters>>,
}

impl TeamInput {
    /// Puts a team together from its items. No past counters are read yet.
    #[must_use]
    pub fn new(team: Team, load: Load, members: Vec<Member>) -> Self {
        Self {
            team,
            load,
            members,
            past_counters: BTreeMap::new(),
        }
    }

    /// Returns the number of eligible members.
    #[must_use]
    pub fn eligible(&self) -> usize {
        self.members
            .iter()
            .filter(|member| member.is_eligible())
            .count()
    }
}

/// The result of reading a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TeamLookup {
    /// The team exists.
    Found(Box<TeamInput>),
    /// The team was deleted. Its tombstone counts the open tickets until the sweep unassigns them.
    Deleted,
    /// The organization never had this team.
    NotFound,
}

/// A ticket that needs a team match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedTicket {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The topics of the ticket.
    pub topics: Topics,
    /// The team of the previous match, if it was deleted or its specializations do not match.
    pub rejected: Option<TeamId>,
}

/// The team match of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMatch {
    /// The topics for which the team was matched. If an event changes the topics, the match is
    /// invalid.
    pub topics: Topics,
    /// The team; `None` if no team matches.
    pub team: Option<TeamId>,
}

/// Everything that a plan depends on, except the tickets: the teams and the team matches that were
/// read so far.
///
/// A plan that needs more returns [`MissingInput`]. The caller reads it, adds it here, and plans
/// again from the start.
#[derive(Debug, Clone, Default)]
pub struct PlanningInput {
    /// The teams.
    pub teams: HashMap<TeamId, TeamLookup>,
    /// The teams that were matched for tickets that name none. Loads and index entries are read
    /// before the team, so the plan verifies a match by the team as read.
    pub team_matches: HashMap<TicketId, TeamMatch>,
}

/// The input that has to be read before the batch can be planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingInput {
    /// Teams.
    pub teams: BTreeSet<TeamId>,
    /// Tickets that need a team match, in the order of the batch.
    pub unmatched_tickets: Vec<UnmatchedTicket>,
    /// Users that are not members of these teams, for their past counters.
    pub past_counters: BTreeSet<(TeamId, UserId)>,
}

impl MissingInput {
    pub(super) fn team(id: TeamId) -> Self {
        Self {
            teams: [id].into(),
            ..Self::default()
        }
    }

    pub(super) fn past_counters(team: TeamId, user: UserId) -> Self {
        Self {
            past_counters: [(team, user)].into(),
            ..Self::default()
        }
    }

    pub(super) fn team_match(ticket: UnmatchedTicket) -> Self {
        Self {
            unmatched_tickets: vec![ticket],
            ..Self::default()
        }
    }

    /// Returns whether no input is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            teams,
            unmatched_tickets,
            past_counters,
        } = self;
        teams.is_empty() && unmatched_tickets.is_empty() && past_counters.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self {
            teams,
            unmatched_tickets,
            past_counters,
        } = other;
        self.teams.extend(teams);
        self.unmatched_tickets.extend(unmatched_tickets);
        self.past_counters.extend(past_counters);
    }
}

impl PlanningInput {
    /// Adds the past counters that were read: `requested` users that are not in `found` have none.
    pub fn add_past_counters(
        &mut self,
        requested: BTreeSet<(TeamId, UserId)>,
        found: Vec<(TeamId, PastCounters)>,
    ) {
        let absent = requested.into_iter().map(|(team, user)| (team, user, None));
        let found = found
            .into_iter()
            .map(|(team, past)| (team, past.user_id, Some(past)));
        for (team, user, past) in absent.chain(found) {
            if let Some(TeamLookup::Found(team_input)) = self.teams.get_mut(&team) {
                team_input.past_counters.insert(user, past);
            }
        }
    }
}

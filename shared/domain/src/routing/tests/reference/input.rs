//! The input of a plan: the teams and the team matches that were read so far.

use std::collections::{BTreeMap, HashMap};

use crate::{
    Folded, Load, LoadDelta, Member, MemberDelta, PastCounters, Resolved, Tags, Team, TeamId,
    Ticket, TicketId, UserId,
    routing::{self, MissingInput, TeamMatch},
};

/// A membership with its folded skills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInput {
    /// The membership.
    pub membership: Member,
    /// Its skills, folded.
    pub skills: Vec<Folded>,
}

impl MemberInput {
    /// Folds the skills of a membership.
    pub(super) fn new(membership: Member) -> Self {
        Self {
            skills: folded(&membership.skills),
            membership,
        }
    }
}

/// A team that exists: its load, its members, and the past counters that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamInput {
    /// The team.
    pub team: Team,
    /// Its specializations, folded.
    pub specializations: Vec<Folded>,
    /// Its load.
    pub load: Load,
    /// Its members.
    pub members: Vec<MemberInput>,
    /// The counters of users that are not members. A user without an entry was not read yet; `None`
    /// means that the user has no counters.
    pub past_counters: BTreeMap<UserId, Option<PastCounters>>,
}

impl TeamInput {
    /// Puts a team together from its items. No past counters are read yet.
    pub(super) fn new(team: Team, load: Load, members: Vec<Member>) -> Self {
        let specializations = folded(&team.specializations);
        let members = members.into_iter().map(MemberInput::new).collect();
        Self {
            team,
            specializations,
            load,
            members,
            past_counters: BTreeMap::new(),
        }
    }

    /// Returns a member.
    pub(super) fn member(&self, user: UserId) -> Option<&MemberInput> {
        self.members
            .iter()
            .find(|member| member.membership.user.id == user)
    }

    pub(super) fn member_mut(&mut self, user: UserId) -> Option<&mut MemberInput> {
        self.members
            .iter_mut()
            .find(|member| member.membership.user.id == user)
    }

    /// Moves the counters of the load.
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

    /// Moves the counters of a member, or the past counters of another user.
    fn count_user(&mut self, user: UserId, delta: MemberDelta) {
        if let Some(MemberInput { membership, .. }) = self.member_mut(user) {
            count_user(
                &mut membership.open_tickets,
                &mut membership.in_progress_tickets,
                &mut membership.resolved,
                delta,
            );
        } else if let Some(Some(past)) = self.past_counters.get_mut(&user) {
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

impl PlanningInput {
    /// Returns the lookup of a team.
    ///
    /// # Errors
    /// The team, if it was not read yet.
    pub(super) fn team(&self, id: TeamId) -> Result<&TeamLookup, MissingInput> {
        self.teams.get(&id).ok_or_else(|| MissingInput::team(id))
    }

    /// Returns a team if it exists.
    ///
    /// # Errors
    /// The team, if it was not read yet.
    pub(super) fn team_input(&self, id: TeamId) -> Result<Option<&TeamInput>, MissingInput> {
        Ok(match self.team(id)? {
            TeamLookup::Found(team_input) => Some(team_input),
            TeamLookup::Deleted | TeamLookup::NotFound => None,
        })
    }

    pub(super) fn team_input_mut(&mut self, id: TeamId) -> Option<&mut TeamInput> {
        match self.teams.get_mut(&id)? {
            TeamLookup::Found(team_input) => Some(team_input),
            TeamLookup::Deleted | TeamLookup::NotFound => None,
        }
    }

    /// Moves the counters by the contribution of a ticket after a change, less that before.
    pub(super) fn count(&mut self, before: Option<&Ticket>, after: &Ticket) {
        let contribution = |ticket: &Ticket| (ticket.adds_to_team(), ticket.adds_to_member());
        let (team_before, member_before) = before.map(contribution).unwrap_or_default();
        let (team_after, member_after) = contribution(after);
        let teams = team_before
            .map(|(team, delta)| (team, delta.negated()))
            .into_iter()
            .chain(team_after);
        for (team, delta) in teams {
            if let Some(team_input) = self.team_input_mut(team) {
                team_input.count(delta);
            }
        }
        let members = member_before
            .map(|(team, user, delta)| (team, user, delta.negated()))
            .into_iter()
            .chain(member_after);
        for (team, user, delta) in members {
            if let Some(team_input) = self.team_input_mut(team) {
                team_input.count_user(user, delta);
            }
        }
    }
}

impl From<&routing::PlanningInput> for PlanningInput {
    fn from(input: &routing::PlanningInput) -> Self {
        let routing::PlanningInput {
            teams,
            team_matches,
        } = input;
        let teams = teams.iter().map(|(id, lookup)| {
            let lookup = match lookup {
                routing::TeamLookup::Found(input) => {
                    let routing::TeamInput {
                        team,
                        load,
                        members,
                        past_counters,
                    } = (**input).clone();
                    let mut input = TeamInput::new(team, load, members);
                    input.past_counters = past_counters;
                    TeamLookup::Found(Box::new(input))
                }
                routing::TeamLookup::Deleted => TeamLookup::Deleted,
                routing::TeamLookup::NotFound => TeamLookup::NotFound,
            };
            (*id, lookup)
        });
        Self {
            teams: teams.collect(),
            team_matches: team_matches.clone(),
        }
    }
}

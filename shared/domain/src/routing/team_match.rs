//! Chooses a team for a ticket that names none.
//!
//! The choice is made once for each batch, over index entries and loads and before any team is
//! read. A plan then verifies it by the team as read: if the team is gone or its specializations no
//! longer match, the plan asks for the next best.
//!
//! The work for one ticket is bounded: at most [`MAX_ENTRIES`] index entries of each topic and
//! [`MAX_TEAMS`] loads. Where a topic has more teams, a hash of the ticket's id decides which are
//! compared, so that every team gets its share of the tickets.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, HashMap},
};

use super::{MissingInput, PlanningInput};
use crate::{Load, RingPlace, TeamId, TicketId, Topics};

/// The most index entries of one topic that are read for one ticket.
pub const MAX_ENTRIES: usize = 1000;

/// The most teams whose loads are compared for one ticket.
pub const MAX_TEAMS: usize = 100;

/// A team that the index lists under a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicEntry {
    /// The team's place on the topic's ring.
    pub place: RingPlace,
    /// The team.
    pub team: TeamId,
}

/// The teams that one page of the index lists under a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicPage {
    /// The teams, each once.
    pub entries: Vec<TopicEntry>,
    /// Whether the page has all teams of the topic, so that it serves every ticket.
    pub is_complete: bool,
}

/// A ticket for which a plan needs a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedTicket {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The topics of the ticket.
    pub topics: Topics,
    /// The team that was chosen before, if it is gone or its specializations do not match.
    pub rejected: Option<TeamId>,
}

/// The team that was chosen for a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMatch {
    /// The topics that the choice is for.
    pub topics: Topics,
    /// The team; `None` if no team matches.
    pub team: Option<TeamId>,
}

/// A team that may get a ticket, by the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamCandidate {
    /// The team.
    pub team: TeamId,
    /// The number of the ticket's topics under which the index lists the team.
    pub matched: usize,
}

/// Returns the candidates for a ticket: the teams that match most topics, at most [`MAX_TEAMS`].
///
/// Among teams that match as many topics, the first after the ticket's own place on the ring are
/// taken.
#[must_use]
pub fn candidates<'s>(
    ticket: &TicketId,
    pages: impl IntoIterator<Item = &'s TopicPage>,
) -> Vec<TeamCandidate> {
    let start = RingPlace::of(ticket.as_str());
    let mut matched: HashMap<TeamId, (usize, u32)> = HashMap::new();
    for TopicEntry { place, team } in pages.into_iter().flat_map(|page| &page.entries) {
        matched
            .entry(*team)
            .or_insert((0, place.distance_from(start)))
            .0 += 1;
    }
    let mut found: Vec<_> = matched.into_iter().collect();
    found.sort_unstable_by_key(|(team, (matched, distance))| (Reverse(*matched), *distance, *team));
    found.truncate(MAX_TEAMS);
    found
        .into_iter()
        .map(|(team, (matched, _))| TeamCandidate { team, matched })
        .collect()
}

/// A ticket's candidates that are not rejected, and the chosen one.
#[derive(Debug, Clone)]
struct Matching {
    topics: Topics,
    candidates: Vec<TeamCandidate>,
    chosen: Option<TeamId>,
}

/// The choices of a batch, and the loads that they are made over.
///
/// Each choice adds its ticket to the load of the chosen team, so that the tickets of a batch
/// spread as if they had come one by one.
#[derive(Debug, Clone, Default)]
pub struct TeamMatcher {
    /// The loads as read, and the chosen tickets. `None` for a team that does not exist.
    loads: HashMap<TeamId, Option<Load>>,
    tickets: HashMap<TicketId, Matching>,
}

impl TeamMatcher {
    /// Returns the tickets whose candidates are not input for these topics.
    #[must_use]
    pub fn without_candidates<'w>(
        &self,
        wanted: &'w [UnmatchedTicket],
    ) -> Vec<&'w UnmatchedTicket> {
        let is_known = |wanted: &UnmatchedTicket| {
            self.tickets
                .get(&wanted.ticket_id)
                .is_some_and(|matching| matching.topics == wanted.topics)
        };
        wanted.iter().filter(|wanted| !is_known(wanted)).collect()
    }

    /// Records a ticket's candidates. Replaces a choice that was made for other topics.
    pub fn set_candidates(&mut self, wanted: &UnmatchedTicket, candidates: Vec<TeamCandidate>) {
        self.withdraw(&wanted.ticket_id);
        let matching = Matching {
            topics: wanted.topics.clone(),
            candidates,
            chosen: None,
        };
        self.tickets.insert(wanted.ticket_id.clone(), matching);
    }

    /// Returns the candidates of these tickets whose loads are not input.
    #[must_use]
    pub fn missing_loads(&self, wanted: &[UnmatchedTicket]) -> BTreeSet<TeamId> {
        let matching = wanted
            .iter()
            .filter_map(|wanted| self.tickets.get(&wanted.ticket_id));
        let teams = matching
            .flat_map(|matching| &matching.candidates)
            .map(|candidate| candidate.team);
        teams
            .filter(|team| !self.loads.contains_key(team))
            .collect()
    }

    /// Records the loads of teams. A team without a load does not exist.
    pub fn set_loads(&mut self, teams: BTreeSet<TeamId>, mut loads: HashMap<TeamId, Load>) {
        self.loads
            .extend(teams.into_iter().map(|team| (team, loads.remove(&team))));
    }

    /// Chooses a team for each ticket, in this order, over the input candidates and loads.
    pub fn match_teams(&mut self, wanted: &[UnmatchedTicket]) {
        for UnmatchedTicket { ticket_id, .. } in wanted {
            self.withdraw(ticket_id);
        }
        for UnmatchedTicket {
            ticket_id,
            topics: _,
            rejected,
        } in wanted
        {
            let Self { loads, tickets } = self;
            let Some(matching) = tickets.get_mut(ticket_id) else {
                continue;
            };
            matching
                .candidates
                .retain(|candidate| Some(candidate.team) != *rejected);
            let rated = matching.candidates.iter().filter_map(|candidate| {
                let load = loads.get(&candidate.team).copied().flatten()?;
                Some(Rated {
                    candidate: *candidate,
                    load,
                })
            });
            matching.chosen = rated.min_by(Rated::order).map(|rated| rated.candidate.team);
            if let Some(load) = matching
                .chosen
                .and_then(|team| loads.get_mut(&team)?.as_mut())
            {
                load.open_tickets += 1;
            }
        }
    }

    /// Takes a ticket off the load of the team that was chosen for it.
    fn withdraw(&mut self, ticket: &TicketId) {
        let chosen = self
            .tickets
            .get_mut(ticket)
            .and_then(|matching| matching.chosen.take());
        if let Some(load) = chosen.and_then(|team| self.loads.get_mut(&team)?.as_mut()) {
            load.open_tickets = load.open_tickets.saturating_sub(1);
        }
    }

    /// Returns the choices made for these tickets.
    #[must_use]
    pub fn matches_of<'t>(
        &self,
        tickets: impl IntoIterator<Item = &'t TicketId>,
    ) -> HashMap<TicketId, TeamMatch> {
        let choice = |ticket: &'t TicketId| {
            let Matching {
                topics,
                candidates: _,
                chosen,
            } = self.tickets.get(ticket)?;
            Some((
                ticket.clone(),
                TeamMatch {
                    topics: topics.clone(),
                    team: *chosen,
                },
            ))
        };
        tickets.into_iter().filter_map(choice).collect()
    }
}

/// A candidate with its load.
struct Rated {
    candidate: TeamCandidate,
    load: Load,
}

impl Rated {
    /// Orders candidates, the best first: teams without an eligible member last, then most topics,
    /// then the fewest open tickets for each eligible member, then the smallest id.
    fn order(&self, other: &Self) -> Ordering {
        let [one, two] = [self, other];
        let is_idle = |rated: &Self| rated.load.eligible == 0;
        // Compares in whole numbers. A team without an eligible member counts as one with one.
        let open = |rated: &Self| u128::from(rated.load.open_tickets);
        let eligible = |rated: &Self| u128::from(rated.load.eligible.max(1));
        is_idle(one)
            .cmp(&is_idle(two))
            .then(two.candidate.matched.cmp(&one.candidate.matched))
            .then_with(|| (open(one) * eligible(two)).cmp(&(open(two) * eligible(one))))
            .then(one.candidate.team.cmp(&two.candidate.team))
    }
}

/// Returns the team that was chosen for a ticket, if the team as read still matches. `None` if no
/// team matches.
///
/// # Errors
/// The team to read, or the ticket that needs a choice: the first one, one for other topics, or one
/// in place of a team that is gone or no longer matches.
pub(super) fn matched_team(
    input: &PlanningInput,
    ticket_id: &TicketId,
    topics: &Topics,
) -> Result<Option<TeamId>, MissingInput> {
    if topics.as_slice().is_empty() {
        return Ok(None);
    }
    let wanted = |rejected| UnmatchedTicket {
        ticket_id: ticket_id.clone(),
        topics: topics.clone(),
        rejected,
    };
    let Some(choice) = input
        .team_matches
        .get(ticket_id)
        .filter(|choice| choice.topics == *topics)
    else {
        return Err(MissingInput::team_match(wanted(None)));
    };
    let Some(team) = choice.team else {
        return Ok(None);
    };
    match input.team_input(team)? {
        Some(team_input) if topics.matched(&team_input.specializations) > 0 => Ok(Some(team)),
        Some(_) | None => Err(MissingInput::team_match(wanted(Some(team)))),
    }
}

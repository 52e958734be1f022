//! Matches a team by its specializations to a ticket that names none.
//!
//! A batch is matched once, over topic entries and loads, before any team is read. The plan then
//! verifies each match by the team as read. If the team was deleted or its specializations no
//! longer match, the plan rejects it, and the next candidate is matched.
//!
//! The reads for one ticket are bounded: at most [`MAX_ENTRIES`] entries of each topic and
//! [`MAX_TEAMS`] loads. If a topic has more teams, a hash of the ticket's id selects those that are
//! compared, so that every team gets its share of the tickets.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, HashMap},
};

use super::{MissingInput, TeamMatch, UnmatchedTicket, state::BatchState};
use crate::{Folded, Load, RingPlace, TeamId, TicketId, Topics};

/// The maximum number of entries of one topic that are read for one ticket.
pub const MAX_ENTRIES: usize = 1000;

/// The maximum number of teams that are compared for one ticket.
pub const MAX_TEAMS: usize = 100;

/// An entry of the specialization index: a team under a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicEntry {
    /// The place of the team on the ring.
    pub place: RingPlace,
    /// The team.
    pub team: TeamId,
}

/// A page of the specialization index: teams under one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicPage {
    /// The teams, each once.
    pub entries: Vec<TopicEntry>,
    /// Whether the page has all teams of the topic, so that every ticket can use it.
    pub is_complete: bool,
}

/// A team that the index lists for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamCandidate {
    /// The team.
    pub team: TeamId,
    /// The number of the ticket's topics that list the team.
    pub matched_topics: usize,
}

/// Returns the candidates for a ticket: the teams that match the most topics, at most
/// [`MAX_TEAMS`].
///
/// Teams that match equally many topics are ordered by their distance from the ticket's place on
/// the ring.
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
        .map(|(team, (matched, _))| TeamCandidate {
            team,
            matched_topics: matched,
        })
        .collect()
}

/// The candidates of a ticket that are not rejected, and the matched one.
#[derive(Debug, Clone)]
struct TicketCandidates {
    topics: Topics,
    candidates: Vec<TeamCandidate>,
    matched: Option<TeamId>,
}

/// The team matches of a batch, and the loads that they compare.
///
/// Each match adds its ticket to the load of the team. So the tickets of a batch spread as if they
/// were matched one by one. Retries and splits of the batch reuse the matches.
#[derive(Debug, Clone, Default)]
pub struct TeamMatcher {
    /// The loads as read, plus the matched tickets. `None` for a team that does not exist.
    loads: HashMap<TeamId, Option<Load>>,
    tickets: HashMap<TicketId, TicketCandidates>,
}

impl TeamMatcher {
    /// Returns the tickets without candidates for these topics, in order to read them.
    #[must_use]
    pub fn without_candidates<'w>(
        &self,
        unmatched: &'w [UnmatchedTicket],
    ) -> Vec<&'w UnmatchedTicket> {
        let is_known = |unmatched: &UnmatchedTicket| {
            self.tickets
                .get(&unmatched.ticket_id)
                .is_some_and(|of_ticket| of_ticket.topics == unmatched.topics)
        };
        unmatched
            .iter()
            .filter(|unmatched| !is_known(unmatched))
            .collect()
    }

    /// Sets the candidates of a ticket. Withdraws a match for other topics.
    pub fn set_candidates(&mut self, unmatched: &UnmatchedTicket, candidates: Vec<TeamCandidate>) {
        self.withdraw(&unmatched.ticket_id);
        let of_ticket = TicketCandidates {
            topics: unmatched.topics.clone(),
            candidates,
            matched: None,
        };
        self.tickets.insert(unmatched.ticket_id.clone(), of_ticket);
    }

    /// Returns the candidates of these tickets without a load, in order to read them.
    #[must_use]
    pub fn missing_loads(&self, unmatched: &[UnmatchedTicket]) -> BTreeSet<TeamId> {
        let of_ticket = unmatched
            .iter()
            .filter_map(|unmatched| self.tickets.get(&unmatched.ticket_id));
        let teams = of_ticket
            .flat_map(|of_ticket| &of_ticket.candidates)
            .map(|candidate| candidate.team);
        teams
            .filter(|team| !self.loads.contains_key(team))
            .collect()
    }

    /// Sets the loads that were read. A team without a load does not exist.
    pub fn set_loads(&mut self, teams: BTreeSet<TeamId>, mut loads: HashMap<TeamId, Load>) {
        self.loads
            .extend(teams.into_iter().map(|team| (team, loads.remove(&team))));
    }

    /// Matches a team to each ticket, in this order, by the candidates and loads.
    pub fn match_teams(&mut self, unmatched: &[UnmatchedTicket]) {
        for UnmatchedTicket { ticket_id, .. } in unmatched {
            self.withdraw(ticket_id);
        }
        for UnmatchedTicket {
            ticket_id,
            topics: _,
            rejected,
        } in unmatched
        {
            let Self { loads, tickets } = self;
            let Some(of_ticket) = tickets.get_mut(ticket_id) else {
                continue;
            };
            of_ticket
                .candidates
                .retain(|candidate| Some(candidate.team) != *rejected);
            let rated = of_ticket.candidates.iter().filter_map(|candidate| {
                let load = loads.get(&candidate.team).copied().flatten()?;
                Some(Rated {
                    candidate: *candidate,
                    load,
                })
            });
            of_ticket.matched = rated.min_by(Rated::order).map(|rated| rated.candidate.team);
            if let Some(load) = of_ticket
                .matched
                .and_then(|team| loads.get_mut(&team)?.as_mut())
            {
                load.open_tickets += 1;
            }
        }
    }

    /// Withdraws the match of a ticket, and removes the ticket from the load of the team.
    fn withdraw(&mut self, ticket: &TicketId) {
        let matched = self
            .tickets
            .get_mut(ticket)
            .and_then(|of_ticket| of_ticket.matched.take());
        if let Some(load) = matched.and_then(|team| self.loads.get_mut(&team)?.as_mut()) {
            load.open_tickets = load.open_tickets.saturating_sub(1);
        }
    }

    /// Returns the matches of these tickets.
    #[must_use]
    pub fn matches_of<'t>(
        &self,
        tickets: impl IntoIterator<Item = &'t TicketId>,
    ) -> HashMap<TicketId, TeamMatch> {
        let team_match = |ticket: &'t TicketId| {
            let TicketCandidates {
                topics,
                candidates: _,
                matched,
            } = self.tickets.get(ticket)?;
            Some((
                ticket.clone(),
                TeamMatch {
                    topics: topics.clone(),
                    team: *matched,
                },
            ))
        };
        tickets.into_iter().filter_map(team_match).collect()
    }
}

/// A candidate with its load.
struct Rated {
    candidate: TeamCandidate,
    load: Load,
}

impl Rated {
    /// Orders candidates, the best first: teams with an eligible member, then the most topics, then
    /// the fewest open tickets for each eligible member, then the smallest id, which is the oldest
    /// team.
    fn order(&self, other: &Self) -> Ordering {
        let [one, two] = [self, other];
        let is_idle = |rated: &Self| rated.load.eligible == 0;
        // Cross-multiplies, to compare the ratios exactly in integers. A team without an eligible
        // member counts as one with one, to avoid a division by zero.
        let open = |rated: &Self| u128::from(rated.load.open_tickets);
        let eligible = |rated: &Self| u128::from(rated.load.eligible.max(1));
        is_idle(one)
            .cmp(&is_idle(two))
            .then(
                two.candidate
                    .matched_topics
                    .cmp(&one.candidate.matched_topics),
            )
            .then_with(|| (open(one) * eligible(two)).cmp(&(open(two) * eligible(one))))
            .then(one.candidate.team.cmp(&two.candidate.team))
    }
}

/// Returns the matched team of a ticket, verified by the team as read. `None` if no team matches.
///
/// # Errors
/// The team to read, or the ticket that needs a match: its first one, one for its present topics,
/// or the next one after a team that was deleted or no longer matches.
pub(super) fn matched_team(
    state: &mut BatchState<'_>,
    ticket_id: &TicketId,
    topics: &[&Folded],
) -> Result<Option<TeamId>, MissingInput> {
    if topics.is_empty() {
        return Ok(None);
    }
    let unmatched = |rejected| UnmatchedTicket {
        ticket_id: ticket_id.clone(),
        topics: topics.iter().copied().cloned().collect(),
        rejected,
    };
    let Some(team_match) = state
        .input()
        .team_matches
        .get(ticket_id)
        .filter(|team_match| team_match.topics == *topics)
    else {
        return Err(MissingInput::team_match(unmatched(None)));
    };
    let Some(team) = team_match.team else {
        return Ok(None);
    };
    match state.team(team)? {
        Some(found) if found.team.specializations.matched(topics) > 0 => Ok(Some(team)),
        Some(_) | None => Err(MissingInput::team_match(unmatched(Some(team)))),
    }
}

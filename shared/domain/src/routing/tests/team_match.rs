//! The match of a team to a ticket that names none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;
use crate::{
    RingPlace,
    routing::{
        MAX_ENTRIES, MAX_TEAMS, TeamCandidate, TeamMatcher, TopicEntry, TopicPage, UnmatchedTicket,
        candidates,
    },
};

fn specialist(n: u128) -> TopicEntry {
    TopicEntry {
        place: RingPlace::of(&team_id(n).uuid().to_string()),
        team: team_id(n),
    }
}

fn whole_page(teams: impl IntoIterator<Item = u128>) -> TopicPage {
    TopicPage {
        entries: teams.into_iter().map(specialist).collect(),
        is_complete: true,
    }
}

fn unmatched(ticket: usize, rejected: Option<u128>) -> UnmatchedTicket {
    UnmatchedTicket {
        ticket_id: ticket_id(ticket),
        topics: Topics::of(["vpn"]),
        rejected: rejected.map(team_id),
    }
}

fn load(open_tickets: u64, eligible: u64) -> Load {
    Load {
        open_tickets,
        eligible,
        ..Load::default()
    }
}

/// Returns the matcher of a batch over teams with these loads. Each team matches as many topics as
/// given.
fn matcher(tickets: usize, teams: &[(Load, usize)]) -> TeamMatcher {
    let ids = (0..teams.len()).map(|n| team_id(n as u128));
    let mut matcher = TeamMatcher::default();
    for ticket in 0..tickets {
        let matching = ids
            .clone()
            .zip(teams)
            .map(|(team, (_, matched))| TeamCandidate {
                team,
                matched_topics: *matched,
            });
        matcher.set_candidates(&unmatched(ticket, None), matching.collect());
    }
    matcher.set_loads(
        ids.clone().collect(),
        ids.zip(teams)
            .map(|(team, (load, _))| (team, *load))
            .collect(),
    );
    matcher
}

fn chosen(matcher: &TeamMatcher, ticket: usize) -> Option<TeamId> {
    matcher.matches_of([&ticket_id(ticket)])[&ticket_id(ticket)].team
}

prop_compose! {
    fn a_team()(open in 0..20_u64, eligible in 0..4_u64, matched in 1..4_usize) -> (Load, usize) {
        (load(open, eligible), matched)
    }
}

proptest! {
    /// The matched team is first in the documented order: eligible members, topics, open tickets
    /// for each eligible member, id.
    #[test]
    fn chosen_team_is_the_best_in_each_rule(teams in vec(a_team(), 1..12)) {
        let mut matcher = matcher(1, &teams);
        matcher.match_teams(&[unmatched(0, None)]);
        let best = chosen(&matcher, 0).expect("there is a team");
        let rank = |n: usize| {
            let (Load { open_tickets, eligible, .. }, matched) = teams[n];
            // Up to 3 eligible members: sixths are whole.
            (eligible == 0, std::cmp::Reverse(matched), open_tickets * 6 / eligible.max(1), n)
        };
        let first = (0..teams.len()).min_by_key(|&n| rank(n)).expect("there is a team");
        prop_assert_eq!(best, team_id(first as u128));
    }

    /// A batch matches the teams that its tickets would match one by one.
    #[test]
    fn batch_chooses_as_its_tickets_one_by_one(teams in vec(a_team(), 1..8), tickets in 1..40_usize) {
        let mut at_once = matcher(tickets, &teams);
        at_once.match_teams(&(0..tickets).map(|ticket| unmatched(ticket, None)).collect::<Vec<_>>());
        let mut left = teams;
        for ticket in 0..tickets {
            let mut alone = matcher(ticket + 1, &left);
            alone.match_teams(&[unmatched(ticket, None)]);
            let team = chosen(&alone, ticket).expect("there is a team");
            prop_assert_eq!(chosen(&at_once, ticket), Some(team));
            let at = (0..left.len()).find(|&n| team_id(n as u128) == team).expect("it is one of them");
            left[at].0.open_tickets += 1;
        }
    }

    /// A rejected team has no effect: its tickets are matched and counted as if the index had never
    /// listed it.
    #[test]
    fn rejected_team_leaves_no_trace(teams in vec(a_team(), 2..8), tickets in 1..20_usize) {
        let mut choices_with = matcher(tickets, &teams);
        let batch = |rejected| (0..tickets).map(|ticket| unmatched(ticket, rejected)).collect::<Vec<_>>();
        choices_with.match_teams(&batch(None));
        let gone = (0..teams.len() as u128).find(|&n| Some(team_id(n)) == chosen(&choices_with, 0)).expect("one of them");
        // All tickets that were given to it are chosen for again, in the order of the batch.
        choices_with.match_teams(&batch(Some(gone)));
        let mut without = matcher(tickets, &teams);
        without.match_teams(&[]);
        for ticket in 0..tickets {
            let others = (0..teams.len()).filter(|&n| n as u128 != gone);
            let matching = others.map(|n| TeamCandidate { team: team_id(n as u128), matched_topics: teams[n].1 });
            without.set_candidates(&unmatched(ticket, None), matching.collect());
        }
        without.match_teams(&batch(None));
        for ticket in 0..tickets {
            prop_assert_eq!(chosen(&choices_with, ticket), chosen(&without, ticket));
        }
    }

    #[test]
    fn candidates_match_most_topics_and_are_at_most_100(
        topics in vec(vec(0..400_u128, 0..300), 1..4),
        ticket in 0..1000_usize,
    ) {
        let topics: Vec<BTreeSet<u128>> = topics.into_iter().map(|teams| teams.into_iter().collect()).collect();
        let pages: Vec<_> = topics.iter().map(|teams| whole_page(teams.iter().copied())).collect();
        let found = candidates(&ticket_id(ticket), &pages);
        let matched = |team: u128| topics.iter().filter(|teams| teams.contains(&team)).count();
        let all: BTreeSet<u128> = topics.iter().flatten().copied().collect();
        prop_assert_eq!(found.len(), all.len().min(MAX_TEAMS));
        let mut taken = BTreeSet::new();
        for candidate in &found {
            let team = all.iter().copied().find(|&n| team_id(n) == candidate.team).expect("it is listed");
            prop_assert!(taken.insert(team), "each team once");
            prop_assert_eq!(candidate.matched_topics, matched(team));
        }
        let least = found.iter().map(|candidate| candidate.matched_topics).min().unwrap_or(0);
        prop_assert!(all.difference(&taken).all(|&team| matched(team) <= least));
    }
}

/// The page that a query reads from a ticket's place on the ring.
fn page_of(ticket: &TicketId, ring: &[TopicEntry]) -> TopicPage {
    let start = RingPlace::of(ticket.as_str());
    let at = ring.partition_point(|entry| entry.place < start);
    let turn = ring[at..].iter().chain(&ring[..at]).take(MAX_ENTRIES);
    TopicPage {
        entries: turn.copied().collect(),
        is_complete: ring.len() <= MAX_ENTRIES,
    }
}

/// Each of 5,000 teams is compared about equally often, independent of its age.
#[test]
fn each_of_5000_teams_gets_its_share() {
    const TEAMS: u128 = 5_000;
    const TICKETS: usize = 2_500;
    let mut ring: Vec<_> = (0..TEAMS).map(specialist).collect();
    ring.sort_by_key(|entry| (entry.place, entry.team));
    let mut looked_at: BTreeMap<TeamId, usize> = BTreeMap::new();
    for ticket in (0..TICKETS).map(ticket_id) {
        let found = candidates(&ticket, [&page_of(&ticket, &ring)]);
        assert_eq!(found.len(), MAX_TEAMS);
        for candidate in found {
            *looked_at.entry(candidate.team).or_default() += 1;
        }
    }
    let mean = TICKETS * MAX_TEAMS / usize::try_from(TEAMS).unwrap();
    assert_eq!(
        looked_at.len(),
        usize::try_from(TEAMS).unwrap(),
        "each team is looked at"
    );
    let (least, most) = (
        looked_at.values().min().unwrap(),
        looked_at.values().max().unwrap(),
    );
    assert!(
        *least * 4 > mean && *most < mean * 2,
        "{least} to {most} around {mean}"
    );
    let older: usize = looked_at
        .range(..team_id(TEAMS / 2))
        .map(|(_, count)| count)
        .sum();
    let all = TICKETS * MAX_TEAMS;
    assert!(
        (all * 48 / 100..all * 52 / 100).contains(&older),
        "{older} of {all}"
    );
}

/// The place of the ticket selects the compared teams of a complete page, too.
#[test]
fn teams_of_a_whole_page_are_compared_from_the_tickets_place() {
    let page = whole_page(0..500);
    let looked_at = |ticket| -> BTreeSet<_> {
        candidates(&ticket_id(ticket), [&page])
            .into_iter()
            .map(|candidate| candidate.team)
            .collect()
    };
    let all: BTreeSet<_> = (0..100).flat_map(looked_at).collect();
    assert_eq!(all.len(), 500);
}

#[test]
fn tickets_spread_over_equal_teams() {
    let teams = vec![(load(3, 2), 1); 8];
    let mut matcher = matcher(80, &teams);
    matcher.match_teams(
        &(0..80)
            .map(|ticket| unmatched(ticket, None))
            .collect::<Vec<_>>(),
    );
    let mut counts: HashMap<_, usize> = HashMap::new();
    for ticket in 0..80 {
        *counts.entry(chosen(&matcher, ticket)).or_default() += 1;
    }
    assert!(
        counts.len() == 8 && counts.values().all(|count| *count == 10),
        "{counts:?}"
    );
}

#[test]
fn team_without_a_load_is_not_chosen() {
    let mut matcher = TeamMatcher::default();
    let matching = [0, 1].map(|n| TeamCandidate {
        team: team_id(n),
        matched_topics: 1,
    });
    matcher.set_candidates(&unmatched(0, None), matching.to_vec());
    assert_eq!(
        matcher.missing_loads(&[unmatched(0, None)]),
        [team_id(0), team_id(1)].into()
    );
    matcher.set_loads(
        [team_id(0), team_id(1)].into(),
        [(team_id(1), load(9, 1))].into(),
    );
    assert_eq!(
        matcher.missing_loads(&[unmatched(0, None)]),
        BTreeSet::new(),
        "a team is read once in a batch"
    );
    matcher.match_teams(&[unmatched(0, None)]);
    assert_eq!(chosen(&matcher, 0), Some(team_id(1)));
    matcher.match_teams(&[unmatched(0, Some(1))]);
    assert_eq!(chosen(&matcher, 0), None, "no team is left");
}

#[test]
fn other_topics_need_other_candidates() {
    let mut matcher = matcher(1, &[(load(0, 1), 1)]);
    matcher.match_teams(&[unmatched(0, None)]);
    let changed = UnmatchedTicket {
        topics: Topics::of(["dns"]),
        ..unmatched(0, None)
    };
    assert_eq!(
        matcher.without_candidates(&[unmatched(0, None)]),
        Vec::<&UnmatchedTicket>::new()
    );
    assert_eq!(
        matcher.without_candidates(std::slice::from_ref(&changed)),
        [&changed]
    );
    matcher.set_candidates(&changed, Vec::new());
    matcher.match_teams(&[changed]);
    assert_eq!(chosen(&matcher, 0), None);
}

//! Which team, for a ticket that names none.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{Desk, Known, Missing};
use crate::domain::{TeamId, Topics};

/// The team whose specializations match the topics best.
///
/// Teams in which nobody is eligible come last; then most matches, fewest open tickets for each eligible member, the oldest.
pub(super) fn best_team(known: &Known, topics: &Topics) -> Result<Option<TeamId>, Missing> {
    let mut missing = Missing::default();
    let mut teams = BTreeSet::new();
    for topic in topics.as_slice() {
        match known.specialists.get(topic) {
            Some(specialists) => teams.extend(specialists.iter().copied()),
            None => drop(missing.topics.insert(topic.clone())),
        }
    }
    let mut matching = Vec::new();
    for team in teams {
        match known.desk(team) {
            // An index entry may be older than the team's last change.
            Ok(desk) => matching.extend(desk.map(|desk| (topics.matched(&desk.specializations), desk))),
            Err(more) => missing.add(more),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    matching.retain(|(matched, _)| *matched > 0);
    let best = matching.into_iter().min_by(|(a_matched, a), (b_matched, b)| {
        (a.eligible() == 0)
            .cmp(&(b.eligible() == 0))
            .then(b_matched.cmp(a_matched))
            .then_with(|| by_open_per_eligible(a, b))
            .then((a.team.created_at, a.team.id).cmp(&(b.team.created_at, b.team.id)))
    });
    Ok(best.map(|(_, desk)| desk.team.id))
}

/// Compares the open tickets that each eligible member has, in whole numbers. Where nobody is eligible, the open tickets.
fn by_open_per_eligible(a: &Desk, b: &Desk) -> Ordering {
    let open = |desk: &Desk| u128::from(desk.load.open_tickets);
    let eligible = |desk: &Desk| desk.eligible().max(1) as u128;
    (open(a) * eligible(b)).cmp(&(open(b) * eligible(a)))
}

//! Selects a member of a team for a ticket.

use super::{
    rank::{Rank, RankedMember},
    state::{Standing, TeamState},
    strategy,
};
use crate::{
    Candidate, Decision, Folded, PassOverReason, QueueStrategy, Timestamp, UserId, UserStatus,
};

/// The result of a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// The position of the new assignee; `None` if no member is eligible.
    pub(super) selected: Option<usize>,
    /// The strategy that decided in place of the team's, because no member had a matching skill.
    pub(super) fallback: Option<QueueStrategy>,
    /// The number of members.
    pub(super) considered: u64,
    /// The number of members with status `active`, the previous assignee included.
    pub(super) eligible: u64,
    /// The first members in the order of the strategy, at most
    /// [`MAX_CANDIDATES`](Decision::MAX_CANDIDATES).
    pub(super) candidates: Vec<Candidate>,
}

/// The sort key of a member. The group comes before the strategy: eligible members, then the
/// previous assignee, then members that are not active. Ties go to the member that joined first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    group: u8,
    rank: Rank,
    joined_at: Timestamp,
    user_id: UserId,
}

/// Selects a member for a ticket with these topics. `previous` is the assignee that the ticket was
/// just taken from; that member is selected only if no other member is eligible.
///
/// One pass over the members, without a sort: a decision needs the first three only.
pub(super) fn select_member(
    team: &mut TeamState<'_>,
    topics: &[&Folded],
    previous: Option<UserId>,
) -> Selection {
    let TeamState {
        team,
        members,
        standings,
        eligible,
        skills,
        ..
    } = team;
    let strategy = team.queue_strategy;
    let matched = strategy::compares_skills(strategy).then(|| skills.matched(members, topics));
    let first = first_members(standings, |position, standing| {
        let ranked = RankedMember {
            standing,
            matched_skills: matched.map_or(0, |matched| matched[position]),
        };
        Order {
            group: group(pass_over_reason(standing, previous)),
            rank: strategy::rank(strategy, ranked),
            joined_at: standing.joined_at,
            user_id: standing.user_id,
        }
    });
    let candidate = |position: usize| {
        let standing = &standings[position];
        Candidate {
            user_id: standing.user_id,
            open_tickets: standing.open_tickets,
            last_turn: standing.last_turn,
            matched_skills: matched.map_or_else(
                || members[position].skills.matched(topics) as u64,
                |matched| matched[position],
            ),
            pass_over_reason: pass_over_reason(standing, previous),
        }
    };
    let mut candidates = Vec::with_capacity(Decision::MAX_CANDIDATES);
    candidates.extend(first.into_iter().flatten().map(candidate));
    // Members that are not active are last. So if the first one is not eligible, none is.
    let best = candidates.first().filter(|best| best.is_eligible());
    // Without a matching skill, the rest of the order of `skill_based` decides: that of
    // `least_busy`.
    let falls_back =
        strategy == QueueStrategy::SkillBased && best.is_some_and(|best| best.matched_skills == 0);
    Selection {
        selected: best.and(first[0]),
        fallback: falls_back.then_some(QueueStrategy::LeastBusy),
        considered: standings.len() as u64,
        eligible: *eligible,
        candidates,
    }
}

/// Returns the positions of the first members in an order.
fn first_members(
    standings: &[Standing],
    order: impl Fn(usize, &Standing) -> Order,
) -> [Option<usize>; Decision::MAX_CANDIDATES] {
    let mut first: [Option<(Order, usize)>; Decision::MAX_CANDIDATES] =
        [None; Decision::MAX_CANDIDATES];
    for (position, standing) in standings.iter().enumerate() {
        let mut member = (order(position, standing), position);
        // Most members come after the last place.
        if first
            .last()
            .is_some_and(|last| last.is_some_and(|last| last <= member))
        {
            continue;
        }
        for place in &mut first {
            match place {
                Some(other) if *other <= member => {}
                Some(other) => std::mem::swap(other, &mut member),
                None => {
                    *place = Some(member);
                    break;
                }
            }
        }
    }
    first.map(|member| member.map(|(_, position)| position))
}

fn pass_over_reason(standing: &Standing, previous: Option<UserId>) -> Option<PassOverReason> {
    match standing.status {
        UserStatus::Active if previous == Some(standing.user_id) => {
            Some(PassOverReason::PreviousAssignee)
        }
        UserStatus::Active => None,
        status => Some(PassOverReason::Status(status)),
    }
}

fn group(reason: Option<PassOverReason>) -> u8 {
    match reason {
        None => 0,
        Some(PassOverReason::PreviousAssignee) => 1,
        Some(PassOverReason::Status(_)) => 2,
    }
}

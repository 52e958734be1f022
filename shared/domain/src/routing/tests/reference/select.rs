//! Selects a member of a team for a ticket.

use super::{
    TeamInput, matched,
    rank::{Rank, RankedMember},
    strategy,
};
use crate::{
    Candidate, Decision, PassOverReason, QueueStrategy, Timestamp, Topics, UserId, UserStatus,
};

/// The result of a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The new assignee; `None` if no member is eligible.
    pub selected: Option<UserId>,
    /// The strategy that decided in place of the team's, because no member had a matching skill.
    pub fallback: Option<QueueStrategy>,
    /// The number of members.
    pub considered: u64,
    /// The number of members with status `active`, the previous assignee included.
    pub eligible: u64,
    /// The first members in the order of the strategy, at most
    /// [`MAX_CANDIDATES`](Decision::MAX_CANDIDATES).
    pub candidates: Vec<Candidate>,
}

/// Selects a member for a ticket with these topics. `previous` is the assignee that the ticket was
/// just taken from; that member is selected only if no other member is eligible.
pub(super) fn select_member(
    team_input: &TeamInput,
    topics: &Topics,
    previous: Option<UserId>,
) -> Selection {
    let strategy = team_input.team.queue_strategy;
    let mut ranked: Vec<_> = team_input
        .members
        .iter()
        .map(|member| RankedMember {
            member,
            matched_skills: count(matched(topics, &member.skills)),
            pass_over_reason: match member.membership.user.status {
                UserStatus::Active if previous == Some(member.membership.user.id) => {
                    Some(PassOverReason::PreviousAssignee)
                }
                UserStatus::Active => None,
                status => Some(PassOverReason::Status(status)),
            },
        })
        .collect();
    ranked.sort_by_cached_key(|member| order(member, strategy));
    let candidates: Vec<_> = ranked
        .iter()
        .take(Decision::MAX_CANDIDATES)
        .map(RankedMember::candidate)
        .collect();
    // Members that are not active are last. So if the first one is not eligible, none is.
    let best = candidates.first().filter(|best| best.is_eligible());
    // Without a matching skill, the rest of the order of `skill_based` decides: that of
    // `least_busy`.
    let falls_back =
        strategy == QueueStrategy::SkillBased && best.is_some_and(|best| best.matched_skills == 0);
    Selection {
        selected: best.map(|best| best.user_id),
        fallback: falls_back.then_some(QueueStrategy::LeastBusy),
        considered: count(ranked.len()),
        eligible: count(
            ranked
                .iter()
                .filter(|ranked| ranked.member.membership.is_eligible())
                .count(),
        ),
        candidates,
    }
}

/// Returns the sort key of a member. The group comes before the strategy: eligible members, then
/// the previous assignee, then members that are not active. Ties go to the member that joined
/// first.
fn order(ranked: &RankedMember<'_>, strategy: QueueStrategy) -> (u8, Rank, Timestamp, UserId) {
    let group = match ranked.pass_over_reason {
        None => 0,
        Some(PassOverReason::PreviousAssignee) => 1,
        Some(PassOverReason::Status(_)) => 2,
    };
    let membership = &ranked.member.membership;
    (
        group,
        strategy::rank(strategy, ranked),
        membership.joined_at,
        membership.user.id,
    )
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

//! Which member of a team.

use std::cmp::Reverse;

use super::{Desk, Seat, least_busy, round_robin, skill_based};
use crate::{Candidate, Decision, QueueStrategy, Timestamp, Topics, UserId, UserStatus, WhyNot};

/// Where a strategy puts a member: the smallest is chosen. What a strategy does not look at is the
/// same for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) matched_skills: Reverse<u64>,
    pub(super) open_tickets: u64,
    pub(super) last_turn: u64,
}

/// A member, as far as a decision looks at them.
pub(super) struct Considered<'d> {
    pub(super) seat: &'d Seat,
    pub(super) matched_skills: u64,
    why_not: Option<WhyNot>,
}

impl Considered<'_> {
    /// Those who cannot have it come last, after the one from whom it was just taken; ties go to
    /// who joined first.
    fn order(&self, strategy: QueueStrategy) -> (u8, Rank, Timestamp, UserId) {
        let last = match self.why_not {
            None => 0,
            Some(WhyNot::PreviousAssignee) => 1,
            Some(WhyNot::Status(_)) => 2,
        };
        let rank = match strategy {
            QueueStrategy::RoundRobin => round_robin::rank(self),
            QueueStrategy::LeastBusy => least_busy::rank(self),
            QueueStrategy::SkillBased => skill_based::rank(self),
        };
        let member = &self.seat.member;
        (last, rank, member.joined_at, member.user.id)
    }

    fn candidate(&self) -> Candidate {
        let member = &self.seat.member;
        Candidate {
            user_id: member.user.id,
            open_tickets: member.open_tickets,
            last_turn: member.last_turn,
            matched_skills: self.matched_skills,
            why_not: self.why_not,
        }
    }
}

/// What a strategy found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Who gets the ticket; nobody where nobody is eligible.
    pub chosen: Option<UserId>,
    /// The strategy that decided in place of the team's, which found nobody.
    pub fallback: Option<QueueStrategy>,
    /// How many members there are.
    pub considered: u64,
    /// The number of them that are eligible: active users.
    pub eligible: u64,
    /// The best, the best first.
    pub candidates: Vec<Candidate>,
}

/// Chooses a member for a ticket that is about `topics`. `previous`, from whom it was just taken,
/// comes last.
#[must_use]
pub fn choose(desk: &Desk, topics: &Topics, previous: Option<UserId>) -> Choice {
    let strategy = desk.team.queue_strategy;
    let mut considered: Vec<_> = desk
        .seats
        .iter()
        .map(|seat| Considered {
            seat,
            matched_skills: count(topics.matched(&seat.skills)),
            why_not: match seat.member.user.status {
                UserStatus::Active if previous == Some(seat.member.user.id) => {
                    Some(WhyNot::PreviousAssignee)
                }
                UserStatus::Active => None,
                status => Some(WhyNot::Status(status)),
            },
        })
        .collect();
    considered.sort_by_cached_key(|considered| considered.order(strategy));
    let candidates: Vec<_> = considered
        .iter()
        .take(Decision::MAX_CANDIDATES)
        .map(Considered::candidate)
        .collect();
    let best = candidates.first().filter(|best| best.is_eligible());
    let found_none =
        strategy == QueueStrategy::SkillBased && best.is_some_and(|best| best.matched_skills == 0);
    Choice {
        chosen: best.map(|best| best.user_id),
        fallback: found_none.then_some(QueueStrategy::LeastBusy),
        considered: count(considered.len()),
        eligible: count(
            considered
                .iter()
                .filter(|considered| considered.seat.member.is_eligible())
                .count(),
        ),
        candidates,
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

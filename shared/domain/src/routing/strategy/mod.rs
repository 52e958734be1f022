//! The strategies by which a team selects a member.
//!
//! To add one: add its variant to [`QueueStrategy`], write a file with a function `rank`, and add
//! its line to each `match` below. `docs/routing.md` lists the further places (explanation,
//! contracts, tests).

mod least_busy;
mod round_robin;
mod skill_based;

use super::rank::{Rank, RankedMember};
use crate::QueueStrategy;

/// Returns the rank of a member under a strategy.
pub(super) fn rank(strategy: QueueStrategy, member: RankedMember<'_>) -> Rank {
    match strategy {
        QueueStrategy::RoundRobin => round_robin::rank(member),
        QueueStrategy::LeastBusy => least_busy::rank(member),
        QueueStrategy::SkillBased => skill_based::rank(member),
    }
}

/// Returns whether the rank of a strategy depends on the members' skills.
pub(super) fn compares_skills(strategy: QueueStrategy) -> bool {
    match strategy {
        QueueStrategy::RoundRobin | QueueStrategy::LeastBusy => false,
        QueueStrategy::SkillBased => true,
    }
}

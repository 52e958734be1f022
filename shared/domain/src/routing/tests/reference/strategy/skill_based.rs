//! Skill based: the member with the most skills that match the ticket; ties by least busy.
//!
//! If no member has a matching skill, the order is that of least busy. The decision records this
//! fallback.

use std::cmp::Reverse;

use super::{
    super::rank::{Rank, RankedMember},
    least_busy,
};

pub(super) fn rank(ranked: &RankedMember<'_>) -> Rank {
    Rank {
        matched_skills: Reverse(ranked.matched_skills),
        ..least_busy::rank(ranked)
    }
}

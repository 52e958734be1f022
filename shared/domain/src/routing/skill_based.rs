//! To whoever has the most skills in common with the ticket; then to the least busy. Where nobody
//! has any, that order alone decides: a fallback, which the decision records.

use std::cmp::Reverse;

use super::{
    choose::{Considered, Rank},
    least_busy,
};

pub(super) fn rank(considered: &Considered<'_>) -> Rank {
    Rank {
        matched_skills: Reverse(considered.matched_skills),
        ..least_busy::rank(considered)
    }
}

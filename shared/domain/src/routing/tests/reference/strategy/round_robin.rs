//! Round robin: the member with the oldest `last_turn`.
//!
//! Each member stores the team's turn at the latest decision for that member. An index into a list
//! of members would shift with every change of the roster.
//!
//! Fairness bound: in any run of decisions, the numbers of decisions of two members that are
//! eligible for all of them differ by at most one. A member that is passed over as the previous
//! assignee is not eligible for that decision.

use super::super::rank::{Rank, RankedMember};

pub(super) fn rank(ranked: &RankedMember<'_>) -> Rank {
    Rank {
        last_turn: ranked.member.membership.last_turn,
        ..Rank::default()
    }
}

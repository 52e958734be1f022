//! Round robin: the member whose latest turn is the oldest.
//!
//! Each member has the turn of the latest decision for that member. An index into a list of members
//! would shift with every change of the roster. In any period, the numbers of decisions differ by
//! at most one between two members that were eligible for every decision of the period. A member
//! that is passed over as the previous assignee is not eligible for that decision.

use super::choose::{Considered, Rank};

pub(super) fn rank(considered: &Considered<'_>) -> Rank {
    Rank {
        last_turn: considered.seat.member.last_turn,
        ..Rank::default()
    }
}

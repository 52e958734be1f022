//! In rotation: whoever's latest turn is the longest ago.
//!
//! There is no index into a list, which a change of the roster would shift: each member has the turn of their own latest
//! decision, so between members who are eligible all along the numbers of decisions differ by at most one.

use super::choose::{Considered, Rank};

pub(super) fn rank(considered: &Considered<'_>) -> Rank {
    Rank { last_turn: considered.seat.member.last_turn, ..Rank::default() }
}

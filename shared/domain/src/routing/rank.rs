//! The order of a team's members for one ticket.

use std::cmp::Reverse;

use super::state::Standing;

/// The position that a strategy gives to a member: the smallest rank is selected.
///
/// A field that a strategy does not compare has the same value for every member, so it does not
/// affect the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Skills that match the ticket, most first.
    pub(super) matched_skills: Reverse<u64>,
    /// Open tickets in the team, fewest first.
    pub(super) open_tickets: u64,
    /// The team's turn at the member's latest decision, oldest first.
    pub(super) last_turn: u64,
}

/// A member with the figures that a strategy compares.
#[derive(Clone, Copy)]
pub(super) struct RankedMember<'s> {
    pub(super) standing: &'s Standing,
    /// The number of the member's skills that are topics of the ticket. 0 for a strategy that does
    /// not compare skills.
    pub(super) matched_skills: u64,
}

//! The order of a team's members for one ticket.

use std::cmp::Reverse;

use super::MemberInput;
use crate::{Candidate, PassOverReason};

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
pub(super) struct RankedMember<'i> {
    pub(super) member: &'i MemberInput,
    /// The number of the member's skills that are topics of the ticket.
    pub(super) matched_skills: u64,
    /// Why the member is passed over; `None` if the member is eligible.
    pub(super) pass_over_reason: Option<PassOverReason>,
}

impl RankedMember<'_> {
    /// Returns the figures that the decision stores.
    pub(super) fn candidate(&self) -> Candidate {
        let membership = &self.member.membership;
        Candidate {
            user_id: membership.user.id,
            open_tickets: membership.open_tickets,
            last_turn: membership.last_turn,
            matched_skills: self.matched_skills,
            pass_over_reason: self.pass_over_reason,
        }
    }
}

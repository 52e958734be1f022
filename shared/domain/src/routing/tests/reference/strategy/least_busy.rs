//! Least busy: the member with the fewest open tickets in the team; ties by round robin.
//!
//! The workload endpoints show the same counter.

use super::{
    super::rank::{Rank, RankedMember},
    round_robin,
};

pub(super) fn rank(ranked: &RankedMember<'_>) -> Rank {
    Rank {
        open_tickets: ranked.member.membership.open_tickets,
        ..round_robin::rank(ranked)
    }
}

//! To whoever has the fewest open tickets in the team, the figure that the workload shows; then in
//! rotation.

use super::{
    choose::{Considered, Rank},
    round_robin,
};

pub(super) fn rank(considered: &Considered<'_>) -> Rank {
    Rank {
        open_tickets: considered.seat.member.open_tickets,
        ..round_robin::rank(considered)
    }
}

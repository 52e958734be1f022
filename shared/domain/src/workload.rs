//! What managers see: how much work a team has, and who does it.

use super::Load;

const MILLIS_PER_HOUR: u64 = 3_600_000;

/// Tickets resolved, and how long it took from their creation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resolved {
    /// How many.
    pub tickets: u64,
    /// Milliseconds from creation to resolution, summed over them.
    pub total_ms: u64,
}

impl Resolved {
    /// The mean time to resolution in hours, to one decimal; `None` for no tickets.
    #[must_use]
    pub fn avg_hours(self) -> Option<f64> {
        ratio(
            self.total_ms,
            self.tickets.saturating_mul(MILLIS_PER_HOUR),
            10,
        )
    }
}

/// The figures of a team that are not counters themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Open tickets, over present members, to one decimal; 0 for a team without members.
    pub avg_tickets_per_member: f64,
    /// The part of the resolved tickets with a due date that met it, to two decimals; `None` for
    /// none.
    pub sla_compliance_rate: Option<f64>,
}

impl Workload {
    /// Computes the figures of a team with this load and this many present members.
    #[must_use]
    pub fn of(load: Load, members: usize) -> Self {
        let Load {
            turn: _,
            open_tickets,
            waiting_tickets: _,
            sla_met,
            sla_due,
            eligible: _,
        } = load;
        let members = u64::try_from(members).unwrap_or(u64::MAX);
        Self {
            avg_tickets_per_member: ratio(open_tickets, members, 10).unwrap_or(0.0),
            sla_compliance_rate: ratio(sla_met, sla_due, 100),
        }
    }
}

/// `numerator / denominator` in steps of `1 / scale`, halves away from zero; `None` for a
/// denominator of 0.
///
/// Rounded in integers: 0.145 has no exact binary form, and rounding its nearest double would go
/// the wrong way.
fn ratio(numerator: u64, denominator: u64, scale: u32) -> Option<f64> {
    if denominator == 0 {
        return None;
    }
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    let steps = (2 * numerator * u128::from(scale) + denominator) / (2 * denominator);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure past 2^53 steps is no figure a person reads"
    )]
    Some(steps as f64 / f64::from(scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documents_example() {
        assert_eq!(ratio(23, 8, 10), Some(2.9));
        assert_eq!(ratio(91, 100, 100), Some(0.91));
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(ratio(1, 4, 10), Some(0.3));
        assert_eq!(ratio(29, 200, 100), Some(0.15));
        assert_eq!(ratio(57, 200, 100), Some(0.29));
        assert_eq!(ratio(1, 200, 100), Some(0.01));
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(ratio(0, 0, 10), None);
        assert_eq!(Resolved::default().avg_hours(), None);
        assert_eq!(
            Resolved {
                tickets: 2,
                total_ms: 30_240_000
            }
            .avg_hours(),
            Some(4.2)
        );
    }

    proptest! {
        #[test]
        fn a_ratio_is_within_half_a_step(numerator in 0..1_000_000_u32, denominator in 1..1_000_000_u32) {
            let rounded = ratio(numerator.into(), denominator.into(), 10).unwrap();
            let exact = f64::from(numerator) / f64::from(denominator);
            prop_assert!((rounded - exact).abs() <= 0.05 + 1e-9);
        }
    }
}

//! The workload figures of a team and its members.

use super::Load;

const MILLIS_PER_HOUR: u64 = 3_600_000;

/// The number of resolved tickets, and the total time to their resolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The number of tickets.
    pub tickets: u64,
    /// The sum of the milliseconds from creation to resolution.
    pub total_ms: u64,
}

impl Resolved {
    /// Returns the mean time to resolution in hours, to one decimal; `None` without tickets.
    #[must_use]
    pub fn avg_hours(self) -> Option<f64> {
        ratio(
            self.total_ms,
            self.tickets.saturating_mul(MILLIS_PER_HOUR),
            10,
        )
    }
}

/// The figures that are computed from a team's counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Open tickets for each member, to one decimal; 0 for a team without members.
    pub avg_tickets_per_member: f64,
    /// The fraction of resolved tickets with a due date that met it, to two decimals; `None`
    /// without such tickets.
    pub sla_compliance_rate: Option<f64>,
}

impl Workload {
    /// Computes the figures from the load and the number of members.
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

/// Returns `numerator / denominator` in steps of `1 / scale`, halves rounded away from zero; `None`
/// for a denominator of 0.
///
/// Rounds in integers: 0.145 has no exact binary form, and its nearest double rounds down.
fn ratio(numerator: u64, denominator: u64, scale: u32) -> Option<f64> {
    if denominator == 0 {
        return None;
    }
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    let steps = (2 * numerator * u128::from(scale) + denominator) / (2 * denominator);
    #[expect(
        clippy::cast_precision_loss,
        reason = "only figures above 2^53 steps lose precision"
    )]
    Some(steps as f64 / f64::from(scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ratio_of_the_documented_example() {
        assert_eq!(ratio(23, 8, 10), Some(2.9));
        assert_eq!(ratio(91, 100, 100), Some(0.91));
    }

    #[test]
    fn ratio_rounds_halves_away_from_zero() {
        assert_eq!(ratio(1, 4, 10), Some(0.3));
        assert_eq!(ratio(29, 200, 100), Some(0.15));
        assert_eq!(ratio(57, 200, 100), Some(0.29));
        assert_eq!(ratio(1, 200, 100), Some(0.01));
    }

    #[test]
    fn mean_without_tickets_is_none() {
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
        fn ratio_is_within_half_a_step(numerator in 0..1_000_000_u32, denominator in 1..1_000_000_u32) {
            let rounded = ratio(numerator.into(), denominator.into(), 10).unwrap();
            let exact = f64::from(numerator) / f64::from(denominator);
            prop_assert!((rounded - exact).abs() <= 0.05 + 1e-9);
        }
    }
}

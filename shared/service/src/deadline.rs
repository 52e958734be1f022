//! The deadline of an invocation.

use std::time::Duration;

use muster_domain::Timestamp;

/// Returns the time until the runtime stops the invocation, from the `deadline` of its context in
/// milliseconds since the epoch. 10 seconds without a deadline.
///
/// A value of at most 15 minutes, the longest timeout of a function, is no time of day. Emulators
/// send such durations: `cargo lambda watch` sends 600,000 with every event.
#[must_use]
pub fn time_left(deadline: u64) -> Duration {
    const LONGEST_TIMEOUT_MILLIS: i64 = 900_000;
    match i64::try_from(deadline) {
        Ok(until) if until > LONGEST_TIMEOUT_MILLIS => {
            Timestamp::from_millis(until).since(Timestamp::now())
        }
        _ => Duration::from_secs(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_that_is_a_duration_is_ignored() {
        let in_a_minute =
            u64::try_from(Timestamp::now().plus(Duration::from_mins(1)).millis()).unwrap();
        let left = time_left(in_a_minute);
        assert!(
            left <= Duration::from_mins(1) && left > Duration::from_secs(30),
            "{left:?}"
        );
        assert_eq!(time_left(in_a_minute - 3_600_000), Duration::ZERO);
        for duration in [0, 600_000, 900_000, u64::MAX] {
            assert_eq!(time_left(duration), Duration::from_secs(10), "{duration}");
        }
    }
}

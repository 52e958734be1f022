//! The deadline of an invocation.

use std::time::Duration;

use muster_domain::Timestamp;

/// How long there is until the runtime stops the function, by the `deadline` of its context:
/// milliseconds since the epoch. 10 seconds where there is none.
///
/// The 15 minutes that a function may have at most are no moment, but what an emulator gives in its
/// place: `cargo lambda watch` says 600,000 of every event.
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
    fn a_deadline_is_a_moment_or_none() {
        let in_a_minute =
            u64::try_from(Timestamp::now().plus(Duration::from_mins(1)).millis()).unwrap();
        let left = time_left(in_a_minute);
        assert!(
            left <= Duration::from_mins(1) && left > Duration::from_secs(30),
            "{left:?}"
        );
        assert_eq!(time_left(in_a_minute - 3_600_000), Duration::ZERO);
        for no_moment in [0, 600_000, 900_000, u64::MAX] {
            assert_eq!(time_left(no_moment), Duration::from_secs(10), "{no_moment}");
        }
    }
}

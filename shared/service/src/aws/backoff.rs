//! Pauses between the attempts at a call.

use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry;

/// The pauses between attempts: exponential with full jitter, until a deadline.
pub(crate) struct Backoff {
    deadline: Instant,
    ceiling: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(25);
    const LONGEST: Duration = Duration::from_secs(1);

    /// Pauses for as long as there is time until `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            ceiling: Self::FIRST,
        }
    }

    /// Waits for a random part of a ceiling that doubles each time, and counts the attempt that
    /// follows. False, at once, if the deadline would pass.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = self.ceiling.mul_f64(rand::random::<f64>());
        self.ceiling = (self.ceiling * 2).min(Self::LONGEST);
        let wakes = Instant::now() + pause;
        if wakes >= self.deadline {
            return false;
        }
        tokio::time::sleep_until(wakes).await;
        telemetry::record(|measured| measured.retries += 1);
        true
    }
}

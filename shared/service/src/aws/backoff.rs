//! Pauses between the attempts at a call.

use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry;

/// Exponential backoff with full jitter, until a deadline.
///
/// AWS Architecture Blog, "Exponential Backoff And Jitter":
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
pub(crate) struct Backoff {
    deadline: Instant,
    ceiling: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(25);
    const LONGEST: Duration = Duration::from_secs(1);

    /// Returns a backoff that ends at `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            ceiling: Self::FIRST,
        }
    }

    /// Sleeps for a random part of a ceiling that doubles with each attempt, and counts a retry.
    /// Returns false at once if the pause would exceed the deadline.
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

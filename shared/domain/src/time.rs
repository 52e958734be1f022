//! Timestamps: whole milliseconds since the Unix epoch.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A source of the current time. Tests replace it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the current time of the system's clock.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Converts milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Converts whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the clock minute: whole minutes since the epoch, rounded down.
    #[must_use]
    pub const fn minute(self) -> i64 {
        self.0.div_euclid(60_000)
    }

    /// Returns the time this much later, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns ISO 8601 in UTC and whole seconds: `2025-01-05T08:00:00Z`. A time outside the years
    /// 0 to 9999 is written as the nearest end of that range.
    #[must_use]
    pub fn iso8601(self) -> String {
        const YEAR_0: i64 = -62_167_219_200;
        const YEAR_9999: i64 = 253_402_300_799;
        let moment = OffsetDateTime::from_unix_timestamp(self.secs().clamp(YEAR_0, YEAR_9999));
        // Neither step fails for a second in these years. If one did, the epoch would be a better
        // result than a panic.
        moment
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .format(&Rfc3339)
            .unwrap_or_default()
    }

    /// Returns the same with milliseconds: `2025-01-05T08:00:00.000Z`.
    #[must_use]
    pub fn iso8601_millis(self) -> String {
        format!(
            "{}.{:03}Z",
            self.iso8601().trim_end_matches('Z'),
            self.0.rem_euclid(1000)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso8601_is_whole_seconds_in_utc() {
        assert_eq!(
            Timestamp::from_secs(1_736_064_000).iso8601(),
            "2025-01-05T08:00:00Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_736_064_000_999).iso8601(),
            "2025-01-05T08:00:00Z"
        );
        assert_eq!(Timestamp::from_millis(-1).iso8601(), "1969-12-31T23:59:59Z");
        assert_eq!(
            Timestamp::from_millis(i64::MAX).iso8601(),
            "9999-12-31T23:59:59Z"
        );
        assert_eq!(
            Timestamp::from_millis(i64::MIN).iso8601(),
            "0000-01-01T00:00:00Z"
        );
    }

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(
            Timestamp::from_millis(1_736_064_000_009).iso8601_millis(),
            "2025-01-05T08:00:00.009Z"
        );
        assert_eq!(
            Timestamp::from_secs(1_736_064_000).iso8601_millis(),
            "2025-01-05T08:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_millis(-1).iso8601_millis(),
            "1969-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn time_since_a_later_moment_is_zero() {
        let (early, late) = (Timestamp::from_secs(1), Timestamp::from_secs(3));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}

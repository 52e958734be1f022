//! The marks of organizations with unrouted tickets that an instance relies on.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;

use muster_domain::{OrganizationId, Timestamp};

/// The time for which an instance relies on its mark.
const MARK_LIFETIME: Duration = Duration::from_hours(1);

/// The organizations that an instance has marked, with the times of the marks.
#[derive(Debug)]
pub(super) struct StockMarks(Mutex<LruCache<OrganizationId, Timestamp>>);

impl StockMarks {
    /// The most organizations. They take less than 2 MB. An evicted one is marked again.
    const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(Self::CAPACITY)))
    }

    /// Returns true if this instance marked the organization within the lifetime of a mark. A time
    /// before the mark counts as expired: a clock was set back.
    pub(super) fn is_marked(&self, org: &OrganizationId, now: Timestamp) -> bool {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(org).is_some_and(|marked_at| {
            let age = u128::try_from(now.millis() - marked_at.millis());
            age.is_ok_and(|age| age < MARK_LIFETIME.as_millis())
        })
    }

    pub(super) fn add(&self, org: &OrganizationId, now: Timestamp) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.put(org.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_is_valid_for_an_hour() {
        let marks = StockMarks::new();
        let org = OrganizationId::parse("acme").unwrap();
        let at = |millis: i64| Timestamp::from_millis(1_736_064_000_000 + millis);
        assert!(!marks.is_marked(&org, at(0)));
        marks.add(&org, at(0));
        for (millis, expected) in [
            (-1, false),
            (0, true),
            (3_599_999, true),
            (3_600_000, false),
        ] {
            assert_eq!(marks.is_marked(&org, at(millis)), expected, "{millis}");
        }
        let other = OrganizationId::parse("acme2").unwrap();
        assert!(!marks.is_marked(&other, at(0)));
    }
}

//! What credentials were looked up a moment ago.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;

use crate::domain::Timestamp;

/// Keeps what was found for a minute, so that a warm request needs no round trip for its credential and a revocation bites
/// within one.
///
/// Bounded, the least recently used going first. What was not found is not kept: guesses would push out what is in use, and
/// a key that was just made has to work.
#[derive(Debug)]
pub struct Cache<K: Hash + Eq, V> {
    entries: Mutex<LruCache<K, (V, Timestamp)>>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// How long a value is believed to be as it was read.
    pub const MAX_AGE: Duration = Duration::from_mins(1);

    /// A cache of up to `capacity` values.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { entries: Mutex::new(LruCache::new(capacity)) }
    }

    /// The value, if it was read less than [`MAX_AGE`](Self::MAX_AGE) ago.
    fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, read_at) = entries.get(key)?;
        // A clock that was set back makes an entry's age unknown, which is as good as too old.
        let fresh = *read_at <= now && now.since(*read_at) < Self::MAX_AGE;
        if fresh { Some(value.clone()) } else { entries.pop(key).and(None) }
    }

    /// Remembers a value that was just read.
    fn put(&self, key: K, value: V, now: Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.put(key, (value, now));
    }

    /// The value that is remembered, else what `read` finds, which is remembered then.
    ///
    /// # Errors
    /// What `read` fails with.
    pub async fn get_or_read<E>(
        &self,
        key: K,
        now: Timestamp,
        read: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        if let Some(value) = self.get(&key, now) {
            return Ok(Some(value));
        }
        let found = read.await?;
        if let Some(value) = &found {
            self.put(key, value.clone(), now);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_for_less_than_a_minute() {
        let cache = Cache::new(NonZeroUsize::MIN);
        let read_at = Timestamp::from_secs(1000);
        cache.put("key", 1, read_at);
        assert_eq!(cache.get(&"key", Timestamp::from_millis(1_059_999)), Some(1));
        assert_eq!(cache.get(&"key", Timestamp::from_secs(1060)), None);
        assert_eq!(cache.get(&"key", read_at), None, "what was too old is gone");
        cache.put("key", 1, read_at);
        assert_eq!(cache.get(&"key", Timestamp::from_secs(999)), None, "the clock was set back");
    }

    #[test]
    fn the_least_recently_used_value_goes_first() {
        let cache = Cache::new(NonZeroUsize::new(2).unwrap());
        let now = Timestamp::from_secs(0);
        cache.put(1, (), now);
        cache.put(2, (), now);
        assert!(cache.get(&1, now).is_some());
        cache.put(3, (), now);
        assert!(cache.get(&1, now).is_some());
        assert!(cache.get(&2, now).is_none());
        assert!(cache.get(&3, now).is_some());
    }

    #[tokio::test]
    async fn only_what_was_found_is_remembered() {
        let cache = Cache::new(NonZeroUsize::MIN);
        let now = Timestamp::from_secs(0);
        let read = async |found: Result<Option<u8>, &'static str>| cache.get_or_read("key", now, async { found }).await;
        assert_eq!(read(Err("away")).await, Err("away"));
        assert_eq!(read(Ok(None)).await, Ok(None));
        assert_eq!(read(Ok(Some(1))).await, Ok(Some(1)));
        assert_eq!(read(Ok(Some(2))).await, Ok(Some(1)), "it is not read again");
        assert_eq!(read(Err("away")).await, Ok(Some(1)));
    }
}

//! A cache of API keys and token verifiers, with their absence.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use lru::LruCache;

use muster_domain::Timestamp;

/// Caches values for a minute: a warm request needs no round trip for its credential, and a
/// revocation takes effect within a minute.
///
/// Absent keys are cached for a few seconds, so that a flood of one invalid credential costs one
/// read. They have a cache of their own, so that guesses do not evict values in use. A new API key
/// works at once, because no client can have sent it before.
///
/// Both caches are bounded and evict the least recently used entry. Concurrent reads of one key
/// share one read.
#[derive(Debug)]
pub struct Cache<K: Hash + Eq, V> {
    entries: Mutex<LruCache<K, (V, Timestamp)>>,
    missing: Mutex<LruCache<K, Timestamp>>,
    reads: Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>,
}

/// The state of a key in the cache.
enum CacheLookup<V> {
    Value(V),
    Missing,
    NotCached,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// The maximum age of a value.
    pub const MAX_AGE: Duration = Duration::from_mins(1);
    /// The maximum age of an absent key.
    pub const MAX_AGE_MISSING: Duration = Duration::from_secs(5);

    /// The most absent keys, about 100 bytes each.
    const MISSING: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

    /// Returns a cache of up to `capacity` values.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            entries: Mutex::new(LruCache::new(capacity)),
            missing: Mutex::new(LruCache::new(capacity.min(Self::MISSING))),
            reads: Mutex::default(),
        }
    }

    fn get(&self, key: &K, now: Timestamp) -> CacheLookup<V> {
        // After the clock was set back, the age of an entry is unknown, so it is read again.
        let is_fresh = |read_at: Timestamp, max_age| read_at <= now && now.since(read_at) < max_age;
        let mut entries = lock(&self.entries);
        match entries.get(key) {
            Some((value, read_at)) if is_fresh(*read_at, Self::MAX_AGE) => {
                return CacheLookup::Value(value.clone());
            }
            Some(_) => {
                entries.pop(key);
            }
            None => {}
        }
        drop(entries);
        let mut missing = lock(&self.missing);
        match missing.get(key) {
            Some(read_at) if is_fresh(*read_at, Self::MAX_AGE_MISSING) => CacheLookup::Missing,
            Some(_) => {
                missing.pop(key);
                CacheLookup::NotCached
            }
            None => CacheLookup::NotCached,
        }
    }

    /// Stores the result of a read.
    fn put(&self, key: K, found: Option<V>, now: Timestamp) {
        if let Some(value) = found {
            lock(&self.entries).put(key, (value, now));
        } else {
            lock(&self.missing).put(key, now);
        }
    }

    /// Returns the lock that serializes the reads of a key.
    fn read_lock(&self, key: &K) -> Arc<tokio::sync::Mutex<()>> {
        let mut reads = lock(&self.reads);
        if let Some(read_lock) = reads.get(key).and_then(Weak::upgrade) {
            return read_lock;
        }
        reads.retain(|_, read| read.strong_count() > 0);
        let read_lock = Arc::default();
        reads.insert(key.clone(), Arc::downgrade(&read_lock));
        read_lock
    }

    /// Returns the cached result of a key, else the result of `read`, which is then cached.
    /// Concurrent requests for the key wait for that read. They read themselves only if it fails.
    ///
    /// # Errors
    /// Errors of `read`.
    pub async fn get_or_read<E>(
        &self,
        key: K,
        now: Timestamp,
        read: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        let read_lock = match self.get(&key, now) {
            CacheLookup::Value(value) => return Ok(Some(value)),
            CacheLookup::Missing => return Ok(None),
            CacheLookup::NotCached => self.read_lock(&key),
        };
        let _turn = read_lock.lock().await;
        match self.get(&key, now) {
            CacheLookup::Value(value) => return Ok(Some(value)),
            CacheLookup::Missing => return Ok(None),
            CacheLookup::NotCached => {}
        }
        let found = read.await?;
        self.put(key, found.clone(), now);
        Ok(found)
    }
}

/// Locks a map. Every statement leaves it consistent, so a poisoned mutex is usable.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    /// A cache and the number of its reads.
    struct Reads {
        cache: Cache<&'static str, u8>,
        count: AtomicUsize,
    }

    impl Reads {
        fn new(capacity: usize) -> Self {
            let capacity = NonZeroUsize::new(capacity).unwrap();
            Self {
                cache: Cache::new(capacity),
                count: AtomicUsize::new(0),
            }
        }

        /// Looks up a key with a stored value. Returns the result and the number of reads so far.
        async fn look_up(
            &self,
            key: &'static str,
            millis: i64,
            stored: Option<u8>,
        ) -> (Option<u8>, usize) {
            let read = async {
                self.count.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                Ok::<_, Infallible>(stored)
            };
            let Ok(found) = self
                .cache
                .get_or_read(key, Timestamp::from_millis(millis), read)
                .await;
            (found, self.count.load(Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn value_is_cached_for_less_than_a_minute() {
        let reads = Reads::new(1);
        assert_eq!(reads.look_up("key", 1_000_000, Some(1)).await, (Some(1), 1));
        assert_eq!(reads.look_up("key", 1_059_999, Some(2)).await, (Some(1), 1));
        assert_eq!(reads.look_up("key", 1_060_000, Some(2)).await, (Some(2), 2));
        assert_eq!(
            reads.look_up("key", 1_059_999, Some(3)).await,
            (Some(3), 3),
            "the clock was set back"
        );
        assert_eq!(
            reads.look_up("key", 1_119_999, None).await,
            (None, 4),
            "a removed value"
        );
    }

    #[tokio::test]
    async fn missing_key_is_cached_for_less_than_five_seconds() {
        let reads = Reads::new(1);
        assert_eq!(reads.look_up("key", 1_000_000, None).await, (None, 1));
        assert_eq!(reads.look_up("key", 1_004_999, Some(1)).await, (None, 1));
        // A request does not extend the time.
        assert_eq!(reads.look_up("key", 1_005_000, Some(1)).await, (Some(1), 2));
        assert_eq!(
            reads.look_up("key", 1_005_001, None).await,
            (Some(1), 2),
            "the value counts"
        );
        let reads = Reads::new(1);
        assert_eq!(reads.look_up("key", 1_000_000, None).await, (None, 1));
        assert_eq!(
            reads.look_up("key", 999_999, Some(1)).await,
            (Some(1), 2),
            "the clock was set back"
        );
    }

    #[tokio::test]
    async fn missing_keys_evict_no_value() {
        let reads = Reads::new(2);
        for (key, stored) in [
            ("a", Some(1)),
            ("b", Some(2)),
            ("x", None),
            ("y", None),
            ("z", None),
        ] {
            reads.look_up(key, 0, stored).await;
        }
        assert_eq!(reads.look_up("a", 0, None).await, (Some(1), 5));
        assert_eq!(reads.look_up("b", 0, None).await, (Some(2), 5));
        assert_eq!(reads.look_up("z", 0, None).await, (None, 5));
        assert_eq!(
            reads.look_up("x", 0, None).await,
            (None, 6),
            "they are bounded too"
        );
    }

    #[tokio::test]
    async fn least_recently_used_value_is_evicted_first() {
        let reads = Reads::new(2);
        for key in ["a", "b", "a", "c"] {
            reads.look_up(key, 0, Some(1)).await;
        }
        assert_eq!(reads.look_up("a", 0, Some(1)).await.1, 3);
        assert_eq!(reads.look_up("c", 0, Some(1)).await.1, 3);
        assert_eq!(reads.look_up("b", 0, Some(1)).await.1, 4);
    }

    #[tokio::test]
    async fn failed_read_is_not_cached() {
        let cache = Cache::new(NonZeroUsize::MIN);
        let now = Timestamp::from_secs(0);
        let ask = async |found: Result<Option<u8>, &'static str>| {
            cache.get_or_read("key", now, async { found }).await
        };
        assert_eq!(ask(Err("away")).await, Err("away"));
        assert_eq!(ask(Ok(Some(1))).await, Ok(Some(1)));
        assert_eq!(ask(Err("away")).await, Ok(Some(1)));
    }

    #[tokio::test]
    async fn concurrent_requests_for_one_key_share_a_read() {
        for stored in [Some(1), None] {
            let reads = Reads::new(1);
            let asked = join_all((0..50).map(|_| reads.look_up("key", 0, stored))).await;
            assert!(
                asked
                    .iter()
                    .all(|(found, count)| (*found, *count) == (stored, 1)),
                "{asked:?}"
            );
        }
        let reads = Reads::new(9);
        let asked = join_all(["a", "b", "a"].map(|key| reads.look_up(key, 0, Some(1)))).await;
        assert_eq!(
            asked.last(),
            Some(&(Some(1), 2)),
            "another key does not wait"
        );
    }

    #[tokio::test]
    async fn cancelled_request_lets_the_next_one_read() {
        let reads = Reads::new(1);
        let pending = async { std::future::pending::<Result<Option<u8>, Infallible>>().await };
        let given_up = reads
            .cache
            .get_or_read("key", Timestamp::from_secs(0), pending);
        assert!(
            tokio::time::timeout(Duration::from_millis(1), given_up)
                .await
                .is_err()
        );
        assert_eq!(reads.look_up("key", 0, Some(1)).await, (Some(1), 1));
        assert_eq!(reads.look_up("other", 0, None).await, (None, 2));
        assert!(
            lock(&reads.cache.reads).len() <= 1,
            "reads that ended are forgotten"
        );
    }
}

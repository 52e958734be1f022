//! API keys that were looked up a moment ago.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;

use crate::domain::{ApiKey, KeyHash, Timestamp};

/// Keeps found keys for a minute, so that a warm request by key needs no round trip and a revocation bites within one.
///
/// Bounded, the least recently used key going first. Keys that were not found are not kept: guesses would push out the keys
/// in use, and a key that was just made has to work.
#[derive(Debug)]
pub struct KeyCache {
    keys: Mutex<LruCache<KeyHash, (ApiKey, Timestamp)>>,
}

impl KeyCache {
    /// How long a key is believed to be as it was read.
    pub const MAX_AGE: Duration = Duration::from_mins(1);

    /// A cache of up to `capacity` keys, about 300 bytes each.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { keys: Mutex::new(LruCache::new(capacity)) }
    }

    /// The key, if it was read less than [`MAX_AGE`](Self::MAX_AGE) ago.
    #[must_use]
    pub fn get(&self, hash: KeyHash, now: Timestamp) -> Option<ApiKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, read_at) = keys.get(&hash)?;
        // A clock that was set back makes an entry's age unknown, which is as good as too old.
        let fresh = *read_at <= now && now.since(*read_at) < Self::MAX_AGE;
        if fresh { Some(key.clone()) } else { keys.pop(&hash).and(None) }
    }

    /// Remembers a key that was just read.
    pub fn put(&self, key: ApiKey, now: Timestamp) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.put(key.hash, (key, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{KeyKind, OrganizationId, Scope, SecretKey};

    fn key(n: usize) -> ApiKey {
        ApiKey {
            hash: SecretKey::generate(KeyKind::Itsm, || n).hash(),
            kind: KeyKind::Itsm,
            organization_id: OrganizationId::parse("org").unwrap(),
            scopes: vec![Scope::TeamsRead],
            allowed_networks: Vec::new(),
            name: None,
            created_at: Timestamp::from_secs(0),
            expires_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_is_kept_for_less_than_a_minute() {
        let cache = KeyCache::new(NonZeroUsize::MIN);
        let read_at = Timestamp::from_secs(1000);
        cache.put(key(1), read_at);
        assert_eq!(cache.get(key(1).hash, Timestamp::from_millis(1_059_999)), Some(key(1)));
        assert_eq!(cache.get(key(1).hash, Timestamp::from_secs(1060)), None);
        assert_eq!(cache.get(key(1).hash, read_at), None, "what was too old is gone");
        cache.put(key(1), read_at);
        assert_eq!(cache.get(key(1).hash, Timestamp::from_secs(999)), None, "the clock was set back");
    }

    #[test]
    fn the_least_recently_used_key_goes_first() {
        let cache = KeyCache::new(NonZeroUsize::new(2).unwrap());
        let now = Timestamp::from_secs(0);
        cache.put(key(1), now);
        cache.put(key(2), now);
        assert!(cache.get(key(1).hash, now).is_some());
        cache.put(key(3), now);
        assert!(cache.get(key(1).hash, now).is_some());
        assert!(cache.get(key(2).hash, now).is_none());
        assert!(cache.get(key(3).hash, now).is_some());
    }
}

//! Plain records that the store reads and writes, below the accesses that use them.

use std::collections::BTreeSet;

use super::keys::Key;
use muster_domain::{Folded, Profile};

/// A rendered success response, as the HTTP function sends it and as the store saves it under an
/// `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RenderedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The version of the team in the body, if the body shows a single team.
    pub version: Option<u64>,
    /// The body.
    pub body: String,
}

impl RenderedResponse {
    /// Returns a response with status 201. `version` is that of the team in the body, if the body
    /// shows a single team.
    #[must_use]
    pub fn created(body: String, version: Option<u64>) -> Self {
        Self {
            status: 201,
            version,
            body,
        }
    }
}

/// The head of a saved response: the first of its items.
pub(super) struct SavedResponse {
    /// Fingerprint of the request, as text.
    pub(super) fingerprint: String,
    pub(super) status: u16,
    pub(super) version: Option<u64>,
    /// Number of items over which the compressed body is spread, the head included.
    pub(super) parts: usize,
    /// First part of the compressed body.
    pub(super) compressed: Vec<u8>,
    /// In seconds since 1970.
    pub(super) expires_at: i64,
}

/// A further item of a saved response.
pub(super) struct SavedPart {
    pub(super) compressed: Vec<u8>,
    /// In seconds since 1970.
    pub(super) expires_at: i64,
}

/// A deleted team, by its tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTeam {
    /// Number of open tickets that the sweep still has to unassign.
    pub open_tickets: u64,
}

/// The topics under which the topic index lists a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IndexedTopics {
    /// Number of writes of the team's `SPECS` item; 0 if there is none.
    pub(super) rev: u64,
    /// The topics that have entries.
    pub(super) topics: BTreeSet<Folded>,
}

/// A profile as an item stores it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredProfile {
    pub(super) profile: Profile,
    /// Number of writes by user events.
    pub(super) rev: u64,
    /// The mark of pending work, while copies of the profile may be older.
    pub(super) mark: Option<Key>,
}

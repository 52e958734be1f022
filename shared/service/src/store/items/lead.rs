//! The item that records which team a user leads.

use serde::Serialize;

use crate::store::keys;

/// `ORG#o#USER#u`, `LEAD#t`.
#[derive(Serialize)]
pub(in crate::store) struct LeadItem {
    pk: String,
    sk: String,
}

impl LeadItem {
    pub(in crate::store) fn new(key: keys::Key) -> Self {
        let keys::Key { pk, sk } = key;
        Self { pk, sk }
    }
}

//! The items of a saved response.

use serde::{Deserialize, Serialize};

use super::{Item, from_item};
use crate::store::{
    Error, keys,
    records::{SavedPart, SavedResponse},
};
use muster_domain::{Idempotency, OrganizationId};

/// `ORG#o#IDEM#<subject>#0#<key>`, `IDEM`: head of a saved response. `expires_at` is the table's
/// TTL attribute, in seconds.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct ResponseItem {
    pk: String,
    sk: String,
    fingerprint: String,
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    parts: usize,
    #[serde(with = "serde_bytes")]
    compressed: Vec<u8>,
    expires_at: i64,
}

impl ResponseItem {
    pub(in crate::store) fn new(
        organization_id: &OrganizationId,
        request: &Idempotency,
        saved: SavedResponse,
    ) -> Self {
        let SavedResponse {
            fingerprint,
            status,
            version,
            parts,
            compressed,
            expires_at,
        } = saved;
        let keys::Key { pk, sk } = keys::saved_response(organization_id, request, 0);
        Self {
            pk,
            sk,
            fingerprint,
            status,
            version,
            parts,
            compressed,
            expires_at,
        }
    }
}

/// Converts an item into the head of a saved response.
pub(in crate::store) fn saved_response(item: Item) -> Result<SavedResponse, Error> {
    let ResponseItem {
        pk: _,
        sk: _,
        fingerprint,
        status,
        version,
        parts,
        compressed,
        expires_at,
    } = from_item(item)?;
    Ok(SavedResponse {
        fingerprint,
        status,
        version,
        parts,
        compressed,
        expires_at,
    })
}

/// `ORG#o#IDEM#<subject>#<part>#<key>`, `IDEM`: further part of a saved response, with the expiry
/// of its head.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct ResponsePartItem {
    pk: String,
    sk: String,
    #[serde(with = "serde_bytes")]
    compressed: Vec<u8>,
    expires_at: i64,
}

impl ResponsePartItem {
    pub(in crate::store) fn new(
        organization_id: &OrganizationId,
        request: &Idempotency,
        part: usize,
        compressed: Vec<u8>,
        expires_at: i64,
    ) -> Self {
        let keys::Key { pk, sk } = keys::saved_response(organization_id, request, part);
        Self {
            pk,
            sk,
            compressed,
            expires_at,
        }
    }
}

/// Converts an item into a further part of a saved response.
pub(in crate::store) fn saved_part(item: Item) -> Result<SavedPart, Error> {
    let ResponsePartItem {
        pk: _,
        sk: _,
        compressed,
        expires_at,
    } = from_item(item)?;
    Ok(SavedPart {
        compressed,
        expires_at,
    })
}

//! API keys. The table stores the hash of a key, and never the key.

use super::{
    Error, Store,
    access::Updated,
    expression::{self, n},
    items::{self, ApiKeyItem},
    keys,
};
use muster_domain::{ApiKey, KeyHash, OrganizationId, Timestamp};

impl Store {
    /// Reads a key, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn api_key(&self, hash: KeyHash) -> Result<Option<ApiKey>, Error> {
        self.get(&keys::api_key(hash))
            .await?
            .map(items::api_key)
            .transpose()
    }

    /// Writes a key, and creates its organization if that does not exist. One round trip: two
    /// concurrent writes. Both are idempotent, so they need no transaction.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn put_api_key(&self, key: &ApiKey) -> Result<(), Error> {
        self.put_for_organization(&key.organization_id, ApiKeyItem::new(key))
            .await
    }

    /// Deletes a key. No record of it remains, unlike that of a revoked key. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn delete_api_key(&self, hash: KeyHash) -> Result<(), Error> {
        let call = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::api_key(hash).attributes()));
        self.send(|| call.clone().send()).await?;
        Ok(())
    }

    /// Reads an organization's keys, oldest first. One round trip for each page of the index, then
    /// one for each key. The index is eventually consistent, so a key that was created a moment ago
    /// may be missing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn api_keys(&self, org: &OrganizationId) -> Result<Vec<ApiKey>, Error> {
        let call = self.index_query(keys::api_keys_partition(org));
        let mut found = Vec::new();
        for item in self.query_all(call).await? {
            let hash = items::text(&item, "pk").and_then(keys::api_key_hash);
            let hash = hash.ok_or_else(|| {
                Error::internal("an index entry of an organization's keys is not an API key")
            })?;
            found.extend(self.api_key(hash).await?);
        }
        Ok(found)
    }

    /// Revokes a key. A key that is revoked already keeps the time of its first revocation, so the
    /// call is idempotent. Returns false if there is no such key. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn revoke_api_key(&self, hash: KeyHash, now: Timestamp) -> Result<bool, Error> {
        let updated = self
            .update_if(
                &keys::api_key(hash),
                "SET #revoked_at = if_not_exists(#revoked_at, :now)",
                "attribute_exists(#pk)",
                expression::values([(":now", n(now.millis()))]),
            )
            .await?;
        Ok(matches!(updated, Updated::Applied(_)))
    }
}

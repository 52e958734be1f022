//! API keys, stored by the hash that a request's key has.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::{
    Error, Store, expression,
    expression::{n, s},
    items::{self, ApiKeyItem},
    keys,
    retry::Failed,
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

    /// Writes a key, and begins its organization where this is its first. One round trip: two
    /// writes at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn put_api_key(&self, key: &ApiKey) -> Result<(), Error> {
        self.put_and_begin(&key.organization_id, ApiKeyItem::new(key))
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

    /// Reads an organization's keys, the oldest first. The index that lists them may lag behind by
    /// a moment. One round trip a page of the index, then one a key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn api_keys(&self, org: &OrganizationId) -> Result<Vec<ApiKey>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :pk")
            .expression_attribute_values(":pk", s(keys::api_keys_partition(org)));
        let mut found = Vec::new();
        for item in self.query_all(call).await? {
            let hash = items::text(&item, "pk").and_then(keys::api_key_hash);
            let hash =
                hash.ok_or_else(|| Error::internal("an index entry under KEYS is not a key's"))?;
            found.extend(self.api_key(hash).await?);
        }
        Ok(found)
    }

    /// Revokes a key; one that is revoked already stays so from then. False if there is no such
    /// key. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn revoke_api_key(&self, hash: KeyHash, now: Timestamp) -> Result<bool, Error> {
        let (update, condition) = (
            "SET #revoked_at = if_not_exists(#revoked_at, :now)",
            "attribute_exists(#pk)",
        );
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::api_key(hash).attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([update, condition]))
            .set_expression_attribute_values(Some(expression::values([(":now", n(now.millis()))])));
        match self.send(|| call.clone().send()).await {
            Ok(_) => Ok(true),
            Err(Failed::Answered(UpdateItemError::ConditionalCheckFailedException(_))) => Ok(false),
            Err(failed) => Err(failed.into()),
        }
    }
}

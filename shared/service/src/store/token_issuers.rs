//! Token issuers: the public keys that verify the tokens of each organization.

use aws_sdk_dynamodb::types::ReturnValue;

use super::{
    Error, Store,
    items::{self, TokenIssuerItem},
    keys,
};
use muster_domain::{OrganizationId, TokenIssuer};

impl Store {
    /// Reads an organization's token issuer, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn token_issuer(&self, org: &OrganizationId) -> Result<Option<TokenIssuer>, Error> {
        self.get(&keys::token_issuer(org))
            .await?
            .map(|item| items::token_issuer(org, item))
            .transpose()
    }

    /// Writes an organization's token issuer, replacing the previous one, and creates the
    /// organization if it does not exist. One round trip: two concurrent writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn put_token_issuer(&self, issuer: &TokenIssuer) -> Result<(), Error> {
        self.put_for_organization(&issuer.organization_id, TokenIssuerItem::new(issuer))
            .await
    }

    /// Deletes an organization's token issuer, so that its tokens are rejected. Returns false if
    /// there was none. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn remove_token_issuer(&self, org: &OrganizationId) -> Result<bool, Error> {
        let call = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::token_issuer(org).attributes()))
            .return_values(ReturnValue::AllOld);
        let output = self.send(|| call.clone().send()).await?;
        Ok(output.attributes.is_some())
    }
}

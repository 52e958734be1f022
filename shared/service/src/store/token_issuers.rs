//! Issuers of tokens: the public keys of each organization's own.

use aws_sdk_dynamodb::types::ReturnValue;

use super::{
    Error, Store,
    items::{self, TokenIssuerItem},
    keys,
};
use muster_domain::{OrganizationId, TokenIssuer};

impl Store {
    /// Reads what an organization's tokens are held to, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn token_issuer(&self, org: &OrganizationId) -> Result<Option<TokenIssuer>, Error> {
        self.get(&keys::token_issuer(org))
            .await?
            .map(|item| items::token_issuer(org, item))
            .transpose()
    }

    /// Writes what an organization's tokens are held to, over what was there, and begins the
    /// organization where this is its first. One round trip: two writes at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn put_token_issuer(&self, issuer: &TokenIssuer) -> Result<(), Error> {
        self.put_for_organization(&issuer.organization_id, TokenIssuerItem::new(issuer))
            .await
    }

    /// Forgets an organization's issuer, so that none of its tokens is good. False if there was
    /// none. One round trip.
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

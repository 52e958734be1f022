//! Organizations. An organization exists from its first API key, token issuer, team or imported
//! user on. Events of an organization that does not exist are rejected.

use serde::Serialize;

use super::{Error, Store, expression, expression::n, items, keys};
use muster_domain::OrganizationId;

impl Store {
    /// Returns true if the organization exists. Strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn organization_exists(&self, org: &OrganizationId) -> Result<bool, Error> {
        Ok(self.get(&keys::organization(org)).await?.is_some())
    }

    /// Creates an organization if it does not exist. Idempotent: `ADD` of 0 creates the count or
    /// leaves it unchanged. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn ensure_organization(&self, org: &OrganizationId) -> Result<(), Error> {
        let update = "ADD #team_count :none";
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::organization(org).attributes()))
            .update_expression(update)
            .set_expression_attribute_names(expression::names([update]))
            .set_expression_attribute_values(Some(expression::values([(":none", n(0))])));
        self.send(|| call.clone().send()).await?;
        Ok(())
    }

    /// Writes a whole item, replacing any item with its key, and creates the organization if it
    /// does not exist. One round trip: two concurrent writes.
    pub(super) async fn put_for_organization(
        &self,
        org: &OrganizationId,
        item: impl Serialize,
    ) -> Result<(), Error> {
        let call = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(items::to_item(item)?));
        let written = async { self.send(|| call.clone().send()).await.map_err(Error::from) };
        tokio::try_join!(self.ensure_organization(org), written)?;
        Ok(())
    }
}

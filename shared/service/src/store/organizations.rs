//! Organizations: they begin with their first key, team or import, and what belongs to none is not
//! listened to.

use serde::Serialize;

use super::{Error, Store, expression, expression::n, items, keys};
use muster_domain::OrganizationId;

impl Store {
    /// Whether anybody works with this organization here. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn organization_exists(&self, org: &OrganizationId) -> Result<bool, Error> {
        Ok(self.get(&keys::organization(org)).await?.is_some())
    }

    /// Begins an organization; one that is there already stays as it is. One round trip.
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

    /// Writes a whole item over what is there, and begins the organization where this is its first.
    /// One round trip: two writes at once.
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

//! User profiles.

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};

use super::{
    Error, Store,
    items::{self, UserItem},
    keys,
};
use crate::domain::{OrganizationId, User, UserId};

impl Store {
    /// The most profiles that [`put_users`](Self::put_users) takes: DynamoDB's limit for one batch.
    pub const MAX_USERS_PER_BATCH: usize = 25;

    /// Reads a profile, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn user(&self, org: &OrganizationId, id: UserId) -> Result<Option<User>, Error> {
        self.get(&keys::user(org, id)).await?.map(|item| items::user(id, item)).transpose()
    }

    /// Writes up to [`MAX_USERS_PER_BATCH`](Self::MAX_USERS_PER_BATCH) profiles over what is there. No id may come twice. One
    /// round trip, and one more for each part that the table puts off.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (some may have been written) or [`Error::Internal`].
    pub async fn put_users(&self, org: &OrganizationId, users: &[User]) -> Result<(), Error> {
        let mut requests = Vec::with_capacity(users.len());
        for user in users {
            let item = items::to_item(UserItem::new(org, user))?;
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = self.backoff();
        while !requests.is_empty() {
            let call = self.client.batch_write_item().request_items(&*self.table, requests);
            let output = self.send(|| call.clone().send()).await?;
            requests = output.unprocessed_items.and_then(|mut items| items.remove(&*self.table)).unwrap_or_default();
            if !requests.is_empty() && !backoff.pause().await {
                return Err(Error::Unavailable("the table put off a part of the batch until the time was up".into()));
            }
        }
        Ok(())
    }

    /// PLACEHOLDER
    pub async fn copy_profile(
        &self,
        _org: &OrganizationId,
        _id: UserId,
        _after: Option<String>,
        _now: crate::domain::Timestamp,
    ) -> Result<Option<String>, Error> {
        Ok(None)
    }
}

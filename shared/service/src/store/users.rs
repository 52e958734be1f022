//! User profiles: reading, importing, merging of events, and erasure.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{AttributeValue, PutRequest, WriteRequest},
};

use super::{
    Error, IndexPage, Store,
    error::CommitError,
    expression::{self, n, s},
    items::{self, UserItem},
    keys,
    records::StoredProfile,
    retry::CallError,
};
use crate::telemetry;
use muster_domain::{
    EventVersion, OrganizationId, Profile, Timestamp, User, UserId, UserSnapshot, UserStatus,
};

impl Store {
    /// The most profiles that [`put_users`](Self::put_users) takes: DynamoDB's limit for one batch.
    pub const MAX_USERS_PER_BATCH: usize = 25;

    /// Reads a profile, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn user(&self, org: &OrganizationId, id: UserId) -> Result<Option<User>, Error> {
        self.get(&keys::user(org, id))
            .await?
            .map(|item| items::user(id, item))
            .transpose()
    }

    /// Reads profiles, strongly consistent. The ids must differ. Leaves out users without a
    /// profile. One round trip: one call for each 100 users, in parallel.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn users(
        &self,
        org: &OrganizationId,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, User>, Error> {
        let keys: Vec<_> = ids
            .into_iter()
            .map(|id| keys::user(org, id).attributes())
            .collect();
        let read = self.get_all(&keys).await?;
        let profile = |item| {
            let id = items::text(&item, "pk").and_then(keys::user_of);
            let id =
                id.ok_or_else(|| Error::internal("a profile is outside a user's partition"))?;
            Ok((id, items::user(id, item)?))
        };
        read.into_iter().map(profile).collect()
    }

    /// Reads a page of an organization's users in the order of their folded names, without deleted
    /// ones. `after` is the cursor of the previous page.
    ///
    /// Two round trips: a query of the index, which is eventually consistent, then the profiles,
    /// strongly consistent: one call for each 100 users. A profile that was written before the
    /// index existed is missing until its next write.
    ///
    /// # Errors
    /// [`Error::Unavailable`], or [`Error::Internal`], also for an `after` that no page returned.
    pub async fn users_by_name(
        &self,
        org: &OrganizationId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<User>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name("gsi2")
            .key_condition_expression("gsi2pk = :pk")
            .expression_attribute_values(":pk", s(keys::users_partition(org)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|entry| start_after(org, entry)).transpose()?);
        let page = self.send(|| call.clone().send()).await?;
        let items = page.items.unwrap_or_default();
        let next = page
            .last_evaluated_key
            .and_then(|key| items::text(&key, "gsi2sk").map(str::to_owned));
        // While a name changes, the index can have two entries of a user. `BatchGetItem` rejects a
        // repeated key.
        let mut seen = HashSet::new();
        let ids: Vec<_> = items
            .iter()
            .filter_map(|item| keys::user_of_entry(items::text(item, "gsi2sk")?))
            .filter(|id| seen.insert(*id))
            .collect();
        let mut users = self.users(org, ids.iter().copied()).await?;
        let entries = ids.into_iter().filter_map(|id| users.remove(&id));
        Ok(IndexPage {
            entries: entries
                .filter(|user| user.status != UserStatus::Deleted)
                .collect(),
            next,
        })
    }

    /// Writes up to [`MAX_USERS_PER_BATCH`](Self::MAX_USERS_PER_BATCH) profiles, replacing existing
    /// ones regardless of their versions, and creates the organization if it does not exist. The
    /// ids must differ. Two round trips, and one more for each response with unprocessed items.
    ///
    /// Sets no mark of pending work: it is meant for users without memberships, so their profiles
    /// have no copies.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (some profiles may be written) or [`Error::Internal`].
    pub async fn put_users(&self, org: &OrganizationId, users: &[User]) -> Result<(), Error> {
        self.ensure_organization(org).await?;
        let mut requests = Vec::with_capacity(users.len());
        for user in users {
            let item = items::to_item(UserItem::new(org, user))?;
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .map_err(Error::internal)?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = self.backoff();
        while !requests.is_empty() {
            let call = self
                .client
                .batch_write_item()
                .request_items(&*self.table, requests);
            let output = self.send(|| call.clone().send()).await?;
            requests = output
                .unprocessed_items
                .and_then(|mut items| items.remove(&*self.table))
                .unwrap_or_default();
            if !requests.is_empty() && !backoff.pause().await {
                return Err(Error::unprocessed());
            }
        }
        Ok(())
    }

    /// Merges user events into a profile, by the rules of [`Profile::merged`]. Returns the
    /// resulting profile, if there is one.
    ///
    /// One round trip if no event has news, else two: a read, then a write on condition that the
    /// profile is unchanged. One write unit for each kilobyte. A change of an existing profile sets
    /// a mark of pending work at `now`, which costs about 3 more write units.
    ///
    /// Idempotent: a redelivered event is not newer than the versions of the fields, so it changes
    /// no field.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn apply_user_events(
        &self,
        org: &OrganizationId,
        id: UserId,
        events: &[(EventVersion, UserSnapshot)],
        now: Timestamp,
    ) -> Result<Option<Profile>, Error> {
        self.retry_on_conflict(|| async {
            let known = self
                .get(&keys::user(org, id))
                .await?
                .map(|item| items::profile(id, item))
                .transpose()?;
            let before = known.as_ref().map(|known| &known.profile);
            let superseded = Profile::superseded(before, id, events);
            let profile = match Profile::merged(before, id, events) {
                Some(changed) => {
                    self.put_profile(org, &changed, known.as_ref(), now).await?;
                    Some(changed)
                }
                None => known.map(|known| known.profile),
            };
            telemetry::record(|measured| measured.superseded_events += superseded);
            Ok(profile)
        })
        .await
    }

    /// Replaces a user's profile by the tombstone of [`Profile::erased`], even if there is no
    /// profile. Returns the previous status. The job that the write starts updates the copies in
    /// memberships.
    ///
    /// Two round trips: a read, then a write on condition that the profile is unchanged.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn erase_user(
        &self,
        org: &OrganizationId,
        id: UserId,
        now: Timestamp,
    ) -> Result<Option<UserStatus>, Error> {
        self.retry_on_conflict(|| async {
            let known = self
                .get(&keys::user(org, id))
                .await?
                .map(|item| items::profile(id, item))
                .transpose()?;
            let before = known.as_ref().map(|known| &known.profile);
            self.put_profile(org, &Profile::erased(before, id, now), known.as_ref(), now)
                .await?;
            Ok(known.map(|known| known.profile.user.status))
        })
        .await
    }

    /// Writes a profile, on condition that the stored one is unchanged, or still absent.
    ///
    /// A change of copied attributes sets a mark. An existing mark keeps its time. A new profile
    /// needs no mark: a membership copies a profile on condition of its version, so no copy is
    /// older than a user's first profile.
    async fn put_profile(
        &self,
        org: &OrganizationId,
        profile: &Profile,
        known: Option<&StoredProfile>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let rev = known.map(|known| known.rev);
        let mark = known.and_then(|known| {
            let has_changed = known.profile.user != profile.user;
            let new =
                || has_changed.then(|| keys::pending_work(&keys::user(org, profile.user.id), now));
            known.mark.clone().or_else(new)
        });
        let (condition, values) = match rev {
            None => ("attribute_not_exists(#pk)", None),
            // Imported, and not changed by an event since.
            Some(0) => (
                "attribute_exists(#pk) AND (attribute_not_exists(#rev) OR #rev = :rev)",
                Some(0),
            ),
            Some(rev) => ("#rev = :rev", Some(rev)),
        };
        let item = items::to_item(UserItem::of_profile(
            org,
            profile,
            rev.unwrap_or(0).saturating_add(1),
            mark,
        ))?;
        let call = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([condition]))
            .set_expression_attribute_values(
                values.map(|rev| expression::values([(":rev", n(rev))])),
            );
        match self.send(|| call.clone().send()).await {
            Ok(_) => Ok(()),
            // If an earlier attempt of this call succeeded and its response was lost, the next read
            // finds its effect.
            Err(CallError::Service(PutItemError::ConditionalCheckFailedException(_))) => {
                Err(CommitError::Conflict)
            }
            Err(failed) => Err(CommitError::Failed(failed.into())),
        }
    }
}

/// Returns the key of the index and of the table at which a query begins, after an entry.
fn start_after(
    org: &OrganizationId,
    entry: &str,
) -> Result<HashMap<String, AttributeValue>, Error> {
    let id = keys::user_of_entry(entry)
        .ok_or_else(|| Error::internal(format!("{entry:?} is no entry of a user")))?;
    let mut start = keys::user(org, id).attributes();
    start.insert("gsi2pk".to_owned(), s(keys::users_partition(org)));
    start.insert("gsi2sk".to_owned(), s(entry));
    Ok(start)
}

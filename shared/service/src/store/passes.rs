//! The pass of an organization over its unrouted tickets: the merge of topics, the lease, and the
//! end.
//!
//! At most one job runs the pass, by a lease. Each write of that job has the condition that the job
//! still holds the lease. `rev` counts the merges, so a condition on `rev` detects topics that were
//! merged since the job read the pass.

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::{
    Error, Store,
    access::Updated,
    expression::{self, Values, n, s},
    items::{self, Item},
    keys,
    pending_work::{MARK, mark_values},
    transaction::{Transaction, conflict},
};
use muster_domain::{OrganizationId, PassTopics, RoutingPass, Timestamp, TopicHash};

/// A lease of the pass, with the pass as it was when the lease was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The random id of the holder.
    pub owner: String,
    /// The pass.
    pub pass: RoutingPass,
}

/// The outcome of the end of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The lease has ended.
    Done,
    /// Topics were merged since. The holder retains the lease.
    Merged,
    /// Another job has taken the lease, or it has ended.
    Lost,
}

impl Store {
    /// Reads the organization's pass, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn pass(&self, org: &OrganizationId) -> Result<Option<RoutingPass>, Error> {
        self.get(&keys::pass(org))
            .await?
            .map(items::pass)
            .transpose()
    }

    /// Takes the lease of a pending pass until a time. Returns `None` if the pass is finished or
    /// another job holds the lease. One round trip.
    ///
    /// The condition and the update are one write, so of two jobs one takes the lease.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn take_lease(
        &self,
        org: &OrganizationId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, Error> {
        let owner = Uuid::new_v4().to_string();
        let is_free = "attribute_exists(#gsi1pk) AND (attribute_not_exists(#lease_until) OR #lease_until <= :now)";
        let values = expression::values([
            (":owner", s(&owner)),
            (":until", n(until.millis())),
            (":now", n(now.millis())),
        ]);
        let update = "SET #lease_owner = :owner, #lease_until = :until";
        let item = match self.update_pass(org, update, is_free, values).await? {
            Updated::Applied(item) => item,
            // An earlier attempt took the lease, and its response was lost.
            Updated::ConditionFailed(item) => item.filter(|item| is_held_by(item, &owner)),
        };
        item.map(|item| {
            Ok(Lease {
                owner,
                pass: items::pass(item)?,
            })
        })
        .transpose()
    }

    /// Extends a lease until a time and returns the pass as it is now. `None` if another job has
    /// taken the lease. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn renew_lease(
        &self,
        org: &OrganizationId,
        owner: &str,
        until: Timestamp,
    ) -> Result<Option<RoutingPass>, Error> {
        let values = expression::values([(":owner", s(owner)), (":until", n(until.millis()))]);
        let updated = self
            .update_pass(
                org,
                "SET #lease_until = :until",
                "#lease_owner = :owner",
                values,
            )
            .await?;
        renewed(updated)
    }

    /// Records that a complete pass has covered a revision, and extends the lease. `None` if
    /// another job has taken the lease. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn cover_pass(
        &self,
        org: &OrganizationId,
        owner: &str,
        rev: u64,
        until: Timestamp,
    ) -> Result<Option<RoutingPass>, Error> {
        let values = expression::values([
            (":owner", s(owner)),
            (":until", n(until.millis())),
            (":rev", n(rev)),
        ]);
        let update = "SET #lease_until = :until, #covered = :rev";
        renewed(
            self.update_pass(org, update, "#lease_owner = :owner", values)
                .await?,
        )
    }

    /// Ends a lease, unless topics were merged after revision `rev`. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn release_lease(
        &self,
        org: &OrganizationId,
        owner: &str,
        rev: u64,
    ) -> Result<Released, Error> {
        self.end_lease(org, owner, rev, "REMOVE #lease_owner, #lease_until")
            .await
    }

    /// Finishes the pass, unless topics were merged after revision `rev`: removes the topics, the
    /// mark and the lease. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn finish_pass(
        &self,
        org: &OrganizationId,
        owner: &str,
        rev: u64,
    ) -> Result<Released, Error> {
        let update = "REMOVE #lease_owner, #lease_until, #topics, #all_topics, #gsi1pk, #gsi1sk";
        self.end_lease(org, owner, rev, update).await
    }

    async fn end_lease(
        &self,
        org: &OrganizationId,
        owner: &str,
        rev: u64,
        update: &str,
    ) -> Result<Released, Error> {
        let values = expression::values([(":owner", s(owner)), (":rev", n(rev))]);
        Ok(
            match self
                .update_pass(org, update, "#lease_owner = :owner AND #rev = :rev", values)
                .await?
            {
                Updated::Applied(_) => Released::Done,
                Updated::ConditionFailed(Some(item)) if is_held_by(&item, owner) => {
                    Released::Merged
                }
                Updated::ConditionFailed(_) => Released::Lost,
            },
        )
    }

    async fn update_pass(
        &self,
        org: &OrganizationId,
        update: &str,
        condition: &str,
        values: Values,
    ) -> Result<Updated, Error> {
        self.update_if(&keys::pass(org), update, condition, values)
            .await
    }
}

fn renewed(updated: Updated) -> Result<Option<RoutingPass>, Error> {
    match updated {
        Updated::Applied(item) => item.map(items::pass).transpose(),
        Updated::ConditionFailed(_) => Ok(None),
    }
}

fn is_held_by(pass: &Item, owner: &str) -> bool {
    items::text(pass, "lease_owner") == Some(owner)
}

/// Adds the merge of topics to a transaction, and marks the pass as pending work.
///
/// `read` is the pass as it was read: it decides if the set still has room. A condition repeats the
/// check, since a concurrent merge may fill the set; the caller then reads again. If the set has no
/// room, the pass covers all topics from then on.
pub(super) fn merge_topics(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    read: Option<&RoutingPass>,
    topics: &[TopicHash],
    now: Timestamp,
) -> Result<(), Error> {
    let key = keys::pass(org);
    let mut values = expression::values([(":one", n(1)), (":now", n(now.millis()))]);
    values
        .extend(mark_values(&key, now).map(|(placeholder, value)| (placeholder.to_owned(), value)));
    let merged = format!("SET #merged_at = :now, {MARK}");
    if read.is_none_or(|pass| pass.topics.has_room_for(topics.len())) {
        let texts = topics.iter().map(ToString::to_string).collect();
        let room = PassTopics::MAX.saturating_sub(topics.len());
        values.insert(":topics".to_owned(), AttributeValue::Ss(texts));
        values.insert(":room".to_owned(), n(room as u64));
        let fits = "attribute_not_exists(#all_topics) AND (attribute_not_exists(#topics) OR size(#topics) <= :room)";
        let update = format!("{merged} ADD #rev :one, #topics :topics");
        return transaction.update(&key, &update, Some(fits), values, conflict);
    }
    values.insert(":all".to_owned(), AttributeValue::Bool(true));
    let update = format!("{merged}, #all_topics = :all REMOVE #topics ADD #rev :one");
    transaction.update(&key, &update, None, values, conflict)
}

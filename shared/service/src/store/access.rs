//! The basic reads and writes of single items, batches and ranges, from which the other modules
//! are built.

use std::{collections::HashMap, ops::RangeInclusive};

use aws_sdk_dynamodb::{
    operation::{query::builders::QueryFluentBuilder, update_item::UpdateItemError},
    types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream::iter};

use super::{
    Error, Store,
    expression::{self, Values, s},
    index::{Index, IndexNames},
    items::Item,
    keys,
    retry::CallError,
};

/// The most keys of one `BatchGetItem` (AWS, `BatchGetItem`,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
pub(super) const MAX_BATCH_KEYS: usize = 100;

/// The consistency of a read. An eventually consistent one costs half the read units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consistency {
    Strong,
    Eventual,
}

/// The outcome of a conditional update.
pub(super) enum Updated {
    /// The condition held. Has the attributes of the item after the update.
    Applied(Option<Item>),
    /// The condition failed, and the update wrote no attribute. Has the item, if it exists.
    ConditionFailed(Option<Item>),
}

impl Updated {
    /// Returns the item after the call, if it exists: after the update, or as it was if the
    /// condition failed.
    pub(super) fn into_item(self) -> Option<Item> {
        match self {
            Self::Applied(item) | Self::ConditionFailed(item) => item,
        }
    }
}

impl Store {
    /// Opens a connection and resolves credentials before the first request needs them, by reading
    /// an item that does not exist. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.get(&keys::no_item()).await.map(drop)
    }

    /// Reads one item, strongly consistent. One round trip.
    pub(super) async fn get(&self, key: &keys::Key) -> Result<Option<Item>, Error> {
        let call = self
            .client
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true);
        let output = self.send(|| call.clone().send()).await?;
        Ok(output.item)
    }

    /// Reads items, strongly consistent, in no order. Leaves out keys without an item. The keys
    /// must differ. One round trip: one call for each 100 keys, all in parallel.
    pub(super) async fn get_all(
        &self,
        keys: &[HashMap<String, AttributeValue>],
    ) -> Result<Vec<Item>, Error> {
        self.get_all_with(keys, Consistency::Strong).await
    }

    /// Reads items with this consistency, by the rules of [`get_all`](Self::get_all).
    pub(super) async fn get_all_with(
        &self,
        keys: &[HashMap<String, AttributeValue>],
        consistency: Consistency,
    ) -> Result<Vec<Item>, Error> {
        let read = try_join_all(
            keys.chunks(MAX_BATCH_KEYS)
                .map(|keys| self.batch_get(keys.to_vec(), consistency)),
        )
        .await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Reads up to 100 items, in no order. One round trip, and one more for each response with
    /// unprocessed keys: DynamoDB returns them above 16 MB or under throttling.
    async fn batch_get(
        &self,
        keys: Vec<HashMap<String, AttributeValue>>,
        consistency: Consistency,
    ) -> Result<Vec<Item>, Error> {
        let mut backoff = self.backoff();
        let mut found = Vec::with_capacity(keys.len());
        let is_strong = consistency == Consistency::Strong;
        let requested = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(is_strong)
            .build();
        let mut requested = Some(requested.map_err(Error::internal)?);
        while let Some(keys) = requested {
            let call = self
                .client
                .batch_get_item()
                .request_items(&*self.table, keys);
            let output = self.send(|| call.clone().send()).await?;
            found.extend(
                output
                    .responses
                    .and_then(|mut tables| tables.remove(&*self.table))
                    .unwrap_or_default(),
            );
            requested = output
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&*self.table));
            if requested.is_some() && !backoff.pause().await {
                return Err(Error::unprocessed());
            }
        }
        Ok(found)
    }

    /// Returns a strongly consistent query of a partition, over the sort keys of a range.
    pub(super) fn range_query(
        &self,
        partition: String,
        sort_keys: RangeInclusive<impl Into<String>>,
    ) -> QueryFluentBuilder {
        let (first, last) = sort_keys.into_inner();
        self.client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", s(partition))
            .expression_attribute_values(":first", s(first))
            .expression_attribute_values(":last", s(last))
    }

    /// Returns a query of a partition of `gsi1`. The index is eventually consistent.
    pub(super) fn index_query(&self, partition: String) -> QueryFluentBuilder {
        self.query_of(Index::First, partition)
    }

    /// Returns a query of an index partition. The index is eventually consistent.
    pub(super) fn query_of(&self, index: Index, partition: String) -> QueryFluentBuilder {
        let IndexNames { index, pk, sk: _ } = index.names();
        self.client
            .query()
            .table_name(&*self.table)
            .index_name(index)
            .key_condition_expression(format!("{pk} = :pk"))
            .expression_attribute_values(":pk", s(partition))
    }

    /// Reads all pages of a query. One round trip for each megabyte.
    pub(super) async fn query_all(&self, call: QueryFluentBuilder) -> Result<Vec<Item>, Error> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .send(|| call.clone().set_exclusive_start_key(start.clone()).send())
                .await?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Updates an item if a condition holds. One round trip.
    ///
    /// A failed condition is an outcome and not an error: an earlier attempt of this call may have
    /// applied the update, and its response was lost. The caller compares the returned item with
    /// the intended one.
    pub(super) async fn update_if(
        &self,
        key: &keys::Key,
        update: &str,
        condition: &str,
        values: Values,
    ) -> Result<Updated, Error> {
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([update, condition]))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.send(|| call.clone().send()).await {
            Ok(output) => Ok(Updated::Applied(output.attributes)),
            Err(CallError::Service(UpdateItemError::ConditionalCheckFailedException(failed))) => {
                Ok(Updated::ConditionFailed(failed.item))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The most concurrent calls for one purpose.
const MAX_CONCURRENT_CALLS: usize = 25;

/// Awaits calls, [`MAX_CONCURRENT_CALLS`] at a time. The first failure fails all.
pub(super) async fn run_concurrently<T>(
    calls: Vec<impl Future<Output = Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    iter(calls)
        .buffer_unordered(MAX_CONCURRENT_CALLS)
        .try_collect()
        .await
}

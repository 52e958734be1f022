//! Transactions. Each write states the meaning of its failed condition.
//!
//! Every invariant that spans items is a transaction. Its conditions state the reads that the
//! decision depends on.

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, Values},
    items::{self, Item},
    keys::Key,
    records::RenderedResponse,
    retry::CallError,
};

/// The meaning of a failed condition.
///
/// If several conditions fail at once, the smallest value counts, in the order of the variants. A
/// replay comes first, since the effects of the first attempt make other conditions fail. A
/// permanent rejection comes before a conflict, which a retry may resolve. Of several rejections,
/// the contracts' order of checks decides (`Ord` of [`muster_domain::Error`]).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConditionFailure {
    /// The same request was carried out before. Has its saved response.
    Replayed(RenderedResponse),
    /// A rule of the domain rejects the request.
    Rejected(muster_domain::Error),
    /// An item changed since it was read: read and decide again.
    Conflict,
}

/// Interprets a failed condition from the item that it failed on, if the item exists.
type OnConditionFailed<'t> = Box<dyn Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't>;

/// Interprets every failed condition as a write conflict.
pub(super) fn conflict(_: Option<&Item>) -> ConditionFailure {
    ConditionFailure::Conflict
}

/// Up to 100 writes that are applied together or not at all. DynamoDB charges twice the write units
/// of the same writes alone.
pub(super) struct Transaction<'t> {
    store: &'t Store,
    writes: Vec<TransactWriteItem>,
    on_failure: Vec<OnConditionFailed<'t>>,
}

/// The most items of a transaction (AWS, `TransactWriteItems`,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
pub(super) const MAX_ITEMS: usize = 100;

impl<'t> Transaction<'t> {
    /// Returns a transaction without writes.
    pub(super) fn new(store: &'t Store) -> Self {
        Self {
            store,
            writes: Vec::new(),
            on_failure: Vec::new(),
        }
    }

    /// Returns the number of writes so far.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Adds a put of a whole item, on a condition.
    pub(super) fn put(
        &mut self,
        item: impl Serialize,
        condition: &str,
        values: Option<Values>,
        on_failure: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
    ) -> Result<(), Error> {
        let put = Put::builder()
            .table_name(&*self.store.table)
            .set_item(Some(items::to_item(item)?))
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([condition]))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(
            TransactWriteItem::builder()
                .put(put.build().map_err(incomplete)?)
                .build(),
            on_failure,
        );
        Ok(())
    }

    /// Adds a put of a whole item that replaces any item with its key.
    pub(super) fn put_always(&mut self, item: impl Serialize) -> Result<(), Error> {
        let put = Put::builder()
            .table_name(&*self.store.table)
            .set_item(Some(items::to_item(item)?));
        self.push(
            TransactWriteItem::builder()
                .put(put.build().map_err(incomplete)?)
                .build(),
            conflict,
        );
        Ok(())
    }

    /// Adds an update of some attributes of an item.
    pub(super) fn update(
        &mut self,
        key: &Key,
        update: &str,
        condition: Option<&str>,
        values: Values,
        on_failure: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
    ) -> Result<(), Error> {
        let update = Update::builder()
            .table_name(&*self.store.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(expression::names(
                std::iter::once(update).chain(condition),
            ))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(
            TransactWriteItem::builder()
                .update(update.build().map_err(incomplete)?)
                .build(),
            on_failure,
        );
        Ok(())
    }

    /// Adds the deletion of an item.
    pub(super) fn delete(
        &mut self,
        key: &Key,
        condition: Option<&str>,
        values: Option<Values>,
        on_failure: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
    ) -> Result<(), Error> {
        let delete = Delete::builder()
            .table_name(&*self.store.table)
            .set_key(Some(key.attributes()))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(expression::names(condition))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(
            TransactWriteItem::builder()
                .delete(delete.build().map_err(incomplete)?)
                .build(),
            on_failure,
        );
        Ok(())
    }

    /// Adds a condition on an item that the transaction does not write.
    pub(super) fn check(
        &mut self,
        key: &Key,
        condition: &str,
        values: Option<Values>,
        on_failure: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
    ) -> Result<(), Error> {
        let check = ConditionCheck::builder()
            .table_name(&*self.store.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([condition]))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push(
            TransactWriteItem::builder()
                .condition_check(check.build().map_err(incomplete)?)
                .build(),
            on_failure,
        );
        Ok(())
    }

    fn push(
        &mut self,
        write: TransactWriteItem,
        on_failure: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
    ) {
        self.writes.push(write);
        self.on_failure.push(Box::new(on_failure));
    }

    /// Commits the transaction. One round trip, and one more for each transient failure.
    ///
    /// Every attempt carries the same client request token. If an attempt committed and its
    /// response was lost, DynamoDB reports success to the next one and writes no item again (AWS,
    /// "Amazon DynamoDB Transactions: How it works", "Idempotency",
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>).
    pub(super) async fn commit(self) -> Result<(), CommitError> {
        let Self {
            store,
            writes,
            on_failure,
        } = self;
        debug_assert!(writes.len() <= MAX_ITEMS, "{} items", writes.len());
        let call = store
            .client
            .transact_write_items()
            .client_request_token(Uuid::new_v4().to_string())
            .set_transact_items(Some(writes));
        let canceled = match store.send_with(|| call.clone().send(), is_contention).await {
            Ok(_) => return Ok(()),
            Err(CallError::Service(TransactWriteItemsError::TransactionCanceledException(
                canceled,
            ))) => canceled,
            Err(error) => return Err(CommitError::Failed(error.into())),
        };
        let failure = canceled
            .cancellation_reasons()
            .iter()
            .zip(&on_failure)
            .filter(|(reason, _)| reason.code() == Some(CONDITION_FAILED))
            .map(|(reason, on_failure)| on_failure(reason.item()))
            .min();
        Err(match failure {
            Some(ConditionFailure::Replayed(response)) => {
                CommitError::Failed(Error::Replayed(response))
            }
            Some(ConditionFailure::Rejected(error)) => error.into(),
            Some(ConditionFailure::Conflict) => CommitError::Conflict,
            None => CommitError::Failed(Error::internal(canceled)),
        })
    }
}

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// Returns true if only other writers, or a lack of capacity, canceled a transaction, so that the
/// same transaction may succeed a moment later.
///
/// A failed condition next to them is permanent: DynamoDB checked it against committed items.
fn is_contention(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        return false;
    };
    let codes = || {
        canceled
            .cancellation_reasons()
            .iter()
            .filter_map(|reason| reason.code())
    };
    let contended = [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ];
    codes().all(|code| code != CONDITION_FAILED) && codes().any(|code| contended.contains(&code))
}

fn incomplete(error: BuildError) -> Error {
    Error::internal(error)
}

//! Transactions whose every write says what its failed condition means.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Answer, Error, Store, expression,
    items::{self, Item},
    keys::Key,
    retry::{Failed, Stale},
};

/// What a failed condition means. Where several fail at once the smallest counts: that it was done
/// before, for then the others may fail for no other reason; then a rule that is broken for good
/// before a mere change of what was read, and of the rules the one that the contracts check first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// The same request was granted before, and answered so.
    Answered(Answer),
    /// The request cannot be granted.
    Because(muster_domain::Error),
    /// What was read has changed: decide again.
    Outdated,
}

/// Tells what a failed condition means from the item it failed on, where there is one.
type Meaning<'t> = Box<dyn Fn(Option<&Item>) -> Refusal + Send + Sync + 't>;

/// The values of an expression, by placeholder.
pub(super) type Values = HashMap<String, AttributeValue>;

/// Up to 100 writes that happen together or not at all.
pub(super) struct Transaction<'t> {
    store: &'t Store,
    writes: Vec<TransactWriteItem>,
    meanings: Vec<Meaning<'t>>,
}

/// The most items DynamoDB takes in a transaction.
pub(super) const MAX_ITEMS: usize = 100;

impl<'t> Transaction<'t> {
    pub(super) fn new(store: &'t Store) -> Self {
        Self {
            store,
            writes: Vec::new(),
            meanings: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Writes a whole item.
    pub(super) fn put(
        &mut self,
        item: impl Serialize,
        condition: &str,
        values: Option<Values>,
        meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
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
            meaning,
        );
        Ok(())
    }

    /// Writes a whole item over what is there.
    pub(super) fn put_always(&mut self, item: impl Serialize) -> Result<(), Error> {
        let put = Put::builder()
            .table_name(&*self.store.table)
            .set_item(Some(items::to_item(item)?));
        self.push(
            TransactWriteItem::builder()
                .put(put.build().map_err(incomplete)?)
                .build(),
            |_| Refusal::Outdated,
        );
        Ok(())
    }

    /// Changes some of an item's attributes.
    pub(super) fn update(
        &mut self,
        key: &Key,
        update: &str,
        condition: Option<&str>,
        values: Values,
        meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
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
            meaning,
        );
        Ok(())
    }

    /// Deletes an item.
    pub(super) fn delete(
        &mut self,
        key: &Key,
        condition: Option<&str>,
        values: Option<Values>,
        meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
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
            meaning,
        );
        Ok(())
    }

    /// Checks an item that the transaction does not write.
    pub(super) fn check(
        &mut self,
        key: &Key,
        condition: &str,
        values: Option<Values>,
        meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
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
            meaning,
        );
        Ok(())
    }

    fn push(
        &mut self,
        write: TransactWriteItem,
        meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
    ) {
        self.writes.push(write);
        self.meanings.push(Box::new(meaning));
    }

    /// Commits. One round trip, and one more for each transient failure: every attempt carries the
    /// same token, so that a commit whose answer was lost is not made twice.
    pub(super) async fn commit(self) -> Result<(), Stale> {
        let Self {
            store,
            writes,
            meanings,
        } = self;
        debug_assert!(writes.len() <= MAX_ITEMS, "{} items", writes.len());
        let call = store
            .client
            .transact_write_items()
            .client_request_token(Uuid::new_v4().to_string())
            .set_transact_items(Some(writes));
        let canceled = match store.send_unless(|| call.clone().send(), is_conflict).await {
            Ok(_) => return Ok(()),
            Err(Failed::Answered(TransactWriteItemsError::TransactionCanceledException(
                canceled,
            ))) => canceled,
            Err(failed) => return Err(Stale::Error(failed.into())),
        };
        let refusal = canceled
            .cancellation_reasons()
            .iter()
            .zip(&meanings)
            .filter(|(reason, _)| reason.code() == Some(CONDITION_FAILED))
            .map(|(reason, meaning)| meaning(reason.item()))
            .min();
        Err(match refusal {
            Some(Refusal::Answered(answer)) => Stale::Error(Error::Answered(answer)),
            Some(Refusal::Because(error)) => error.into(),
            Some(Refusal::Outdated) => Stale::Outdated,
            None => Stale::Error(Error::internal(canceled)),
        })
    }
}

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// Whether a transaction was canceled by nothing but other writers or a lack of capacity. A failed
/// condition beside them is final all the same: it was checked against what is committed.
fn is_conflict(error: &TransactWriteItemsError) -> bool {
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

//! The cost of calls to the table: sequential round trips, and the capacity that the table reports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
            FinalizerInterceptorContextRef,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};

/// The calls by round trip. Calls of one round trip run concurrently.
#[derive(Debug, Default)]
pub struct ObservedCost {
    pub steps: Vec<Vec<String>>,
    in_flight: usize,
    /// Read units.
    pub read: f64,
    /// Write units.
    pub written: f64,
}

/// Records the calls of a client, and requests the report of the capacity that they consume.
#[derive(Debug, Clone, Default)]
pub struct CostMeter(Arc<Mutex<ObservedCost>>);

impl CostMeter {
    pub fn observed(&self) -> MutexGuard<'_, ObservedCost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the calls since the last reset, and resets the record.
    pub fn take(&self) -> ObservedCost {
        std::mem::take(&mut *self.observed())
    }
}

impl Intercept for CostMeter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let call = if input.downcast_ref::<GetItemInput>().is_some() {
            "GetItem".to_owned()
        } else if input.downcast_ref::<QueryInput>().is_some() {
            "Query".to_owned()
        } else if let Some(input) = input.downcast_ref::<BatchGetItemInput>() {
            let requested = input
                .request_items()
                .into_iter()
                .flat_map(|tables| tables.values());
            format!(
                "BatchGetItem({})",
                requested.map(|request| request.keys().len()).sum::<usize>()
            )
        } else if input.downcast_ref::<PutItemInput>().is_some() {
            "PutItem".to_owned()
        } else if input.downcast_ref::<UpdateItemInput>().is_some() {
            "UpdateItem".to_owned()
        } else if let Some(input) = input.downcast_ref::<TransactWriteItemsInput>() {
            format!("TransactWriteItems({})", input.transact_items().len())
        } else {
            return Err(format!("call without a known cost: {input:?}").into());
        };
        let mut observed = self.observed();
        if observed.in_flight == 0 {
            observed.steps.push(Vec::new());
        }
        observed.in_flight += 1;
        observed
            .steps
            .last_mut()
            .ok_or("no round trip has begun")?
            .push(call);
        Ok(())
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (input, report) = (context.input_mut(), Some(ReturnConsumedCapacity::Total));
        if let Some(input) = input.downcast_mut::<GetItemInput>() {
            input.return_consumed_capacity = report;
        } else if let Some(input) = input.downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = report;
        } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = report;
        } else if let Some(input) = input.downcast_mut::<PutItemInput>() {
            input.return_consumed_capacity = report;
        } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
            input.return_consumed_capacity = report;
        } else if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
            input.return_consumed_capacity = report;
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut observed = self.observed();
        observed.in_flight -= 1;
        let Some(Ok(output)) = context.output_or_error() else {
            return Ok(());
        };
        // GetItem and Query only read.
        let (mut read, mut written): (Vec<&ConsumedCapacity>, Vec<_>) = (Vec::new(), Vec::new());
        if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            read.extend(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
            read.extend(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            read.extend(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
            written.extend(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
            written.extend(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            written.extend(output.consumed_capacity());
        }
        if read.is_empty() && written.is_empty() {
            return Err("the table did not report what it consumed".into());
        }
        let units = |reported: Vec<&ConsumedCapacity>| {
            reported
                .iter()
                .filter_map(|c| c.capacity_units())
                .sum::<f64>()
        };
        observed.read += units(read);
        observed.written += units(written);
        Ok(())
    }
}

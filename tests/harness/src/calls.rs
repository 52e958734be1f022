//! The calls of a handler to the table: which ones, one after the other or concurrently, and the
//! capacity that they consume. Recorded calls can be sent again, without the handler.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{
    Client,
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
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use futures_util::future::try_join_all;

/// Defines [`Call`] over the operations of the store.
macro_rules! calls {
    ($($operation:ident, $input:ident, $output:ident, $units:ident, $saved:ident;)*) => {
        /// The input of a call to the table.
        #[derive(Debug, Clone)]
        enum Call {
            $($operation($input),)*
        }

        impl Call {
            fn of(context: &BeforeSerializationInterceptorContextRef<'_>) -> Option<Self> {
                $(if let Some(input) = context.input().downcast_ref::<$input>() {
                    return Some(Self::$operation(input.clone()));
                })*
                None
            }

            /// Returns the name of the operation, with the number of items if it has several.
            fn name(&self) -> String {
                match self {
                    $(Self::$operation(input) => {
                        let items = input.items().map_or_else(String::new, |n| format!("({n})"));
                        stringify!($operation).to_owned() + &items
                    })*
                }
            }

            fn saving(&self) -> Saving {
                match self {
                    $(Self::$operation(input) => input.saving(),)*
                }
            }
        }

        fn request_capacity(context: &mut BeforeSerializationInterceptorContextMut<'_>) {
            let input = context.input_mut();
            $(if let Some(input) = input.downcast_mut::<$input>() {
                input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            })*
        }

        fn add_capacity(
            context: &FinalizerInterceptorContextRef<'_>,
            saving: Saving,
            recorded: &mut Recorded,
        ) -> Result<(), BoxError> {
            let Some(Ok(output)) = context.output_or_error() else {
                return Ok(());
            };
            $(if let Some(output) = output.downcast_ref::<$output>() {
                let units = units(output.consumed_capacity())?;
                recorded.$units += units;
                recorded.$saved += saving.of(units);
                return Ok(());
            })*
            Err("an output of an operation that is not recorded".into())
        }
    };
}

calls! {
    GetItem, GetItemInput, GetItemOutput, read_units, saved_read_units;
    Query, QueryInput, QueryOutput, read_units, saved_read_units;
    BatchGetItem, BatchGetItemInput, BatchGetItemOutput, read_units, saved_read_units;
    PutItem, PutItemInput, PutItemOutput, write_units, saved_write_units;
    UpdateItem, UpdateItemInput, UpdateItemOutput, write_units, saved_write_units;
    TransactWriteItems, TransactWriteItemsInput, TransactWriteItemsOutput, write_units, saved_write_units;
}

/// Returns the capacity of a call: one report, or one for each table.
///
/// # Errors
/// The table did not report the capacity.
fn units<'r>(reports: impl IntoIterator<Item = &'r ConsumedCapacity>) -> Result<f64, &'static str> {
    let mut reports = reports.into_iter().peekable();
    if reports.peek().is_none() {
        return Err("the table did not report what it consumed");
    }
    let units = reports.filter_map(ConsumedCapacity::capacity_units);
    Ok(units.sum())
}

/// The capacity that a call would save with fewer guarantees.
#[derive(Debug, Clone, Copy)]
enum Saving {
    Nothing,
    /// An eventually consistent read costs half.
    Half,
    /// A transaction doubles the capacity of each item, here of at most 1 KB, and not that of its
    /// index entries.
    Items(f64),
}

impl Saving {
    fn of(self, units: f64) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Half => units / 2.0,
            Self::Items(items) => items,
        }
    }

    fn of_read(is_consistent: Option<bool>) -> Self {
        if is_consistent == Some(true) {
            Self::Half
        } else {
            Self::Nothing
        }
    }
}

impl Storable for Saving {
    type Storer = StoreReplace<Self>;
}

/// The input of a call, with the guarantees that it asks for.
trait Input {
    fn saving(&self) -> Saving;

    /// Returns the number of items of an operation over several items.
    fn items(&self) -> Option<usize> {
        None
    }
}

impl Input for GetItemInput {
    fn saving(&self) -> Saving {
        Saving::of_read(self.consistent_read)
    }
}

impl Input for QueryInput {
    fn saving(&self) -> Saving {
        Saving::of_read(self.consistent_read)
    }
}

impl Input for BatchGetItemInput {
    fn saving(&self) -> Saving {
        let mut requested = self.request_items.iter().flat_map(HashMap::values);
        Saving::of_read(requested.next().and_then(|keys| keys.consistent_read))
    }

    fn items(&self) -> Option<usize> {
        let requested = self.request_items.iter().flat_map(HashMap::values);
        Some(requested.map(|request| request.keys().len()).sum())
    }
}

impl Input for PutItemInput {
    fn saving(&self) -> Saving {
        Saving::Nothing
    }
}

impl Input for UpdateItemInput {
    fn saving(&self) -> Saving {
        Saving::Nothing
    }
}

impl Input for TransactWriteItemsInput {
    #[expect(clippy::cast_precision_loss, reason = "at most 100 items")]
    fn saving(&self) -> Saving {
        Saving::Items(self.transact_items().len() as f64)
    }

    fn items(&self) -> Option<usize> {
        Some(self.transact_items().len())
    }
}

impl Call {
    /// Returns the call to another table.
    fn in_table(mut self, table: &str) -> Self {
        let name = || Some(table.to_owned());
        match &mut self {
            Self::GetItem(input) => input.table_name = name(),
            Self::Query(input) => input.table_name = name(),
            Self::PutItem(input) => input.table_name = name(),
            Self::UpdateItem(input) => input.table_name = name(),
            Self::BatchGetItem(input) => {
                let requested = input.request_items.take().into_iter().flatten();
                let requested = requested.map(|(_, keys)| (table.to_owned(), keys));
                input.request_items = Some(requested.collect::<HashMap<_, _>>());
            }
            Self::TransactWriteItems(input) => {
                for item in input.transact_items.iter_mut().flatten() {
                    if let Some(put) = &mut item.put {
                        table.clone_into(&mut put.table_name);
                    }
                    if let Some(update) = &mut item.update {
                        table.clone_into(&mut update.table_name);
                    }
                    if let Some(delete) = &mut item.delete {
                        table.clone_into(&mut delete.table_name);
                    }
                    if let Some(check) = &mut item.condition_check {
                        table.clone_into(&mut check.table_name);
                    }
                }
            }
        }
        self
    }

    /// Sends the call.
    async fn send(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::GetItem(it) => drop(send_get(it, client).await?),
            Self::Query(it) => drop(send_query(it, client).await?),
            Self::UpdateItem(it) => drop(send_update(it, client).await?),
            Self::PutItem(it) => drop(
                PutItemInput::builder()
                    .set_table_name(it.table_name)
                    .set_item(it.item)
                    .set_condition_expression(it.condition_expression)
                    .set_expression_attribute_names(it.expression_attribute_names)
                    .set_expression_attribute_values(it.expression_attribute_values)
                    .set_return_values_on_condition_check_failure(
                        it.return_values_on_condition_check_failure,
                    )
                    .send_with(client)
                    .await?,
            ),
            Self::BatchGetItem(it) => drop(
                BatchGetItemInput::builder()
                    .set_request_items(it.request_items)
                    .send_with(client)
                    .await?,
            ),
            Self::TransactWriteItems(it) => drop(
                TransactWriteItemsInput::builder()
                    .set_transact_items(it.transact_items)
                    .send_with(client)
                    .await?,
            ),
        }
        Ok(())
    }
}

async fn send_get(it: GetItemInput, client: &Client) -> anyhow::Result<GetItemOutput> {
    let get = GetItemInput::builder()
        .set_table_name(it.table_name)
        .set_key(it.key)
        .set_consistent_read(it.consistent_read)
        .set_projection_expression(it.projection_expression)
        .set_expression_attribute_names(it.expression_attribute_names);
    Ok(get.send_with(client).await?)
}

async fn send_query(it: QueryInput, client: &Client) -> anyhow::Result<QueryOutput> {
    let query = QueryInput::builder()
        .set_table_name(it.table_name)
        .set_index_name(it.index_name)
        .set_select(it.select)
        .set_limit(it.limit)
        .set_consistent_read(it.consistent_read)
        .set_scan_index_forward(it.scan_index_forward)
        .set_exclusive_start_key(it.exclusive_start_key)
        .set_key_condition_expression(it.key_condition_expression)
        .set_filter_expression(it.filter_expression)
        .set_projection_expression(it.projection_expression)
        .set_expression_attribute_names(it.expression_attribute_names)
        .set_expression_attribute_values(it.expression_attribute_values);
    Ok(query.send_with(client).await?)
}

async fn send_update(it: UpdateItemInput, client: &Client) -> anyhow::Result<UpdateItemOutput> {
    let update = UpdateItemInput::builder()
        .set_table_name(it.table_name)
        .set_key(it.key)
        .set_update_expression(it.update_expression)
        .set_condition_expression(it.condition_expression)
        .set_expression_attribute_names(it.expression_attribute_names)
        .set_expression_attribute_values(it.expression_attribute_values)
        .set_return_values(it.return_values)
        .set_return_values_on_condition_check_failure(it.return_values_on_condition_check_failure);
    Ok(update.send_with(client).await?)
}

/// The recorded calls by round trip. Calls of one round trip ran concurrently.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    steps: Vec<Vec<Call>>,
    in_flight: usize,
    /// Read units.
    pub read_units: f64,
    /// Write units.
    pub write_units: f64,
    /// The part of `read_units` that eventually consistent reads would save.
    saved_read_units: f64,
    /// The part of `write_units` that writes without a transaction would save.
    saved_write_units: f64,
}

impl Recorded {
    /// Returns the names of the calls by round trip, such as `GetItem` and `BatchGetItem(3)`.
    #[must_use]
    pub fn names(&self) -> Vec<Vec<String>> {
        let names = |calls: &Vec<Call>| calls.iter().map(Call::name).collect();
        self.steps.iter().map(names).collect()
    }

    /// Returns the number of round trips, one after the other.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub fn round_trips(&self) -> f64 {
        self.steps.len() as f64
    }

    /// Returns the number of calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub fn calls(&self) -> f64 {
        self.steps.iter().map(Vec::len).sum::<usize>() as f64
    }

    /// Returns the read units of the same reads with eventual consistency.
    #[must_use]
    pub fn floor_read_units(&self) -> f64 {
        self.read_units - self.saved_read_units
    }

    /// Returns the write units of the same writes without transactions.
    #[must_use]
    pub fn floor_write_units(&self) -> f64 {
        self.write_units - self.saved_write_units
    }

    /// Returns the calls to another table.
    #[must_use]
    pub fn in_table(self, table: &str) -> Self {
        let steps = self.steps.into_iter();
        let steps = steps.map(|calls| calls.into_iter().map(|call| call.in_table(table)).collect());
        Self {
            steps: steps.collect(),
            ..self
        }
    }

    /// Sends the calls again, in the recorded order.
    ///
    /// # Errors
    /// A call fails.
    pub async fn replay(self, client: &Client) -> anyhow::Result<()> {
        for calls in self.steps {
            try_join_all(calls.into_iter().map(|call| call.send(client))).await?;
        }
        Ok(())
    }
}

/// Records the calls of a client, and requests the report of the capacity that they consume.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

impl Recorder {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the calls since the last time, and forgets them.
    #[expect(
        clippy::must_use_candidate,
        reason = "a caller may only reset the record"
    )]
    pub fn take(&self) -> Recorded {
        std::mem::take(&mut *self.recorded())
    }
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = Call::of(context)
            .ok_or_else(|| format!("call without a known cost: {:?}", context.input()))?;
        // The input is consumed before the capacity is known.
        bag.interceptor_state().store_put(call.saving());
        let mut recorded = self.recorded();
        if recorded.in_flight == 0 {
            recorded.steps.push(Vec::new());
        }
        recorded.in_flight += 1;
        let step = recorded.steps.last_mut().ok_or("no round trip has begun")?;
        step.push(call);
        Ok(())
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        request_capacity(context);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let saving = bag.load::<Saving>().copied().unwrap_or(Saving::Nothing);
        let mut recorded = self.recorded();
        recorded.in_flight -= 1;
        add_capacity(context, saving, &mut recorded)
    }
}

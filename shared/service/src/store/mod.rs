//! The one DynamoDB table, and everything that is read from it or written to it.
//!
//! One file per group of accesses; `keys` builds every key, `items` converts every item. An
//! invariant that spans items is a transaction whose conditions carry it. What is transient
//! (conflicts, throttling, faults of the service or of the network) is retried with full jitter for
//! as long as the request has time; see [`Table::until`].

mod api_keys;
mod decisions;
mod desks;
mod expression;
mod idempotency;
mod issuers;
mod items;
mod keys;
mod leads;
mod lists;
mod members;
mod organizations;
mod passes;
mod rates;
mod retry;
mod specialists;
mod specializations;
mod stream;
mod teams;
mod tickets;
mod transaction;
mod users;
mod work;

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    operation::{query::builders::QueryFluentBuilder, update_item::UpdateItemError},
    types::ReturnValuesOnConditionCheckFailure,
};
use futures_util::{StreamExt, TryStreamExt, stream::iter};
use tokio::time::Instant;

pub use idempotency::Answer;
pub use members::OnLead;
pub use passes::{Lease, Released};
pub use retry::Error;
pub(crate) use retry::Stale;
pub use stream::{StreamRecord, organization_of};
pub use teams::OnOpenTickets;
pub use tickets::Tickets;
pub use users::CopiedPage;
pub use work::{Gone, Marked, Page, TicketList, Unfinished};

/// A DynamoDB table, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
}

impl Table {
    /// The table of this name.
    ///
    /// The client's own retries should be off, so that they do not multiply with the store's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// What the table keeps, for work that has to be done by `deadline`: when it passes, what is
    /// still being retried is [`Unavailable`](Error::Unavailable).
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Store {
        Store {
            client: self.client.clone(),
            table: Arc::clone(&self.name),
            deadline,
        }
    }
}

/// What the table keeps, and how long there is to work on it.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    deadline: Instant,
}

impl Store {
    /// Opens a connection and resolves credentials before the first request needs them, by reading
    /// an item that does not exist. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.get(&keys::nothing()).await.map(drop)
    }

    /// Reads one item, strongly consistent. One round trip.
    async fn get(&self, key: &keys::Key) -> Result<Option<items::Item>, Error> {
        let call = self
            .client
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true);
        let output = self.send(|| call.clone().send()).await?;
        Ok(output.item)
    }

    /// Makes a query to its end. One round trip a megabyte.
    async fn query_all(&self, call: QueryFluentBuilder) -> Result<Vec<items::Item>, Error> {
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

    /// Updates an item if a condition holds, and else leaves it as it is. One round trip.
    async fn update_if(
        &self,
        key: &keys::Key,
        update: &str,
        condition: &str,
        values: transaction::Values,
    ) -> Result<(), Error> {
        self.update_unless(key, update, condition, values)
            .await
            .map(drop)
    }

    /// Updates an item if a condition holds. Returns the item as it is if the condition fails and
    /// there is one. One round trip.
    async fn update_unless(
        &self,
        key: &keys::Key,
        update: &str,
        condition: &str,
        values: transaction::Values,
    ) -> Result<Option<items::Item>, Error> {
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([update, condition]))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.send(|| call.clone().send()).await {
            Ok(_) => Ok(None),
            Err(retry::Failed::Answered(UpdateItemError::ConditionalCheckFailedException(
                refused,
            ))) => Ok(refused.item),
            Err(failed) => Err(failed.into()),
        }
    }
}

/// How many calls for one purpose are under way at once.
const AT_ONCE: usize = 25;

/// Awaits calls, [`AT_ONCE`] at a time; the first that fails fails all.
async fn a_few_at_a_time<T>(
    calls: Vec<impl Future<Output = Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    iter(calls).buffer_unordered(AT_ONCE).try_collect().await
}

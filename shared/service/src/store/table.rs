//! The handles of the DynamoDB table: [`Table`] for the process, [`Store`] for one request.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use tokio::time::Instant;

use super::stock_marks::StockMarks;

/// A DynamoDB table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
    /// Shared by all invocations of an instance.
    stock_marks: Arc<StockMarks>,
}

impl Table {
    /// Returns the handle of the table with this name.
    ///
    /// The client's own retries should be off, so that they do not multiply with the store's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            name: name.into(),
            stock_marks: Arc::new(StockMarks::new()),
        }
    }

    /// Returns the accesses to the table for work that has to end by `deadline`.
    ///
    /// An access that is still being retried at the deadline fails with
    /// [`Unavailable`](super::Error::Unavailable).
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Store {
        Store {
            client: self.client.clone(),
            table: Arc::clone(&self.name),
            stock_marks: Arc::clone(&self.stock_marks),
            deadline,
        }
    }
}

/// The accesses to the table, with the deadline of the work that needs them.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) client: Client,
    pub(super) table: Arc<str>,
    pub(super) stock_marks: Arc<StockMarks>,
    pub(super) deadline: Instant,
}

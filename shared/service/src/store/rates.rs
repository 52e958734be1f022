//! How many requests a subject made in a clock minute, over all instances.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use tokio::time::{Instant, timeout_at};

use super::{Error, Store, error::DeadlineExceeded, expression, expression::n, items, keys};
use crate::aws_error::is_transient;
use muster_domain::Subject;

impl Store {
    /// How long a count is waited for: a request takes as long that finds the table slow or out of
    /// reach.
    const COUNT_TIMEOUT: Duration = Duration::from_millis(500);

    /// For how many minutes a count is kept: far longer than the clocks of two instances are apart.
    const MINUTES_COUNTED: i64 = 5;

    /// Counts requests that a subject made in a clock minute and tells how many that makes. One
    /// round trip, which takes half a second at most and is never tried again: what is added twice
    /// would count requests that nobody made.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`]; the requests may be counted or not.
    pub async fn count_requests(
        &self,
        subject: Subject,
        minute: i64,
        requests: u64,
    ) -> Result<u64, Error> {
        let update = "ADD #requests :requests SET #expires_at = :expires_at";
        // The table's TTL attribute, in seconds.
        let expires_at = (minute + Self::MINUTES_COUNTED) * 60;
        let values =
            expression::values([(":requests", n(requests)), (":expires_at", n(expires_at))]);
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::rate(subject, minute).attributes()))
            .update_expression(update)
            .set_expression_attribute_names(expression::names([update]))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::UpdatedNew);
        let deadline = self.deadline.min(Instant::now() + Self::COUNT_TIMEOUT);
        let response = timeout_at(deadline, call.send())
            .await
            .map_err(|_| Error::Unavailable(Box::new(DeadlineExceeded)))?;
        let output = response.map_err(|error| {
            if is_transient(&error) {
                Error::Unavailable(Box::new(error))
            } else {
                Error::internal(error)
            }
        })?;
        items::request_count(output.attributes.unwrap_or_default())
    }
}

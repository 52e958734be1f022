//! Request counts: the requests of a subject in a clock minute, over all execution environments.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use tokio::time::{Instant, timeout_at};

use super::{Error, Store, error::DeadlineExceeded, expression, expression::n, items, keys};
use crate::aws_error::is_transient;
use muster_domain::Subject;

impl Store {
    /// The most time that a report may add to its request, if the table is slow or out of reach.
    const COUNT_TIMEOUT: Duration = Duration::from_millis(500);

    /// The lifetime of a count in minutes. It is far longer than the clock difference of two
    /// execution environments.
    const MINUTES_COUNTED: i64 = 5;

    /// Adds requests to the count of a subject in a clock minute and returns the sum.
    ///
    /// One round trip, which takes at most half a second and is never retried: `ADD` is not
    /// idempotent, so a retry might count requests twice.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`]. The requests may be counted or not.
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

//! The stock of unrouted tickets: its count, and the mark by which the schedule finds the
//! organizations that have some.
//!
//! The schedule has no list of organizations. So each write of an unrouted ticket first marks the
//! organization, at most once an hour in each instance. The schedule removes the mark of an
//! organization without unrouted tickets once the mark is two hours old.
//!
//! No organization with unrouted tickets loses its mark. An instance relies on a mark for an hour.
//! So a ticket that relies on a mark of two hours was written at least an hour ago, and the count
//! includes it: the index lags by seconds. A ticket that was written later has a later mark. That
//! mark precedes the removal and fails its condition, or it follows the removal and sets the mark
//! again.

use std::time::Duration;

use aws_sdk_dynamodb::types::Select;

use super::{
    Error, Store,
    expression::{self, n},
    keys,
    pending_work::{MARK, mark_values},
};
use muster_domain::{OrganizationId, Timestamp};

/// The age from which the schedule removes a mark. It exceeds the lifetime by more than the
/// difference of two clocks, the duration of an invocation and the lag of the index.
const REMOVABLE_AFTER: Duration = Duration::from_hours(2);
/// The most pages of a count.
const MAX_PAGES: usize = 20;

/// The number of an organization's unrouted tickets, as the index shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnroutedCount {
    /// The number of tickets.
    pub tickets: u64,
    /// True if the count read all pages. Otherwise there are at least this many tickets.
    pub is_complete: bool,
}

impl Store {
    /// Marks an organization that is about to have an unrouted ticket, unless this instance did so
    /// within the hour. Called before the write of the ticket: after it, a crash could leave a
    /// ticket without a mark. One round trip, or none.
    ///
    /// The entry in the index keeps its time, so that a new mark costs no write of the index.
    pub(super) async fn mark_stock(
        &self,
        org: &OrganizationId,
        now: Timestamp,
    ) -> Result<(), Error> {
        if self.stock_marks.is_marked(org, now) {
            return Ok(());
        }
        let key = keys::stock(org);
        let update = format!("SET #marked_at = :now, {MARK}");
        let mut values = expression::values([(":now", n(now.millis()))]);
        values.extend(
            mark_values(&key, now).map(|(placeholder, value)| (placeholder.to_owned(), value)),
        );
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .set_expression_attribute_names(expression::names([&*update]))
            .update_expression(update)
            .set_expression_attribute_values(Some(values));
        self.send(|| call.clone().send()).await?;
        self.stock_marks.add(org, now);
        Ok(())
    }

    /// Removes the mark of an organization without unrouted tickets, if it is old enough. A failed
    /// condition is no error: the mark is younger, or it is removed. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn remove_stock_mark(
        &self,
        org: &OrganizationId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let age = i64::try_from(REMOVABLE_AFTER.as_millis()).unwrap_or(i64::MAX);
        self.update_if(
            &keys::stock(org),
            "REMOVE #gsi1pk, #gsi1sk",
            "attribute_exists(#gsi1pk) AND #marked_at <= :before",
            expression::values([(":before", n(now.millis().saturating_sub(age)))]),
        )
        .await
        .map(drop)
    }

    /// Counts the unrouted tickets of an organization in the index, eventually consistent. One
    /// round trip for each page of up to `page` entries and 1 MB, at most 20.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn count_unrouted(
        &self,
        org: &OrganizationId,
        page: usize,
    ) -> Result<UnroutedCount, Error> {
        let call = self
            .index_query(keys::unrouted_partition(org))
            .select(Select::Count)
            .limit(i32::try_from(page).unwrap_or(i32::MAX));
        let (mut tickets, mut start) = (0, None);
        for _ in 0..MAX_PAGES {
            let page = self
                .send(|| call.clone().set_exclusive_start_key(start.clone()).send())
                .await?;
            tickets += u64::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(UnroutedCount {
            tickets,
            is_complete: start.is_none(),
        })
    }
}

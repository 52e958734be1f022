//! Publishing announcements on an EventBridge bus.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use aws_sdk_eventbridge::{
    Client,
    error::DisplayErrorContext,
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use tokio::time::Instant;

use crate::{
    aws::backoff::Backoff,
    aws_error::{self, Rejection},
};
use muster_contracts::events::outbound::{Announcement, SOURCE};

/// An EventBridge bus, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

/// Announcements that could not be published by the deadline. EventBridge may have accepted some of
/// them, so a retry can publish an announcement twice.
#[derive(Debug, thiserror::Error)]
#[error("{} announcements could not be published: {cause}", announcements.len() + invalid.len())]
pub struct PublishError {
    /// The positions of the announcements that EventBridge may accept later, in order.
    pub announcements: Vec<usize>,
    /// The positions that EventBridge never accepts, each with the reason.
    pub invalid: BTreeMap<usize, String>,
    cause: String,
}

impl Bus {
    /// The most entries of one call.
    const MAX_BATCH: usize = 10;
    /// The most bytes of all entries of one call. AWS documents "less than 256 KB" for one entry
    /// and for all; this value is below by either reading. The largest announcement is far smaller:
    /// the longest description, escaped, takes 60 KB.
    const MAX_BATCH_BYTES: usize = 255_000;

    /// Returns the bus with a name.
    ///
    /// The client's own retries should be off, because they multiply with the bus's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Publishes announcements, those of one record in order. Retries those that failed with a
    /// transient error until the deadline. An accepted announcement is not sent again. A rejected
    /// one blocks later announcements of its record, unless it is invalid.
    ///
    /// Costs one call for up to ten announcements of different records. Calls are sequential.
    ///
    /// # Errors
    /// The announcements that EventBridge did not accept by the deadline, or never accepts.
    pub async fn publish(
        &self,
        announcements: &[Announcement],
        deadline: Instant,
    ) -> Result<(), PublishError> {
        let mut left: Vec<usize> = (0..announcements.len()).collect();
        let mut invalid = BTreeMap::new();
        let mut cause = String::new();
        let mut rejected_permanently = HashSet::new();
        let mut backoff = Backoff::until(deadline);
        loop {
            let mut blocked = rejected_permanently.clone();
            loop {
                let batch = next_batch(announcements, &left, &blocked);
                if batch.is_empty() {
                    break;
                }
                let rejected = self.put(announcements, &batch, deadline).await;
                left.retain(|position| {
                    !batch.contains(position) || rejected.contains_key(position)
                });
                for (position, (rejection, why)) in rejected {
                    let record = announcements[position].record.as_str();
                    cause.clone_from(&why);
                    match rejection {
                        Rejection::Transient => {
                            blocked.insert(record);
                        }
                        Rejection::Caller => {
                            blocked.insert(record);
                            rejected_permanently.insert(record);
                        }
                        Rejection::Invalid => {
                            left.retain(|&other| other != position);
                            invalid.insert(position, why);
                        }
                    }
                }
            }
            if left.is_empty() && invalid.is_empty() {
                return Ok(());
            }
            let is_final = left
                .iter()
                .all(|&position| rejected_permanently.contains(&*announcements[position].record));
            if is_final || !backoff.pause().await {
                return Err(PublishError {
                    announcements: left,
                    invalid,
                    cause,
                });
            }
        }
    }

    /// Sends a batch in one call. Returns the announcements that EventBridge did not accept, each
    /// with the reason.
    ///
    /// If EventBridge rejects the whole call as invalid, each announcement is sent in a call of its
    /// own: one invalid announcement must not fail the others.
    async fn put(
        &self,
        announcements: &[Announcement],
        batch: &[usize],
        deadline: Instant,
    ) -> Rejected {
        let entries = batch
            .iter()
            .map(|&position| self.entry(&announcements[position]))
            .collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let (rejection, cause) = match tokio::time::timeout_at(deadline, call).await {
            Ok(Ok(response)) => {
                // The response has one result for each entry, in the order of the entries.
                let mut results = response.entries().iter();
                let rejected = batch
                    .iter()
                    .map(|&position| Some((position, rejection(results.next())?)));
                return rejected.flatten().collect();
            }
            Ok(Err(error)) => (
                aws_error::rejection(&error, INVALID_CALL),
                DisplayErrorContext(error).to_string(),
            ),
            Err(_) => (
                Rejection::Transient,
                "EventBridge did not respond in time".to_owned(),
            ),
        };
        if rejection == Rejection::Invalid && batch.len() > 1 {
            let mut rejected = Rejected::new();
            for position in batch {
                rejected.extend(Box::pin(self.put(announcements, &[*position], deadline)).await);
            }
            return rejected;
        }
        batch
            .iter()
            .map(|&position| (position, (rejection, cause.clone())))
            .collect()
    }

    fn entry(&self, announcement: &Announcement) -> PutEventsRequestEntry {
        let Announcement {
            record: _,
            kind,
            at,
            event,
        } = announcement;
        PutEventsRequestEntry::builder()
            .event_bus_name(&*self.name)
            .source(SOURCE)
            .detail_type(*kind)
            .time(DateTime::from_millis(at.millis()))
            .detail(event)
            .build()
    }
}

/// Announcements that EventBridge did not accept, by position, each with the reason.
type Rejected = HashMap<usize, (Rejection, String)>;

/// The error codes of a call with an invalid entry.
const INVALID_CALL: &[&str] = &[
    "InvalidArgument",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ValidationException",
];

/// Classifies the result of an announcement. `None` if EventBridge accepted it. A missing result is
/// a transient error. AWS: `PutEventsResultEntry`,
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>.
fn rejection(result: Option<&PutEventsResultEntry>) -> Option<(Rejection, String)> {
    let Some(result) = result else {
        return Some((
            Rejection::Transient,
            "the response of EventBridge has no result for the event".to_owned(),
        ));
    };
    let code = result.error_code()?;
    let rejection = match code {
        "InvalidArgument" | "MalformedDetail" => Rejection::Invalid,
        "AccessDeniedException"
        | "InvalidAccountIdException"
        | "RedactionFailure"
        | "NotAuthorizedForSourceException"
        | "NotAuthorizedForDetailTypeException" => Rejection::Caller,
        _ => Rejection::Transient,
    };
    Some((
        rejection,
        format!("{code}: {}", result.error_message().unwrap_or_default()),
    ))
}

/// Returns the positions of the next call: the first announcement of each record, within the limits
/// of one call.
///
/// A call never has two announcements of one record: EventBridge could accept the second and reject
/// the first, which breaks their order.
fn next_batch(
    announcements: &[Announcement],
    left: &[usize],
    blocked: &HashSet<&str>,
) -> Vec<usize> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut taken = HashSet::new();
    for &position in left {
        let announcement = &announcements[position];
        let record = announcement.record.as_str();
        if blocked.contains(record) || !taken.insert(record) {
            continue;
        }
        bytes += size(announcement);
        if batch.len() == Bus::MAX_BATCH || (bytes > Bus::MAX_BATCH_BYTES && !batch.is_empty()) {
            break;
        }
        batch.push(position);
    }
    batch
}

/// Returns the size that EventBridge counts, in bytes: 14 for the time, then the source, the type
/// and the event.
fn size(announcement: &Announcement) -> usize {
    let Announcement {
        record: _,
        kind,
        at: _,
        event,
    } = announcement;
    14 + SOURCE.len() + kind.len() + event.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::Timestamp;

    fn announcement(record: &str, bytes: usize) -> Announcement {
        Announcement {
            record: record.to_owned(),
            kind: "team.updated",
            at: Timestamp::from_secs(0),
            event: "x".repeat(bytes),
        }
    }

    /// Returns the batches of all calls if every call succeeds.
    fn batches(announcements: &[Announcement]) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = (0..announcements.len()).collect();
        let mut batches = Vec::new();
        while !left.is_empty() {
            let batch = next_batch(announcements, &left, &HashSet::new());
            left.retain(|position| !batch.contains(position));
            batches.push(batch);
        }
        batches
    }

    #[test]
    fn batches_keep_order_and_both_limits() {
        let small: Vec<_> = (0..23).map(|n| announcement(&n.to_string(), 1)).collect();
        assert_eq!(
            batches(&small).iter().map(Vec::len).collect::<Vec<_>>(),
            [10, 10, 3]
        );
        assert_eq!(batches(&small).concat(), (0..23).collect::<Vec<_>>());

        let large: Vec<_> = (0..6)
            .map(|n| announcement(&n.to_string(), 60_000))
            .collect();
        assert_eq!(batches(&large), [vec![0, 1, 2, 3], vec![4, 5]]);
    }

    #[test]
    fn batch_has_one_announcement_of_a_record() {
        let records = ["a", "b", "a", "c", "a"].map(|record| announcement(record, 1));
        assert_eq!(batches(&records), [vec![0, 1, 3], vec![2], vec![4]]);
    }

    #[test]
    fn blocked_record_does_not_block_others() {
        let records = ["a", "b", "a", "c"].map(|record| announcement(record, 1));
        assert_eq!(
            next_batch(&records, &[0, 1, 2, 3], &HashSet::from(["a"])),
            [1, 3]
        );
    }
}

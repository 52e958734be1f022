//! Announcing on an EventBridge bus.

use std::{
    collections::{HashMap, HashSet},
    fmt,
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
    backoff::{Backoff, is_transient},
    wire::announcements::{Announcement, SOURCE},
};

/// An EventBridge bus, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

/// What could not be published by the deadline. A part may have been, so whoever publishes again may publish twice.
#[derive(Debug)]
pub struct NotPublished {
    /// The positions of the announcements that may not have been taken, in order.
    pub announcements: Vec<usize>,
    cause: String,
}

impl fmt::Display for NotPublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} announcements could not be published: {}", self.announcements.len(), self.cause)
    }
}

impl std::error::Error for NotPublished {}

impl Bus {
    /// The most entries that EventBridge takes in one call.
    const MAX_BATCH: usize = 10;
    /// The most bytes of all entries of one call. The documents say "less than 256 KB", of one entry or of all; this is less by
    /// any reading. One announcement never comes near: the longest description, escaped, is 60 KB.
    const MAX_BATCH_BYTES: usize = 255_000;

    /// The bus of this name.
    ///
    /// The client's own retries should be off, so that they do not multiply with the bus's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self { client, name: name.into() }
    }

    /// Publishes announcements, in order for each record, and again what EventBridge refused for the moment, until the
    /// deadline. What was taken is not sent again; what is refused holds back only what is about the same record.
    ///
    /// One call for up to ten announcements about different records, one after another.
    ///
    /// # Errors
    /// Those that were not taken by then, or that EventBridge will never take.
    pub async fn publish(&self, announcements: &[Announcement], deadline: Instant) -> Result<(), NotPublished> {
        let mut left: Vec<usize> = (0..announcements.len()).collect();
        let mut cause = String::new();
        let mut final_refusals = HashSet::new();
        let mut backoff = Backoff::until(deadline);
        loop {
            let mut held_back = final_refusals.clone();
            loop {
                let batch = next_batch(announcements, &left, &held_back);
                if batch.is_empty() {
                    break;
                }
                let refused = self.put(announcements, &batch, deadline, &mut cause).await;
                left.retain(|position| !batch.contains(position) || refused.contains_key(position));
                for (position, refusal) in refused {
                    let record = announcements[position].record.as_str();
                    held_back.insert(record);
                    if refusal == Refusal::Final {
                        final_refusals.insert(record);
                    }
                }
            }
            let hopeless = left.iter().all(|&position| final_refusals.contains(&*announcements[position].record));
            if left.is_empty() {
                return Ok(());
            }
            if hopeless || !backoff.pause().await {
                return Err(NotPublished { announcements: left, cause });
            }
        }
    }

    /// Makes one call, and gives those of the batch that were not taken.
    async fn put(
        &self,
        announcements: &[Announcement],
        batch: &[usize],
        deadline: Instant,
        cause: &mut String,
    ) -> HashMap<usize, Refusal> {
        let entries = batch.iter().map(|&position| self.entry(&announcements[position])).collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let refusal_of_all = match tokio::time::timeout_at(deadline, call).await {
            Ok(Ok(answer)) => {
                // One result for each entry, in their order.
                let mut results = answer.entries().iter();
                let mut refused = HashMap::new();
                for &position in batch {
                    if let Some(refusal) = refusal(results.next(), cause) {
                        refused.insert(position, refusal);
                    }
                }
                return refused;
            }
            Ok(Err(error)) => {
                let refusal = if is_transient(&error) { Refusal::ForNow } else { Refusal::Final };
                *cause = DisplayErrorContext(error).to_string();
                refusal
            }
            Err(_) => {
                "EventBridge did not answer in time".clone_into(cause);
                Refusal::ForNow
            }
        };
        batch.iter().map(|&position| (position, refusal_of_all)).collect()
    }

    fn entry(&self, announcement: &Announcement) -> PutEventsRequestEntry {
        let Announcement { record: _, kind, at, event } = announcement;
        PutEventsRequestEntry::builder()
            .event_bus_name(&*self.name)
            .source(SOURCE)
            .detail_type(*kind)
            .time(DateTime::from_millis(at.millis()))
            .detail(event)
            .build()
    }
}

/// Why an announcement was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It may be taken the next time.
    ForNow,
    /// It never will be.
    Final,
}

/// Whether, by its result, an announcement was not taken. An answer without a result for it has not said that it was.
fn refusal(result: Option<&PutEventsResultEntry>, cause: &mut String) -> Option<Refusal> {
    let Some(result) = result else {
        "EventBridge answered for fewer than it was sent".clone_into(cause);
        return Some(Refusal::ForNow);
    };
    let code = result.error_code()?;
    *cause = format!("{code}: {}", result.error_message().unwrap_or_default());
    Some(match code {
        "AccessDeniedException"
        | "InvalidAccountIdException"
        | "InvalidArgument"
        | "MalformedDetail"
        | "RedactionFailure"
        | "NotAuthorizedForSourceException"
        | "NotAuthorizedForDetailTypeException" => Refusal::Final,
        _ => Refusal::ForNow,
    })
}

/// The next of the positions that go into one call: the first about each record, as many as EventBridge takes.
///
/// Two about one record in one call could end with the second taken and the first refused.
fn next_batch(announcements: &[Announcement], left: &[usize], held_back: &HashSet<&str>) -> Vec<usize> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut taken = HashSet::new();
    for &position in left {
        let announcement = &announcements[position];
        let record = announcement.record.as_str();
        if held_back.contains(record) || !taken.insert(record) {
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

/// What EventBridge counts for an announcement: 14 bytes for the time, the source, the type and the event.
fn size(announcement: &Announcement) -> usize {
    let Announcement { record: _, kind, at: _, event } = announcement;
    14 + SOURCE.len() + kind.len() + event.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn about(record: &str, bytes: usize) -> Announcement {
        Announcement {
            record: record.to_owned(),
            kind: "team.updated",
            at: Timestamp::from_secs(0),
            event: "x".repeat(bytes),
        }
    }

    /// Cuts everything, as if every call were taken.
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
        let small: Vec<_> = (0..23).map(|n| about(&n.to_string(), 1)).collect();
        assert_eq!(batches(&small).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
        assert_eq!(batches(&small).concat(), (0..23).collect::<Vec<_>>());

        let large: Vec<_> = (0..6).map(|n| about(&n.to_string(), 60_000)).collect();
        assert_eq!(batches(&large), [vec![0, 1, 2, 3], vec![4, 5]]);
    }

    #[test]
    fn no_call_holds_two_about_one_record() {
        let records = ["a", "b", "a", "c", "a"].map(|record| about(record, 1));
        assert_eq!(batches(&records), [vec![0, 1, 3], vec![2], vec![4]]);
    }

    #[test]
    fn what_is_held_back_holds_back_its_record_alone() {
        let records = ["a", "b", "a", "c"].map(|record| about(record, 1));
        assert_eq!(next_batch(&records, &[0, 1, 2, 3], &HashSet::from(["a"])), [1, 3]);
    }
}

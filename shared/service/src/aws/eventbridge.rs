//! Announcing on an EventBridge bus.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
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
    aws::backoff::Backoff,
    aws_error::{self, Refusal},
};
use muster_contracts::announcements::{Announcement, SOURCE};

/// An EventBridge bus, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

/// The announcements that could not be published by the deadline. A part may have been, so a retry
/// may publish twice.
#[derive(Debug)]
pub struct PublishError {
    /// The positions of the announcements that EventBridge may take later, in order.
    pub announcements: Vec<usize>,
    /// The announcements that EventBridge never takes, by position, each with the reason.
    pub invalid: BTreeMap<usize, String>,
    cause: String,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.announcements.len() + self.invalid.len();
        write!(
            f,
            "{count} announcements could not be published: {}",
            self.cause
        )
    }
}

impl std::error::Error for PublishError {}

impl Bus {
    /// The most entries that EventBridge takes in one call.
    const MAX_BATCH: usize = 10;
    /// The most bytes of all entries of one call. The documents say "less than 256 KB", of one
    /// entry or of all; this is less by any reading. One announcement never comes near: the longest
    /// description, escaped, is 60 KB.
    const MAX_BATCH_BYTES: usize = 255_000;

    /// The bus of this name.
    ///
    /// The client's own retries should be off, so that they do not multiply with the bus's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Publishes announcements, in order for each record, and again those that EventBridge refused
    /// for the moment, until the deadline. An announcement that was taken is not sent again. One
    /// that is refused holds back the others of its record, unless it is invalid.
    ///
    /// One call for up to ten announcements about different records, one after another.
    ///
    /// # Errors
    /// Those that were not taken by then, or that EventBridge never takes.
    pub async fn publish(
        &self,
        announcements: &[Announcement],
        deadline: Instant,
    ) -> Result<(), PublishError> {
        let mut left: Vec<usize> = (0..announcements.len()).collect();
        let mut invalid = BTreeMap::new();
        let mut cause = String::new();
        let mut refused_for_long = HashSet::new();
        let mut backoff = Backoff::until(deadline);
        loop {
            let mut held_back = refused_for_long.clone();
            loop {
                let batch = next_batch(announcements, &left, &held_back);
                if batch.is_empty() {
                    break;
                }
                let refused = self.put(announcements, &batch, deadline).await;
                left.retain(|position| !batch.contains(position) || refused.contains_key(position));
                for (position, (refusal, why)) in refused {
                    let record = announcements[position].record.as_str();
                    cause.clone_from(&why);
                    match refusal {
                        Refusal::ForNow => {
                            held_back.insert(record);
                        }
                        Refusal::Caller => {
                            held_back.insert(record);
                            refused_for_long.insert(record);
                        }
                        Refusal::Invalid => {
                            left.retain(|&other| other != position);
                            invalid.insert(position, why);
                        }
                    }
                }
            }
            if left.is_empty() && invalid.is_empty() {
                return Ok(());
            }
            let hopeless = left
                .iter()
                .all(|&position| refused_for_long.contains(&*announcements[position].record));
            if hopeless || !backoff.pause().await {
                return Err(PublishError {
                    announcements: left,
                    invalid,
                    cause,
                });
            }
        }
    }

    /// Makes one call, and gives those of the batch that were not taken, each with the reason.
    /// Where EventBridge refuses the whole call as invalid, each announcement goes in a call of its
    /// own, so that one does not stand for the others.
    async fn put(
        &self,
        announcements: &[Announcement],
        batch: &[usize],
        deadline: Instant,
    ) -> Refused {
        let entries = batch
            .iter()
            .map(|&position| self.entry(&announcements[position]))
            .collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let (refusal, cause) = match tokio::time::timeout_at(deadline, call).await {
            Ok(Ok(response)) => {
                // One result for each entry, in their order.
                let mut results = response.entries().iter();
                let refused = batch
                    .iter()
                    .map(|&position| Some((position, refusal(results.next())?)));
                return refused.flatten().collect();
            }
            Ok(Err(error)) => (
                aws_error::refusal(&error, INVALID_CALL),
                DisplayErrorContext(error).to_string(),
            ),
            Err(_) => (
                Refusal::ForNow,
                "EventBridge did not answer in time".to_owned(),
            ),
        };
        if refusal == Refusal::Invalid && batch.len() > 1 {
            let mut refused = Refused::new();
            for position in batch {
                refused.extend(Box::pin(self.put(announcements, &[*position], deadline)).await);
            }
            return refused;
        }
        batch
            .iter()
            .map(|&position| (position, (refusal, cause.clone())))
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

/// Announcements that were not taken, by position, each with the reason.
type Refused = HashMap<usize, (Refusal, String)>;

/// The codes of a call that EventBridge refuses for an entry of it.
const INVALID_CALL: &[&str] = &[
    "InvalidArgument",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ValidationException",
];

/// The refusal of an announcement by its result, if it was not taken. A response without a result
/// for it has not said that it was. AWS: `PutEventsResultEntry`,
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>.
fn refusal(result: Option<&PutEventsResultEntry>) -> Option<(Refusal, String)> {
    let Some(result) = result else {
        return Some((
            Refusal::ForNow,
            "EventBridge answered for fewer than it was sent".to_owned(),
        ));
    };
    let code = result.error_code()?;
    let refusal = match code {
        "InvalidArgument" | "MalformedDetail" => Refusal::Invalid,
        "AccessDeniedException"
        | "InvalidAccountIdException"
        | "RedactionFailure"
        | "NotAuthorizedForSourceException"
        | "NotAuthorizedForDetailTypeException" => Refusal::Caller,
        _ => Refusal::ForNow,
    };
    Some((
        refusal,
        format!("{code}: {}", result.error_message().unwrap_or_default()),
    ))
}

/// The next of the positions that go into one call: the first about each record, as many as
/// EventBridge takes.
///
/// Two about one record in one call could end with the second taken and the first refused.
fn next_batch(
    announcements: &[Announcement],
    left: &[usize],
    held_back: &HashSet<&str>,
) -> Vec<usize> {
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

/// What EventBridge counts for an announcement: 14 bytes for the time, the source, the type and the
/// event.
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
        assert_eq!(
            batches(&small).iter().map(Vec::len).collect::<Vec<_>>(),
            [10, 10, 3]
        );
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
        assert_eq!(
            next_batch(&records, &[0, 1, 2, 3], &HashSet::from(["a"])),
            [1, 3]
        );
    }
}

//! The announcements and jobs of a batch of stream records, decided without I/O.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::EventRecord;
use muster_contracts::{
    events::outbound::{Announcement, announcements},
    jobs::Job,
};
use muster_domain::{Change, Timestamp};
use muster_service::{jobs::JobToSend, store::StreamRecord};
use serde_json::value::RawValue;

use crate::follow_up_jobs::follow_up_jobs;

/// The principal that deletes expired items. AWS: "DynamoDB Streams and Time to Live",
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html>.
const EXPIRY: &str = "dynamodb.amazonaws.com";

/// The announcements and jobs of the readable records of a batch.
#[derive(Debug, Default)]
pub(crate) struct FollowUps {
    /// The announcements, in the order of the records.
    pub(crate) announcements: Vec<Announcement>,
    /// The position of each announcement's record.
    pub(crate) announced_by: Vec<usize>,
    /// The position of each job's first record.
    pub(crate) wanted_by: Vec<usize>,
    /// The unreadable records, by position, each with the reason.
    pub(crate) unreadable: BTreeMap<usize, String>,
    /// The jobs to start, without duplicates.
    jobs: Vec<Job>,
}

impl FollowUps {
    pub(crate) fn of(records: &[Box<RawValue>]) -> Self {
        let mut batch = Self::default();
        for (position, record) in records.iter().enumerate() {
            if let Err(reason) = batch.add(position, record) {
                batch.unreadable.insert(position, reason);
            }
        }
        batch
    }

    /// Adds the announcements and jobs of one record.
    ///
    /// # Errors
    /// The reason that the record cannot be read.
    fn add(&mut self, position: usize, record: &RawValue) -> Result<(), String> {
        let Some(change) = change_of(record.get())? else {
            return Ok(());
        };
        for announcement in announcements(&change) {
            self.announcements.push(announcement);
            self.announced_by.push(position);
        }
        for job in follow_up_jobs(&change) {
            if !self.jobs.contains(&job) {
                self.jobs.push(job);
                self.wanted_by.push(position);
            }
        }
        Ok(())
    }

    /// Returns the messages that start the jobs.
    pub(crate) fn messages(&self) -> Vec<JobToSend> {
        self.jobs.iter().cloned().map(JobToSend::first).collect()
    }
}

/// Returns the change that a record of the stream describes, or `None` for an expired item and for
/// items without announcements and jobs.
///
/// # Errors
/// The reason that the record cannot be read.
pub fn change_of(record: &str) -> Result<Option<Change>, String> {
    let record: EventRecord = serde_json::from_str(record)
        .map_err(|error| format!("not a record of the stream: {error}"))?;
    if record
        .user_identity
        .as_ref()
        .is_some_and(|identity| identity.principal_id == EXPIRY)
    {
        return Ok(None);
    }
    let record = StreamRecord {
        keys: record.change.keys,
        old_image: record.change.old_image,
        new_image: record.change.new_image,
        at: Timestamp::from_millis(
            record
                .change
                .approximate_creation_date_time
                .timestamp_millis(),
        ),
    };
    record
        .into_change()
        .map_err(|error| muster_service::error_chain(&error))
}

//! What a batch of the stream's records leads to, decided before anything is sent.

use std::time::Duration;

use aws_lambda_events::dynamodb::EventRecord;
use muster::{
    domain::Timestamp,
    jobs::Job,
    queue::Message,
    store::{Error, StreamRecord},
    wire::announcements::{Announcement, announcements},
};

use crate::jobs::jobs;

/// Who deletes items that have expired.
const EXPIRY: &str = "dynamodb.amazonaws.com";

/// Everything that the records up to the first unreadable one lead to.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// What to announce, in the order of the records.
    pub(crate) announcements: Vec<Announcement>,
    /// The position of the record that each announcement comes from.
    pub(crate) announced_by: Vec<usize>,
    /// The position of the first record that each job follows from.
    pub(crate) wanted_by: Vec<usize>,
    /// The first record that cannot be read, and why.
    pub(crate) unreadable: Option<(usize, Error)>,
    /// What to start, each once.
    jobs: Vec<Job>,
}

impl Batch {
    pub(crate) fn of(records: Vec<EventRecord>) -> Self {
        let mut batch = Self::default();
        for (position, record) in records.into_iter().enumerate() {
            let is_expiry = record.user_identity.as_ref().is_some_and(|identity| identity.principal_id == EXPIRY);
            if is_expiry {
                continue;
            }
            let record = StreamRecord {
                keys: record.change.keys,
                old_image: record.change.old_image,
                new_image: record.change.new_image,
                at: Timestamp::from_millis(record.change.approximate_creation_date_time.timestamp_millis()),
            };
            match record.into_change() {
                Ok(None) => {}
                Ok(Some(change)) => {
                    for announcement in announcements(&change) {
                        batch.announcements.push(announcement);
                        batch.announced_by.push(position);
                    }
                    for job in jobs(&change) {
                        if !batch.jobs.contains(&job) {
                            batch.jobs.push(job);
                            batch.wanted_by.push(position);
                        }
                    }
                }
                Err(error) => {
                    batch.unreadable = Some((position, error));
                    break;
                }
            }
        }
        batch
    }

    /// The messages that start the jobs.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.jobs.iter().map(|job| job.message(Duration::ZERO)).collect()
    }
}

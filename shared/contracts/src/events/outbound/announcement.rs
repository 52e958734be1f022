//! An announcement: a `CloudEvent` of a change.

use serde::Serialize;

use crate::json::json;
use muster_domain::{Change, Timestamp};

/// Who announces.
pub const SOURCE: &str = "muster";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The record it is about: those about one have to arrive in order.
    pub record: String,
    /// What kind of thing: the event's `type`, such as `ticket.assigned`.
    pub kind: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The event, as JSON.
    pub event: String,
}

/// An event in the JSON format of CloudEvents 1.0.
#[derive(Serialize)]
struct CloudEvent<T> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    time: String,
    subject: String,
    sequence: String,
    datacontenttype: &'static str,
    data: T,
}

/// Which state of a record an announcement is about.
pub(super) struct SequencePoint {
    /// Grows with every change of the record.
    pub(super) revision: u64,
    /// Tells apart, and orders, what one change has announced.
    pub(super) part: usize,
    pub(super) at: Timestamp,
}

impl Announcement {
    pub(super) fn new(
        change: &Change,
        kind: &'static str,
        point: &SequencePoint,
        subject: String,
        data: impl Serialize,
    ) -> Self {
        let SequencePoint { revision, part, at } = *point;
        // Orders as text, within a record. A part comes after the whole: "7" < "7.1" < "8".
        let mut sequence = format!("{revision:020}");
        if part > 0 {
            sequence = format!("{sequence}.{part}");
        }
        let event = json(&CloudEvent {
            specversion: "1.0",
            id: format!("{}/{revision}/{kind}", change.record),
            source: SOURCE,
            r#type: kind,
            time: at.iso8601_millis(),
            subject,
            sequence,
            datacontenttype: "application/json",
            data,
        });
        Self {
            record: change.record.clone(),
            kind,
            at,
            event,
        }
    }
}

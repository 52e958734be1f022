//! An announcement in the JSON format of CloudEvents.

use serde::Serialize;

#[cfg(feature = "openapi")]
use super::forms;
use crate::json::json;
use muster_domain::{Change, Timestamp};

/// The `source` of all announcements.
pub const SOURCE: &str = "muster";

/// An event for the EventBridge bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The changed record. The announcements of a record have to be published in order.
    pub record: String,
    /// The event's `type`, such as `ticket.assigned`.
    pub kind: &'static str,
    /// The time of the change.
    pub at: Timestamp,
    /// The event, as JSON.
    pub event: String,
}

/// An event in the JSON format of CloudEvents 1.0.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct CloudEvent<T> {
    /// The version of CloudEvents.
    specversion: &'static str,
    /// Identifies the announcement. A repeated announcement has the same id.
    id: String,
    /// The sender.
    source: &'static str,
    /// The kind of change.
    r#type: &'static str,
    /// The time of the change.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Timestamp))]
    time: String,
    /// The changed team, membership or ticket.
    subject: String,
    /// The position among the announcements of the subject: text that sorts by its bytes.
    sequence: String,
    /// The media type of the data.
    datacontenttype: &'static str,
    data: T,
}

/// The position of an announcement in the sequence of its record.
pub(super) struct SequencePoint {
    /// The revision of the record. It grows with every change.
    pub(super) revision: u64,
    /// The position among the announcements of one change, from 0.
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
        // The sequence is ordered as text within a record: "7" < "7.1" < "8".
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

//! The announcements that Muster publishes: CloudEvents 1.0 about teams, members and tickets.
//!
//! All fields follow from the stream record of the change. So a record that is read again yields
//! the same events, `id` included, and consumers can deduplicate. Times have milliseconds, because
//! a ticket can be assigned twice within one second.

mod announcement;
#[cfg(test)]
mod fixtures;
#[cfg(feature = "openapi")]
mod forms;
mod member;
#[cfg(feature = "openapi")]
mod schema;
mod team;
mod ticket;

use muster_domain::{Change, ChangeKind};

pub use announcement::{Announcement, SOURCE};
#[cfg(feature = "openapi")]
pub(super) use schema::{KINDS, announcement_schema, schema_of};

/// Returns the announcements of a change, in order. Counters, profile copies and writes without an
/// effect have none.
#[must_use]
pub fn announcements(change: &Change) -> Vec<Announcement> {
    match &change.kind {
        ChangeKind::Team { before, after } => {
            team::announcement(change, before.as_ref(), after.as_ref())
                .into_iter()
                .collect()
        }
        ChangeKind::Membership {
            team_id,
            before,
            after,
        } => member::announcement(change, *team_id, before.as_ref(), after.as_ref())
            .into_iter()
            .collect(),
        ChangeKind::Ticket {
            before,
            after: Some(after),
        } => ticket::announcements(change, before.as_ref(), after),
        ChangeKind::Ticket { after: None, .. }
        | ChangeKind::Load { .. }
        | ChangeKind::TeamDeleted { .. }
        | ChangeKind::User { .. } => Vec::new(),
    }
}

//! What the rest of the company hears: CloudEvents 1.0 about teams, members and tickets.
//!
//! Everything in one follows from the record of the change, so a record that comes again says the
//! same, `id` included. Times have milliseconds: a ticket can be assigned twice within one second.

mod announcement;
#[cfg(test)]
mod fixtures;
mod member;
mod team;
mod ticket;

use muster_domain::{Change, ChangeKind};

pub use announcement::{Announcement, SOURCE};

/// What a change has to be announced as. Nothing, for counters, copies of profiles, and changes
/// that change nothing.
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

//! Merges the events of a ticket, field by field, by the versions of the events.

use std::sync::Arc;

use super::{EventVersion, FieldUpdate, Ticket, TicketSnapshot, TicketStatus, TicketVersions};

/// The merge of one event into a ticket.
#[derive(Debug)]
pub struct Merge<'e> {
    version: &'e Arc<EventVersion>,
    has_changed: bool,
    has_lost: bool,
}

impl<'e> Merge<'e> {
    /// Begins to merge an event of this version.
    #[must_use]
    pub fn new(version: &'e Arc<EventVersion>) -> Self {
        Self {
            version,
            has_changed: false,
            has_lost: false,
        }
    }

    /// Returns whether the event may set a field of this version. Remembers if a newer event has
    /// set the field.
    ///
    /// An equal version does not win, so a redelivered event changes no field.
    pub fn wins_over(&mut self, version: Option<&Arc<EventVersion>>) -> bool {
        self.has_lost |= version.is_some_and(|version| version > self.version);
        version.is_none_or(|version| version < self.version)
    }

    /// Gives a field the version of the event.
    pub fn mark(&mut self, version: &mut Option<Arc<EventVersion>>) {
        *version = Some(Arc::clone(self.version));
        self.has_changed = true;
    }

    /// Sets a field that the event mentions, unless a newer event or this one has set it already.
    /// Returns whether it is set.
    fn set<T>(
        &mut self,
        field: &mut T,
        version: &mut Option<Arc<EventVersion>>,
        value: Option<T>,
    ) -> bool {
        self.set_with(field, version, value, |value| value)
    }

    /// Sets a field in the same way, from a borrowed value that is cloned only if it wins.
    fn set_cloned<T: Clone>(
        &mut self,
        field: &mut Option<T>,
        version: &mut Option<Arc<EventVersion>>,
        value: FieldUpdate<&T>,
    ) {
        self.set_with(field, version, value.new_value(), Option::<&T>::cloned);
    }

    fn set_with<T, V>(
        &mut self,
        field: &mut T,
        version: &mut Option<Arc<EventVersion>>,
        value: Option<V>,
        owned: impl FnOnce(V) -> T,
    ) -> bool {
        let Some(value) = value else { return false };
        let wins = self.wins_over(version.as_ref());
        if wins {
            *field = owned(value);
            self.mark(version);
        }
        wins
    }

    /// Returns whether the event changed the ticket, the versions of its fields included.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Returns whether the event is superseded: newer events have set every field that it mentions.
    /// An event that still is the version of a field is a duplicate, and not superseded.
    #[must_use]
    pub fn is_superseded(&self, versions: &TicketVersions) -> bool {
        self.has_lost && !self.has_changed && !versions.contains(self.version)
    }
}

impl Ticket {
    /// Merges the fields of a snapshot, except the team and the assignee, which depend on the teams
    /// that exist.
    ///
    /// Each field follows the newest event that mentions it, so the order in which events arrive
    /// does not matter.
    pub fn merge(&mut self, snapshot: &TicketSnapshot, merge: &mut Merge<'_>) {
        let TicketSnapshot {
            id: _,
            status,
            priority,
            category,
            subcategory,
            tags,
            team_id: _,
            assignee_id: _,
            created_at,
            resolved_at,
            due_at,
        } = snapshot;
        // An open ticket is not resolved, even if its platform does not clear the field. The field
        // then has the version of this event, so that an older `resolved_at` does not return.
        let resolved_at = match *resolved_at {
            FieldUpdate::Absent if status.is_some_and(TicketStatus::is_open) => {
                FieldUpdate::Cleared
            }
            resolved_at => resolved_at,
        };
        if let Some(status) = *status {
            self.merge_status(status, merge);
        }
        let versions = &mut self.versions;
        let priority = priority.new_value().map(Option::unwrap_or_default);
        merge.set(&mut self.priority, &mut versions.priority, priority);
        merge.set_cloned(
            &mut self.category,
            &mut versions.category,
            category.as_ref(),
        );
        merge.set_cloned(
            &mut self.subcategory,
            &mut versions.subcategory,
            subcategory.as_ref(),
        );
        merge.set_with(
            &mut self.tags,
            &mut versions.tags,
            tags.as_ref().new_value(),
            |tags| tags.cloned().unwrap_or_default(),
        );
        merge.set(&mut self.created_at, &mut versions.created_at, *created_at);
        merge.set(
            &mut self.resolved_at,
            &mut versions.resolved_at,
            resolved_at.new_value(),
        );
        merge.set(&mut self.due_at, &mut versions.due_at, due_at.new_value());
        // Without a reported creation time, the earliest event is the best estimate. The field has
        // no version, so every reported time replaces it.
        if versions.created_at.is_none() && merge.version.at < self.created_at {
            self.created_at = merge.version.at;
            merge.has_changed = true;
        }
    }

    /// Merges the status and computes `closed_at`: the version of the first event that resolved or
    /// closed the ticket since it was last open.
    fn merge_status(&mut self, status: TicketStatus, merge: &mut Merge<'_>) {
        let at = merge.version.at;
        if merge.set(&mut self.status, &mut self.versions.status, Some(status)) {
            if status.is_open() {
                self.closed_at = None;
            } else if status.is_resolved() {
                self.closed_at = self.closed_at.or(Some(at));
            }
        } else if status.is_open() && self.closed_at.is_some_and(|closed_at| closed_at < at) {
            // A late event shows that the ticket was open after the close that counted so far. The
            // later close counts then, so that the credit does not depend on the order of arrival.
            let closed_again = self.versions.status.as_ref().map(|version| version.at);
            self.closed_at = closed_again.filter(|_| self.status.is_resolved());
            merge.has_changed = true;
        }
    }
}

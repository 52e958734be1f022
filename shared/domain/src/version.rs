//! Versions of events and of the fields of a ticket, and updates of single fields.

use std::sync::Arc;

use super::Timestamp;

/// The version of an event: of two events, the one with the greater version is the newer.
///
/// Versions compare by `at`, then by `time`, then by `event_id`. Platforms write `updated_at` in
/// whole seconds, so two changes often share it. The `time` of the `CloudEvent` then decides, and
/// an absent `time` sorts first. The id only makes the order total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventVersion {
    /// The `updated_at` of the snapshot, or the `time` of the event where `updated_at` is absent.
    pub at: Timestamp,
    /// The `time` of the `CloudEvent`.
    pub time: Option<Timestamp>,
    /// The id of the event.
    pub event_id: String,
}

/// The update of one field by a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldUpdate<T> {
    /// The snapshot does not mention the field, which keeps its value.
    #[default]
    Absent,
    /// The snapshot has `null`, which clears the field.
    Cleared,
    /// The snapshot has a value.
    Set(T),
}

impl<T> FieldUpdate<T> {
    /// Borrows the value.
    pub fn as_ref(&self) -> FieldUpdate<&T> {
        match self {
            Self::Absent => FieldUpdate::Absent,
            Self::Cleared => FieldUpdate::Cleared,
            Self::Set(value) => FieldUpdate::Set(value),
        }
    }

    /// Returns the new value of the field. `Some(None)` clears the field, and `None` keeps its
    /// value.
    pub fn new_value(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Cleared => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

/// The version of the event that last set each field of a ticket; `None` where no event has
/// mentioned the field. One event sets most of the fields, so they share its version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketVersions {
    /// The version of the status; of a deleted ticket, that of the deletion.
    pub status: Option<Arc<EventVersion>>,
    /// The version of the priority.
    pub priority: Option<Arc<EventVersion>>,
    /// The version of the category.
    pub category: Option<Arc<EventVersion>>,
    /// The version of the subcategory.
    pub subcategory: Option<Arc<EventVersion>>,
    /// The version of the tags.
    pub tags: Option<Arc<EventVersion>>,
    /// The version of the creation time.
    pub created_at: Option<Arc<EventVersion>>,
    /// The version of the resolution time.
    pub resolved_at: Option<Arc<EventVersion>>,
    /// The version of the due time.
    pub due_at: Option<Arc<EventVersion>>,
    /// The version of the team. A team that Muster matched by specializations has none.
    pub team: Option<Arc<EventVersion>>,
    /// The version of the assignee, or of the event after which Muster chose the assignee.
    pub assignee: Option<Arc<EventVersion>>,
}

impl TicketVersions {
    fn all(&self) -> [Option<&Arc<EventVersion>>; 10] {
        let Self {
            status,
            priority,
            category,
            subcategory,
            tags,
            created_at,
            resolved_at,
            due_at,
            team,
            assignee,
        } = self;
        [
            status,
            priority,
            category,
            subcategory,
            tags,
            created_at,
            resolved_at,
            due_at,
            team,
            assignee,
        ]
        .map(Option::as_ref)
    }

    /// Returns the newest version of any field.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<EventVersion>> {
        self.all().into_iter().flatten().max()
    }

    /// Returns whether a field has this version.
    #[must_use]
    pub fn contains(&self, version: &EventVersion) -> bool {
        self.all()
            .into_iter()
            .flatten()
            .any(|of_field| **of_field == *version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_compares_updated_at_then_time_then_id() {
        let version = |at, time: Option<i64>, event_id: &str| EventVersion {
            at: Timestamp::from_secs(at),
            time: time.map(Timestamp::from_millis),
            event_id: event_id.to_owned(),
        };
        let ascending = [
            version(1, Some(9_999), "z"),
            version(2, None, "z"),
            version(2, Some(100), "b"),
            version(2, Some(900), "a"),
            version(2, Some(900), "b"),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
    }
}

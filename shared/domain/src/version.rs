//! Versions of events, and what an event says about one field.

use super::Timestamp;

/// The version of an event: of two events, the one with the greater version is the newer.
///
/// Versions compare by `at`, then by `time`, then by `event_id`. Platforms write `updated_at` in
/// whole seconds, so two changes often share it. The `time` of the `CloudEvent` then decides, and a
/// missing `time` sorts first. The id only makes the order total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventVersion {
    /// The `updated_at` of the snapshot, or the `time` of the event where `updated_at` is absent.
    pub at: Timestamp,
    /// The `time` of the `CloudEvent`.
    pub time: Option<Timestamp>,
    /// The id of the event.
    pub event_id: String,
}

/// What a snapshot says about one field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldUpdate<T> {
    /// The snapshot does not mention the field, which keeps its value.
    #[default]
    Absent,
    /// The snapshot has `null`: the field has no value any more.
    Cleared,
    /// The snapshot has a value.
    Set(T),
}

impl<T> FieldUpdate<T> {
    /// Returns the new value of the field, where `Some(None)` clears it and `None` keeps the value
    /// that it has.
    pub fn new_value(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Cleared => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
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

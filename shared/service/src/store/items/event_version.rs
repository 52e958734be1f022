//! The text form of an event's version.

use muster_domain::{EventVersion, Timestamp};

/// Returns a version as text: the milliseconds of `at`, those of `time` (empty if it is absent) and
/// the event's id, separated by `#`.
pub(super) fn version_text(EventVersion { at, time, event_id }: &EventVersion) -> String {
    let time = time.map_or_else(String::new, |time| time.millis().to_string());
    format!("{}#{time}#{event_id}", at.millis())
}

pub(super) fn parse_version(text: &str) -> Option<EventVersion> {
    let (at, rest) = text.split_once('#')?;
    let (time, event_id) = rest.split_once('#')?;
    let moment = |millis: &str| millis.parse().ok().map(Timestamp::from_millis);
    let time = if time.is_empty() {
        None
    } else {
        Some(moment(time)?)
    };
    Some(EventVersion {
        at: moment(at)?,
        time,
        event_id: event_id.to_owned(),
    })
}

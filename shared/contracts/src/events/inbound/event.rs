//! The parts that all events have: the attributes of the `CloudEvent`, its organization and its
//! version.

use serde_json::{Map, Value};

use super::{
    envelope,
    fault::{Faults, Poison},
    fields::{Fields, text, timestamp},
};
use muster_domain::{EventVersion, OrganizationId, Timestamp};

/// The maximum number of bytes of an event's id. It is stored with every field that the event sets.
const MAX_EVENT_ID_BYTES: usize = 256;

/// The maximum time by which an event can be ahead of this clock. Versions are times, so an event
/// of next year would win over every other event until then.
const MAX_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);

/// Parses a message: the attributes of the `CloudEvent`, then the object in its data.
///
/// `kind` parses the event's type. `read` parses the fields of the object; its kind is `None` if
/// the type is a fault.
pub(super) fn parse<K: Copy, T>(
    body: &str,
    object: &str,
    now: Timestamp,
    kind: impl FnOnce(&str) -> Result<K, String>,
    read: impl FnOnce(&Fields<'_>, Option<K>, &mut Faults) -> Option<T>,
) -> Result<Event<K, T>, Poison> {
    let mut event = envelope::unwrapped(body)?;
    let mut faults = Faults::default();
    let has_data = faults.required(envelope::decode_data(&mut event)).is_some();
    let parsed = parse_event(&event, has_data, object, now, kind, read, &mut faults);
    faults.result(parsed)
}

/// An event of one organization about one object.
pub(super) struct Event<K, T> {
    pub(super) kind: K,
    pub(super) organization_id: OrganizationId,
    pub(super) version: EventVersion,
    pub(super) object: T,
}

fn parse_event<K: Copy, T>(
    event: &Map<String, Value>,
    has_data: bool,
    object: &str,
    now: Timestamp,
    kind: impl FnOnce(&str) -> Result<K, String>,
    read: impl FnOnce(&Fields<'_>, Option<K>, &mut Faults) -> Option<T>,
    faults: &mut Faults,
) -> Option<Event<K, T>> {
    let attributes = Fields::of_event(event);
    faults.required(attributes.required("specversion", spec_version));
    let id = faults.required(attributes.required("id", event_id));
    let kind = faults.required(attributes.required("type", |value| kind(&text(value)?)));
    let data = if has_data {
        faults.required(attributes.object("data"))
    } else {
        None
    };
    let organization_id = data
        .as_ref()
        .and_then(|data| faults.required(data.required("organization_id", organization_id)));
    let Some(fields) = data
        .as_ref()
        .and_then(|data| faults.required(data.object(object)))
    else {
        faults.required(attributes.optional(&["time"], timestamp));
        return None;
    };
    let version = version(&attributes, &fields, id, now, faults);
    let object = read(&fields, kind, faults);
    Some(Event {
        kind: kind?,
        organization_id: organization_id?,
        version: version?,
        object: object?,
    })
}

fn spec_version(value: &Value) -> Result<(), String> {
    if value == "1.0" {
        Ok(())
    } else {
        Err("must be 1.0".to_owned())
    }
}

fn event_id(value: &Value) -> Result<String, String> {
    let id = text(value)?;
    let rule = || format!("must have 1 to {MAX_EVENT_ID_BYTES} bytes");
    if (1..=MAX_EVENT_ID_BYTES).contains(&id.len()) {
        Ok(id)
    } else {
        Err(rule())
    }
}

fn organization_id(value: &Value) -> Result<OrganizationId, String> {
    let rule = |_| "must have 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned();
    OrganizationId::parse(&text(value)?).map_err(rule)
}

/// Returns the version of an event: the object's `updated_at`, else the event's `time`.
fn version(
    attributes: &Fields<'_>,
    fields: &Fields<'_>,
    id: Option<String>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<EventVersion> {
    let not_ahead = |value: &Value| {
        let at = timestamp(value)?;
        if at > now.plus(MAX_AHEAD) {
            Err("is more than 5 minutes in the future".to_owned())
        } else {
            Ok(at)
        }
    };
    let updated_at = faults.required(fields.optional(&["updated_at"], not_ahead));
    let time = match updated_at {
        Some(None) => attributes.optional(&["time"], not_ahead),
        // `time` only orders events with an equal `updated_at`, so a time in the future does no
        // harm.
        Some(Some(_)) | None => attributes.optional(&["time"], timestamp),
    };
    let time = faults.required(time);
    match (updated_at?, time?) {
        (Some(at), time) => Some(EventVersion {
            at,
            time,
            event_id: id?,
        }),
        (None, Some(at)) => Some(EventVersion {
            at,
            time: Some(at),
            event_id: id?,
        }),
        (None, None) => {
            faults.add(fields.fault("updated_at", "is required where the event has no time"));
            None
        }
    }
}

//! The events that arrive on the queues: CloudEvents 1.0 in JSON, bare or in the envelopes of
//! EventBridge and SNS.
//!
//! Both platforms' names for a field are read. A message that can never succeed is [`Poison`]: it
//! names each fault and belongs in the dead-letter queue.

mod check;
mod envelope;
mod fault;
mod fields;
mod ticket;
mod time;
mod user;

use serde_json::{Map, Value};

use fault::Faults;
use fields::{Fields, moment, text};
use muster_domain::{EventVersion, OrganizationId, Timestamp};

pub use check::{Checked, EventQueue, check};
pub use envelope::event_in;
pub use fault::Poison;
pub use ticket::{TicketMessage, ticket_event, ticket_id_text};
pub use user::user_event;

/// Returns the organization that the event in a message names, if it names one. It is the message's
/// group on a queue.
#[must_use]
pub fn organization_in(message: &str) -> Option<OrganizationId> {
    let event = event_in(message).ok()?;
    OrganizationId::parse(event.get("data")?.get("organization_id")?.as_str()?).ok()
}

/// The most bytes that an event's id may have: it is kept with every field that the event sets.
const MAX_EVENT_ID_BYTES: usize = 256;

/// The time by which an event may be ahead of this clock. One of next year would win over every
/// other until then.
const MAX_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);

/// Parses a message: the attributes of the `CloudEvent`, then the object in its data.
///
/// `kind` parses the event's type. `read` parses the fields of the object; its kind is `None` where
/// that is a fault.
fn parse<K: Copy, T>(
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
struct Event<K, T> {
    kind: K,
    organization_id: OrganizationId,
    version: EventVersion,
    object: T,
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
        faults.required(attributes.optional(&["time"], moment));
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
        let at = moment(value)?;
        if at > now.plus(MAX_AHEAD) {
            Err("is more than 5 minutes in the future".to_owned())
        } else {
            Ok(at)
        }
    };
    let updated_at = faults.required(fields.optional(&["updated_at"], not_ahead));
    let time = match updated_at {
        Some(None) => attributes.optional(&["time"], not_ahead),
        // It decides between events of one `updated_at` alone, so it cannot outvote others until it
        // has come.
        Some(Some(_)) | None => attributes.optional(&["time"], moment),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_736_067_600);

    /// Values of every type, and among them some that each field takes.
    fn value() -> impl Strategy<Value = Value> {
        let taken = [
            json!("1.0"),
            json!("ticket.updated"),
            json!("user.deactivated"),
            json!("user.deleted"),
            json!("acme"),
            json!("123e4567-e89b-12d3-a456-426614174000"),
            json!("2025-01-05T08:00:00Z"),
            json!("Open"),
            json!(["VPN"]),
            json!({}),
            json!(true),
            json!(7),
            json!(""),
            Value::Null,
        ];
        prop_oneof![
            6 => proptest::sample::select(taken.to_vec()),
            1 => "\\PC{0,12}".prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::from),
        ]
    }

    fn object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
        let field = (proptest::sample::select(names), value());
        proptest::collection::vec(field, 0..names.len() + 1).prop_map(|fields| {
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        })
    }

    const ATTRIBUTES: &[&str] = &["specversion", "id", "type", "time", "data", "data_base64"];
    const FIELDS: &[&str] = &[
        "id",
        "status",
        "priority",
        "category",
        "subcategory",
        "tags",
        "team_id",
        "assigned_team_id",
        "assignee_id",
        "created_at",
        "updated_at",
        "resolved_at",
        "due_at",
        "due_date",
        "name",
        "full_name",
        "email",
        "role",
        "avatar_url",
        "is_active",
    ];

    proptest! {
        /// A refused message has faults, each with the path of a field, and a reason that fits
        /// beside any body.
        #[test]
        fn any_event_is_parsed_or_refused_with_faults(
            event in object(ATTRIBUTES),
            organization in value(),
            fields in object(FIELDS),
            whole in any::<bool>(),
        ) {
            let mut event = event;
            if whole {
                event["data"] = json!({ "organization_id": organization, "ticket": fields, "user": fields });
            }
            let body = event.to_string();
            for (queue, refused) in [
                (EventQueue::Tickets, ticket_event(&body, NOW).err()),
                (EventQueue::Users, user_event(&body, NOW).err()),
            ] {
                let faults = refused.as_ref().map(Poison::faults).unwrap_or_default();
                prop_assert_eq!(&check(queue, &body, NOW).faults, &faults);
                if let Some(poison) = refused {
                    prop_assert!(!faults.is_empty() && faults.iter().all(|fault| fault.contains(": ")), "{:?}", faults);
                    prop_assert!(poison.to_string().len() < 2048, "{}", poison);
                }
            }
        }
    }
}

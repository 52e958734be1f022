//! The events that arrive on the queues: CloudEvents 1.0 in JSON, bare or in the envelopes of
//! EventBridge and SNS.
//!
//! The parsers accept both platforms' names for a field. A message that can never succeed is
//! [`Poison`]: it names each fault and belongs in the dead-letter queue.

mod check;
mod envelope;
mod event;
mod fault;
mod fields;
#[cfg(feature = "openapi")]
mod schema;
mod ticket;
mod time;
mod user;

pub use check::{CheckReport, EventQueue, check};
pub use envelope::{event_in, organization_in};
pub use fault::Poison;
pub use ticket::{TicketMessage, ticket_event, ticket_id_text};
pub use user::user_event;

#[cfg(feature = "openapi")]
pub(super) use schema::{ticket_event as ticket_event_schema, user_event as user_event_schema};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use muster_domain::Timestamp;

    const NOW: Timestamp = Timestamp::from_secs(1_736_067_600);

    /// Values of every type; some of them are valid for each field.
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
        /// A rejected message has faults, each with the path of a field, and a reason of bounded
        /// length.
        #[test]
        fn any_event_is_parsed_or_has_faults(
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

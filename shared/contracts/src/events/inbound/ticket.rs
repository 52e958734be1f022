//! The ticket events: `ticket.created`, `ticket.updated`, `ticket.unassigned`, `ticket.deleted`.

use std::sync::Arc;

use serde_json::Value;

use super::{
    event::{self, Event},
    fault::{Faults, Poison},
    fields::{Fields, team_id, text, texts, timestamp, user_id},
};
use muster_domain::{
    FieldUpdate, Folded, Priority, TicketEvent, TicketEventKind, TicketId, TicketSnapshot,
    TicketStatus, Timestamp, Topics,
};

/// A parsed message of the ticket queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketMessage {
    /// The event.
    pub event: TicketEvent,
    /// Whether neither platform documents its priority. Such a priority counts as medium.
    pub has_unknown_priority: bool,
}

/// Parses the body of a message on the ticket queue.
///
/// # Errors
/// The faults for which the message can never succeed.
pub fn ticket_event(body: &str, now: Timestamp) -> Result<TicketMessage, Poison> {
    let event = event::parse(body, "ticket", now, kind, |fields, _, faults| {
        snapshot(fields, faults)
    })?;
    let Event {
        kind,
        organization_id,
        version,
        object: (ticket, has_unknown_priority),
    } = event;
    Ok(TicketMessage {
        event: TicketEvent {
            organization_id,
            kind,
            version: Arc::new(version),
            ticket,
        },
        has_unknown_priority,
    })
}

fn kind(text: &str) -> Result<TicketEventKind, String> {
    match text {
        "ticket.created" | "ticket.updated" => Ok(TicketEventKind::Snapshot),
        "ticket.unassigned" => Ok(TicketEventKind::Unassigned),
        "ticket.deleted" => Ok(TicketEventKind::Deleted),
        _ => Err(
            "must be ticket.created, ticket.updated, ticket.unassigned or ticket.deleted"
                .to_owned(),
        ),
    }
}

/// Reads a snapshot. Returns also whether its priority is unknown.
fn snapshot(fields: &Fields<'_>, faults: &mut Faults) -> Option<(TicketSnapshot, bool)> {
    let id = faults.required(fields.required("id", ticket_id));
    let status = faults.optional(fields.optional(&["status"], status));
    let priority = faults.optional(fields.update(&["priority"], text));
    let category = faults.optional(fields.update(&["category"], text));
    let subcategory = faults.optional(fields.update(&["subcategory"], text));
    let tags = faults.optional(fields.update(&["tags"], |value| texts(value).map(Topics::of)));
    let team_id = faults.optional(fields.optional(&["team_id", "assigned_team_id"], team_id));
    let assignee_id =
        faults.optional(fields.optional(&["assignee_id", "assigned_user_id"], user_id));
    let created_at = faults.optional(fields.optional(&["created_at"], timestamp));
    let resolved_at = faults.optional(fields.update(&["resolved_at"], timestamp));
    let due_at = faults.optional(fields.update(&["due_at", "due_date"], timestamp));
    let (priority, has_unknown_priority) = self::priority(priority);
    let snapshot = TicketSnapshot {
        id: id?,
        status,
        priority,
        category: topic(category),
        subcategory: topic(subcategory),
        tags,
        team_id,
        assignee_id,
        created_at,
        resolved_at,
        due_at,
    };
    Some((snapshot, has_unknown_priority))
}

/// Returns the priority of a text, and whether the text is unknown.
fn priority(word: FieldUpdate<String>) -> (FieldUpdate<Priority>, bool) {
    match word {
        FieldUpdate::Absent => (FieldUpdate::Absent, false),
        FieldUpdate::Cleared => (FieldUpdate::Cleared, false),
        FieldUpdate::Set(word) => {
            let known = Priority::parse_reported(&word);
            (FieldUpdate::Set(known.unwrap_or_default()), known.is_none())
        }
    }
}

/// Returns the topic of a text. A text that cannot be a topic clears the field.
fn topic(text: FieldUpdate<String>) -> FieldUpdate<Folded> {
    match text {
        FieldUpdate::Absent => FieldUpdate::Absent,
        FieldUpdate::Cleared => FieldUpdate::Cleared,
        FieldUpdate::Set(text) => {
            Topics::topic(&text).map_or(FieldUpdate::Cleared, FieldUpdate::Set)
        }
    }
}

/// The largest float below which all integers are exact: 2^53 - 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Returns the text of a ticket's id. In JSON it is a string or an integer of up to 64 bits.
///
/// `5`, `5.0` and `5e0` are the same number, and JSON Schema does not distinguish them.
#[must_use]
pub fn ticket_id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Number(number) => exact_integer(number.as_f64()?),
        _ => None,
    }
}

/// Returns the digits of a float that is an integer, unless the JSON parser may have rounded it.
fn exact_integer(number: f64) -> Option<String> {
    let is_exact = number.fract() == 0.0 && number.abs() <= MAX_EXACT;
    // The sum turns -0 into 0.
    is_exact.then(|| format!("{:.0}", number + 0.0))
}

fn ticket_id(value: &Value) -> Result<TicketId, String> {
    let text = ticket_id_text(value).ok_or("must be a string or an integer of up to 64 bits")?;
    TicketId::parse(&text)
        .map_err(|_| "must have 1 to 128 characters of A-Z a-z 0-9 _ . : -".to_owned())
}

fn status(value: &Value) -> Result<TicketStatus, String> {
    let rule = || {
        format!(
            "must be one of {}",
            TicketStatus::ALL.map(TicketStatus::as_str).join(", ")
        )
    };
    value
        .as_str()
        .and_then(TicketStatus::parse_reported)
        .ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use muster_domain::{EventVersion, OrganizationId, TeamId, UserId};

    const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";
    const USER: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn event() -> Value {
        json!({
            "specversion": "1.0", "id": "e-1", "source": "desk", "type": "ticket.created", "time": "2025-01-05T08:00:00Z",
            "data": {"organization_id": "acme", "ticket": {"id": "T-1", "status": "new"}},
        })
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_736_067_600)
    }

    fn parse(event: &Value) -> Result<TicketEvent, String> {
        let message = ticket_event(&event.to_string(), now()).map_err(|poison| poison.to_string());
        message.map(|message| message.event)
    }

    /// Parses a ticket with this field in place of another value.
    fn with(field: &str, value: Value) -> TicketMessage {
        let mut event = event();
        event["data"]["ticket"][field] = value;
        ticket_event(&event.to_string(), now()).unwrap()
    }

    #[test]
    fn both_platforms_tickets_are_parsed_alike() {
        let mut toptickets = event();
        toptickets["data"]["ticket"] = json!({
            "id": "T-1", "status": "in_progress", "priority": "urgent", "category": "Network", "subcategory": null,
            "tags": ["VPN"], "team_id": TEAM, "assignee_id": USER, "created_at": "2025-01-05T07:00:00Z",
            "updated_at": "2025-01-05T07:30:00Z", "due_at": "2025-01-06T07:00:00Z",
        });
        let mut itsm = event();
        itsm["data"]["ticket"] = json!({
            "id": "T-1", "status": "in_progress", "priority": "critical", "category": "network", "subcategory": null,
            "tags": ["vpn"],
            "assigned_team_id": format!("team_{TEAM}"), "assigned_user_id": format!("usr_{USER}"),
            "created_at": 1_736_060_400, "updated_at": 1_736_062_200, "due_date": 1_736_146_800,
        });
        let expected = TicketEvent {
            organization_id: OrganizationId::parse("acme").unwrap(),
            kind: TicketEventKind::Snapshot,
            version: Arc::new(EventVersion {
                at: Timestamp::from_secs(1_736_062_200),
                time: Some(Timestamp::from_secs(1_736_064_000)),
                event_id: "e-1".to_owned(),
            }),
            ticket: TicketSnapshot {
                id: TicketId::parse("T-1").unwrap(),
                status: Some(TicketStatus::InProgress),
                priority: FieldUpdate::Set(Priority::Critical),
                category: FieldUpdate::Set(Folded::of("network")),
                subcategory: FieldUpdate::Cleared,
                tags: FieldUpdate::Set(Topics::of(["vpn"])),
                team_id: TeamId::parse(TEAM).ok(),
                assignee_id: UserId::parse(USER).ok(),
                created_at: Some(Timestamp::from_secs(1_736_060_400)),
                resolved_at: FieldUpdate::Absent,
                due_at: FieldUpdate::Set(Timestamp::from_secs(1_736_146_800)),
            },
        };
        assert_eq!(parse(&toptickets), Ok(expected.clone()));
        assert_eq!(parse(&itsm), Ok(expected));
    }

    #[test]
    fn base64_data_and_sns_notification_are_parsed_alike() {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut encoded = event();
        let data = encoded["data"].take();
        encoded["data_base64"] = json!(STANDARD.encode(data.to_string()));
        let notification =
            json!({"Type": "Notification", "MessageId": "m", "Message": encoded.to_string()});
        assert_eq!(parse(&encoded), parse(&event()));
        assert_eq!(parse(&notification), parse(&event()));
        encoded["data_base64"] = json!("%");
        assert_eq!(
            parse(&encoded),
            Err("data_base64: must be base64".to_owned())
        );
    }

    #[test]
    fn integer_id_is_read_as_its_text() {
        for (id, text) in [
            (json!(35436), "35436"),
            (json!("35436"), "35436"),
            (json!(-7), "-7"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(i64::MIN), "-9223372036854775808"),
            (json!(1.0), "1"),
            (json!(-1e3), "-1000"),
            (json!(-0.0), "0"),
            (json!(9_007_199_254_740_991.0), "9007199254740991"),
        ] {
            let mut event = event();
            event["data"]["ticket"]["id"] = id;
            assert_eq!(parse(&event).unwrap().ticket.id.as_str(), text);
        }
        for id in [
            "18446744073709551616",
            "9007199254740992.0",
            "1.5",
            "1e300",
            "true",
            "[1]",
            "{}",
        ] {
            let body = event().to_string().replace("\"T-1\"", id);
            let reason = ticket_event(&body, now()).unwrap_err().to_string();
            assert_eq!(
                reason, "data.ticket.id: must be a string or an integer of up to 64 bits",
                "{id}"
            );
        }
    }

    #[test]
    fn empty_text_is_absent_in_every_optional_field() {
        let fields = [
            "status",
            "priority",
            "category",
            "subcategory",
            "tags",
            "team_id",
            "assigned_team_id",
            "assignee_id",
            "assigned_user_id",
            "created_at",
            "updated_at",
            "resolved_at",
            "due_at",
            "due_date",
        ];
        let absent = with("status", Value::Null);
        for empty in ["", " \t"] {
            for field in fields {
                let mut event = event();
                event["data"]["ticket"] = json!({"id": "T-1", field: empty});
                let message = ticket_event(&event.to_string(), now()).unwrap();
                assert_eq!(message, absent, "{field}");
            }
            let mut event = event();
            event["data"]["ticket"] = json!({
                "id": "T-1", "team_id": empty, "assigned_team_id": TEAM, "assignee_id": USER, "assigned_user_id": empty,
                "due_at": empty, "due_date": 1_736_146_800, "tags": [empty, "VPN"],
            });
            let ticket = parse(&event).unwrap().ticket;
            assert_eq!(
                (ticket.team_id, ticket.assignee_id),
                (TeamId::parse(TEAM).ok(), UserId::parse(USER).ok())
            );
            assert_eq!(
                ticket.due_at,
                FieldUpdate::Set(Timestamp::from_secs(1_736_146_800))
            );
            assert_eq!(ticket.tags, FieldUpdate::Set(Topics::of(["vpn"])));
            event["time"] = json!(empty);
            assert!(
                parse(&event)
                    .unwrap_err()
                    .contains("updated_at: is required")
            );
        }
        for (field, reason) in [
            (
                "id",
                "data.ticket.id: must have 1 to 128 characters of A-Z a-z 0-9 _ . : -",
            ),
            (
                "organization_id",
                "data.organization_id: must have 1 to 64 characters of A-Z a-z 0-9 _ -",
            ),
        ] {
            let body = match field {
                "id" => event().to_string().replace("T-1", ""),
                _ => event().to_string().replace("acme", ""),
            };
            assert_eq!(ticket_event(&body, now()).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn null_clears_unless_the_other_name_has_a_value() {
        use FieldUpdate::{Absent, Cleared, Set};
        let due = Timestamp::from_secs(1_736_146_800);
        for (due_at, due_date, expected) in [
            (None, None, Absent),
            (Some(Value::Null), None, Cleared),
            (None, Some(Value::Null), Cleared),
            (Some(json!("")), None, Absent),
            (Some(json!("")), Some(Value::Null), Cleared),
            (Some(Value::Null), Some(json!(1_736_146_800)), Set(due)),
            (Some(json!(1_736_146_800)), Some(Value::Null), Set(due)),
        ] {
            let mut event = event();
            for (field, value) in [("due_at", due_at), ("due_date", due_date)] {
                if let Some(value) = value {
                    event["data"]["ticket"][field] = value;
                }
            }
            assert_eq!(parse(&event).unwrap().ticket.due_at, expected, "{event}");
        }
        for field in ["priority", "category", "subcategory", "tags", "resolved_at"] {
            let ticket = with(field, Value::Null).event.ticket;
            let cleared = [
                ticket.priority == Cleared,
                ticket.category == Cleared,
                ticket.subcategory == Cleared,
                ticket.tags == Cleared,
                ticket.resolved_at == Cleared,
            ];
            assert_eq!(
                cleared.into_iter().filter(|cleared| *cleared).count(),
                1,
                "{field}"
            );
        }
    }

    #[test]
    fn words_are_read_without_case_and_separators() {
        for (word, status) in [
            ("In Progress", TicketStatus::InProgress),
            ("IN_PROGRESS", TicketStatus::InProgress),
            (" in-progress ", TicketStatus::InProgress),
            ("ON-HOLD", TicketStatus::OnHold),
            ("On  Hold", TicketStatus::OnHold),
            ("Closed", TicketStatus::Closed),
        ] {
            assert_eq!(
                with("status", json!(word)).event.ticket.status,
                Some(status),
                "{word}"
            );
        }
        for (word, priority, is_unknown) in [
            ("URGENT", Priority::Critical, false),
            ("Critical", Priority::Critical, false),
            ("Low", Priority::Low, false),
            ("P1", Priority::Medium, true),
            ("4", Priority::Medium, true),
        ] {
            let message = with("priority", json!(word));
            assert_eq!(
                message.event.ticket.priority,
                FieldUpdate::Set(priority),
                "{word}"
            );
            assert_eq!(message.has_unknown_priority, is_unknown, "{word}");
        }
        assert!(!with("priority", Value::Null).has_unknown_priority);
    }

    #[test]
    fn reason_names_every_fault() {
        let mut event = event();
        event["data"]["ticket"] = json!({
            "id": "F-1", "status": "To Do", "updated_at": "yesterday", "assignee_id": 235_324,
            "resolved_at": "2020-04-02 14:03:31",
        });
        let reason = parse(&event).unwrap_err();
        let named: Vec<_> = reason
            .split("; ")
            .map(|fault| fault.split(':').next().unwrap())
            .collect();
        assert_eq!(
            named,
            ["updated_at", "status", "assignee_id", "resolved_at"]
                .map(|field| format!("data.ticket.{field}"))
        );
        assert_eq!(
            parse(&json!({"specversion": "1.0", "time": "noon", "data": {}})).unwrap_err(),
            "id: is required; type: is required; data.organization_id: is required; data.ticket: is required; \
             time: must be a time in ISO 8601 or in Unix seconds"
        );
    }

    #[test]
    fn version_is_updated_at_or_else_time() {
        assert_eq!(
            parse(&event()).unwrap().version.at,
            Timestamp::from_secs(1_736_064_000)
        );
        let mut timeless = event();
        timeless["time"] = Value::Null;
        let needed = "data.ticket.updated_at: is required where the event has no time";
        assert_eq!(parse(&timeless), Err(needed.to_owned()));
        timeless["time"] = json!("noon");
        assert_eq!(
            parse(&timeless),
            Err("time: must be a time in ISO 8601 or in Unix seconds".to_owned())
        );
    }

    #[test]
    fn time_ahead_of_the_clock_is_a_fault_only_as_version() {
        let mut ahead = event();
        ahead["time"] = json!("2099-01-01T00:00:00Z");
        assert_eq!(
            parse(&ahead),
            Err("time: is more than 5 minutes in the future".to_owned())
        );
        ahead["data"]["ticket"]["updated_at"] = json!("2025-01-05T07:30:00Z");
        assert_eq!(
            parse(&ahead).unwrap().version.at,
            Timestamp::from_secs(1_736_062_200)
        );
    }

    /// Returns the reason why an event with this value is rejected.
    fn reason_with(pointer: &str, value: Value) -> String {
        let mut event = event();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        event
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .insert(field.to_owned(), value);
        parse(&event).unwrap_err()
    }

    #[test]
    fn poison_names_the_attribute_and_the_rule() {
        for (pointer, value, reason) in [
            ("/specversion", json!("0.3"), "specversion: must be 1.0"),
            ("/specversion", Value::Null, "specversion: is required"),
            ("/id", json!(""), "id: must have 1 to 256 bytes"),
            (
                "/type",
                json!("ticket.merged"),
                "type: must be ticket.created, ticket.updated, ticket.unassigned or ticket.deleted",
            ),
            ("/data", json!([]), "data: must be an object"),
            (
                "/data/organization_id",
                json!("a b"),
                "data.organization_id: must have 1 to 64 characters of A-Z a-z 0-9 _ -",
            ),
            ("/data/ticket", Value::Null, "data.ticket: is required"),
            (
                "/time",
                json!("2099-01-01T00:00:00Z"),
                "time: is more than 5 minutes in the future",
            ),
        ] {
            assert_eq!(reason_with(pointer, value), reason);
        }
        assert!(
            ticket_event("{", now())
                .unwrap_err()
                .to_string()
                .starts_with("not JSON: ")
        );
        assert_eq!(
            parse(&json!([])),
            Err("not a CloudEvent: not a JSON object".to_owned())
        );
    }

    #[test]
    fn poison_names_the_ticket_field_and_the_rule() {
        for (pointer, value, reason) in [
            (
                "/data/ticket/id",
                json!(7.5),
                "data.ticket.id: must be a string or an integer of up to 64 bits",
            ),
            (
                "/data/ticket/priority",
                json!(4),
                "data.ticket.priority: must be a string",
            ),
            (
                "/data/ticket/id",
                json!("#"),
                "data.ticket.id: must have 1 to 128 characters of A-Z a-z 0-9 _ . : -",
            ),
            (
                "/data/ticket/status",
                json!("lost"),
                "data.ticket.status: must be one of new, open, in_progress, pending, on_hold, resolved, closed, cancelled",
            ),
            (
                "/data/ticket/team_id",
                json!("usr_1"),
                "data.ticket.team_id: must be a team's UUID",
            ),
            (
                "/data/ticket/assigned_user_id",
                json!("bob"),
                "data.ticket.assigned_user_id: must be a user's UUID",
            ),
            (
                "/data/ticket/tags",
                json!(["a", 1]),
                "data.ticket.tags: must be an array of strings",
            ),
            (
                "/data/ticket/due_date",
                json!("soon"),
                "data.ticket.due_date: must be a time in ISO 8601 or in Unix seconds",
            ),
            (
                "/data/ticket/updated_at",
                json!(1_736_067_600 + 301),
                "data.ticket.updated_at: is more than 5 minutes in the future",
            ),
        ] {
            assert_eq!(reason_with(pointer, value), reason);
        }
    }
}

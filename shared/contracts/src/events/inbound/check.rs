//! Checks messages before they are sent: finds faults, and likely mistakes that are no faults.

use serde_json::{Map, Value};

use super::{envelope::event_in, fields::is_blank, ticket::ticket_event, user::user_event};
use muster_domain::Timestamp;

/// The queues for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventQueue {
    /// The ticket queue.
    Tickets,
    /// The user queue.
    Users,
}

/// The findings about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The id of the event, if it has one.
    pub event_id: Option<String>,
    /// Every fault. A message with a fault becomes a dead letter.
    pub faults: Vec<String>,
    /// Likely mistakes. Muster accepts the message, but probably not with the meaning that its
    /// source intends.
    pub warnings: Vec<String>,
    /// Whether the event has a status; `None` for an event that does not need one.
    pub has_status: Option<bool>,
}

/// The documented names of a field, and the names that other systems use for it.
struct Field {
    names: &'static [&'static str],
    similar: &'static [&'static str],
}

const fn field(names: &'static [&'static str], similar: &'static [&'static str]) -> Field {
    Field { names, similar }
}

const UPDATED_AT: Field = field(
    &["updated_at"],
    &[
        "updated",
        "updated_on",
        "modified",
        "modified_at",
        "last_modified",
        "last_updated",
    ],
);

const EVENT: &[Field] = &[
    field(&["specversion"], &[]),
    field(&["id"], &["event_id"]),
    field(&["type"], &["event_type"]),
    field(&["time"], &["timestamp", "event_time"]),
    field(&["data", "data_base64"], &["payload"]),
];

const TICKET_DATA: &[Field] = &[
    field(
        &["organization_id"],
        &["organization", "org", "org_id", "tenant", "tenant_id"],
    ),
    field(&["ticket"], &["tickets", "incident", "issue", "case"]),
];

const USER_DATA: &[Field] = &[
    field(
        &["organization_id"],
        &["organization", "org", "org_id", "tenant", "tenant_id"],
    ),
    field(&["user"], &["users", "agent", "member"]),
];

const TICKET: &[Field] = &[
    field(&["id"], &["ticket_id", "number", "key"]),
    field(&["status"], &["state", "ticket_status", "stage"]),
    field(&["priority"], &["severity", "urgency", "ticket_priority"]),
    field(&["category"], &["categories", "topic"]),
    field(&["subcategory"], &["subcategories"]),
    field(&["tags"], &["tag", "labels", "keywords"]),
    field(
        &["team_id", "assigned_team_id"],
        &[
            "team",
            "assigned_team",
            "group",
            "group_id",
            "assignment_group",
            "queue",
        ],
    ),
    field(
        &["assignee_id", "assigned_user_id"],
        &[
            "assigned_to",
            "assignee",
            "assigned_user",
            "agent",
            "agent_id",
            "owner",
            "owner_id",
        ],
    ),
    field(&["created_at"], &["created", "created_on", "opened_at"]),
    UPDATED_AT,
    field(
        &["resolved_at"],
        &[
            "resolved",
            "resolved_on",
            "resolution_date",
            "solved_at",
            "closed_at",
            "completed_at",
        ],
    ),
    field(
        &["due_at", "due_date"],
        &["due", "due_on", "due_by", "deadline"],
    ),
];

const USER: &[Field] = &[
    field(&["id"], &["user_id", "uuid"]),
    field(
        &["name", "full_name"],
        &["display_name", "username", "user_name"],
    ),
    field(&["email"], &["mail", "email_address"]),
    field(&["role"], &["roles", "user_role"]),
    field(
        &["avatar_url"],
        &[
            "avatar",
            "picture",
            "photo",
            "photo_url",
            "image",
            "image_url",
        ],
    ),
    field(
        &["status", "is_active"],
        &["state", "active", "enabled", "is_enabled", "disabled"],
    ),
    UPDATED_AT,
];

/// Checks a message for a queue, by the parser of the function behind the queue.
#[must_use]
pub fn check(queue: EventQueue, body: &str, now: Timestamp) -> CheckReport {
    let (object, data_fields, fields, other_kinds) = match queue {
        EventQueue::Tickets => ("ticket", TICKET_DATA, TICKET, "user."),
        EventQueue::Users => ("user", USER_DATA, USER, "ticket."),
    };
    let parsed = match queue {
        EventQueue::Tickets => ticket_event(body, now).map(|message| message.has_unknown_priority),
        EventQueue::Users => user_event(body, now).map(|_| false),
    };
    let (faults, has_unknown_priority) = match parsed {
        Ok(has_unknown_priority) => (Vec::new(), has_unknown_priority),
        Err(poison) => (poison.faults(), false),
    };
    let mut warnings = Vec::new();
    if has_unknown_priority {
        let rule = "is none of critical, urgent, high, medium and low, so it counts as medium";
        warnings.push(format!("data.ticket.priority: {rule}"));
    }

    // A message without an event already has a fault.
    let event = event_in(body).unwrap_or_default();
    let kind = event
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind.starts_with(other_kinds) {
        warnings.push(format!(
            "type: {} belongs on the other queue",
            kind.escape_debug()
        ));
    }
    let inner = |parent: Option<&Value>, name: &str| {
        parent.and_then(|parent| parent.get(name)?.as_object().cloned())
    };
    let data = event.get("data");
    let described = inner(data, object);
    similar_fields("", &event, EVENT, &mut warnings);
    if let Some(data) = data.and_then(Value::as_object) {
        similar_fields("data.", data, data_fields, &mut warnings);
    }
    if let Some(described) = &described {
        // An event of a deletion needs the id alone.
        let fields = if kind.ends_with(".deleted") {
            &fields[..1]
        } else {
            fields
        };
        similar_fields(&format!("data.{object}."), described, fields, &mut warnings);
    }
    let is_snapshot = queue == EventQueue::Tickets && !kind.ends_with(".deleted");
    CheckReport {
        event_id: event.get("id").and_then(Value::as_str).map(str::to_owned),
        faults,
        warnings,
        has_status: described
            .filter(|_| is_snapshot)
            .map(|ticket| has_value(&ticket, "status")),
    }
}

fn has_value(object: &Map<String, Value>, name: &str) -> bool {
    object
        .get(name)
        .is_some_and(|value| !value.is_null() && !is_blank(value))
}

/// Warns of each unknown field with a name similar to that of a missing field.
fn similar_fields(
    path: &str,
    object: &Map<String, Value>,
    fields: &[Field],
    warnings: &mut Vec<String>,
) {
    let is_known = |name: &str| fields.iter().any(|field| field.names.contains(&name));
    let missing: Vec<_> = fields
        .iter()
        .filter(|field| !field.names.iter().any(|name| has_value(object, name)))
        .collect();
    for name in object
        .keys()
        .filter(|name| !is_known(name) && has_value(object, name))
    {
        if let Some(field) = missing.iter().find(|field| field.is_like(name)) {
            let names = field.names.join(" or ");
            warnings.push(format!(
                "{path}{}: is not read, the field is named {names}",
                name.escape_debug()
            ));
        }
    }
}

impl Field {
    /// Returns whether a name is one of the similar names, is written in another style (`dueDate`),
    /// or has one typing error.
    fn is_like(&self, name: &str) -> bool {
        let name = letters(name);
        self.similar.iter().any(|similar| letters(similar) == name)
            || self
                .names
                .iter()
                .any(|known| is_close(&letters(known), &name))
    }
}

/// Returns the letters and digits of a name, in lower case.
fn letters(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Returns whether two names are equal, or long enough and differ by one typing error: a letter
/// replaced, added or removed, or two letters exchanged.
fn is_close(a: &[char], b: &[char]) -> bool {
    const SHORTEST: usize = 5;
    if a == b || a.len().min(b.len()) < SHORTEST {
        return a == b;
    }
    let same_start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    match (&a[..a.len() - same_end], &b[..b.len() - same_end]) {
        ([] | [_], [] | [_]) => true,
        ([a1, a2], [b1, b2]) => a1 == b2 && a2 == b1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_736_067_600);

    #[expect(
        clippy::needless_pass_by_value,
        reason = "every caller makes the fields"
    )]
    fn event(kind: &str, object: &str, fields: Value) -> Value {
        json!({
            "specversion": "1.0", "id": "e-1", "source": "/desk", "type": kind, "time": "2025-01-05T08:00:00Z",
            "data": { "organization_id": "acme", object: fields },
        })
    }

    /// Checks a message, with the warnings in the order of their texts: a JSON object has no order.
    fn check(queue: EventQueue, body: &str) -> CheckReport {
        let mut found = super::check(queue, body, NOW);
        found.warnings.sort();
        found
    }

    fn ticket(fields: Value) -> CheckReport {
        check(
            EventQueue::Tickets,
            &event("ticket.created", "ticket", fields).to_string(),
        )
    }

    #[test]
    fn valid_event_has_no_findings() {
        let good = ticket(json!({
            "id": 7, "status": "Open", "priority": "high", "category": "VPN", "subject": "It is slow", "queue_time": 4,
            "team_id": "550e8400-e29b-41d4-a716-446655440000", "team": "Network", "closed_at": null, "group": null,
            "resolved_at": "2025-01-05T07:30:00Z",
        }));
        let expected = CheckReport {
            event_id: Some("e-1".to_owned()),
            faults: vec![],
            warnings: vec![],
            has_status: Some(true),
        };
        assert_eq!(good, expected);
    }

    #[test]
    fn field_with_a_similar_name_is_a_warning() {
        for (name, meant) in [
            ("state", "status"),
            ("Status", "status"),
            ("stauts", "status"),
            ("statuss", "status"),
            ("statu", "status"),
            ("ztatus", "status"),
            ("assigned_to", "assignee_id or assigned_user_id"),
            ("assigneeId", "assignee_id or assigned_user_id"),
            ("group", "team_id or assigned_team_id"),
            ("dueDate", "due_at or due_date"),
            ("update_at", "updated_at"),
        ] {
            let found = ticket(json!({ "id": "T-1", name: "x" }));
            let warning = format!("data.ticket.{name}: is not read, the field is named {meant}");
            assert_eq!(
                (found.faults.len(), found.warnings),
                (0, vec![warning]),
                "{name}"
            );
        }
        for unlike in ["subject", "description", "tagged", "stat", "staging", "ids"] {
            assert_eq!(
                ticket(json!({ "id": "T-1", unlike: "x" })).warnings,
                [""; 0],
                "{unlike}"
            );
        }
        let hostile = ticket(json!({ "id": "T-1", "st\u{1b}ate": "open" }));
        assert_eq!(
            hostile.warnings,
            ["data.ticket.st\\u{1b}ate: is not read, the field is named status"]
        );
    }

    #[test]
    fn attributes_and_data_have_similar_names_too() {
        let body = json!({
            "specversion": "1.0", "id": "e-1", "type": "ticket.created", "timestamp": "2025-01-05T08:00:00Z",
            "data": { "organizationId": "acme", "incident": {} },
        });
        let found = check(EventQueue::Tickets, &body.to_string());
        assert_eq!(
            found.faults,
            [
                "data.organization_id: is required",
                "data.ticket: is required"
            ]
        );
        assert_eq!(
            found.warnings,
            [
                "data.incident: is not read, the field is named ticket",
                "data.organizationId: is not read, the field is named organization_id",
                "timestamp: is not read, the field is named time",
            ]
        );
        assert_eq!(found.has_status, None);
    }

    #[test]
    fn unknown_priority_and_other_queue_are_warnings() {
        let unknown = ticket(json!({ "id": "T-1", "status": "new", "priority": "P1" }));
        assert_eq!(
            unknown.warnings,
            [
                "data.ticket.priority: is none of critical, urgent, high, medium and low, so it counts as medium"
            ]
        );
        let user = event(
            "user.created",
            "user",
            json!({ "id": "123e4567-e89b-12d3-a456-426614174000" }),
        )
        .to_string();
        let wrong = check(EventQueue::Tickets, &user);
        assert_eq!(wrong.faults.len(), 2, "{wrong:?}");
        assert_eq!(
            wrong.warnings,
            ["type: user.created belongs on the other queue"]
        );
        let right = check(EventQueue::Users, &user);
        assert_eq!(
            (right.faults.len(), right.warnings.len(), right.has_status),
            (0, 0, None)
        );
    }

    #[test]
    fn only_snapshots_of_tickets_need_a_status() {
        let has_status = |kind: &str, fields: Value| {
            check(
                EventQueue::Tickets,
                &event(kind, "ticket", fields).to_string(),
            )
            .has_status
        };
        assert_eq!(
            has_status("ticket.created", json!({ "id": "T-1", "status": "" })),
            Some(false)
        );
        assert_eq!(
            has_status("ticket.updated", json!({ "id": "T-1", "status": "lost" })),
            Some(true)
        );
        assert_eq!(has_status("ticket.deleted", json!({ "id": "T-1" })), None);
        assert_eq!(check(EventQueue::Tickets, "{").has_status, None);
    }

    #[test]
    fn user_fields_have_their_own_similar_names() {
        let user = |kind: &str, fields: Value| {
            check(EventQueue::Users, &event(kind, "user", fields).to_string()).warnings
        };
        let fields = json!({ "id": "123e4567-e89b-12d3-a456-426614174000", "displayName": "Ann", "active": true });
        assert_eq!(
            user("user.updated", fields.clone()),
            [
                "data.user.active: is not read, the field is named status or is_active",
                "data.user.displayName: is not read, the field is named name or full_name",
            ]
        );
        assert_eq!(user("user.deleted", fields), [""; 0]);
    }
}

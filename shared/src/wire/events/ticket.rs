//! The ticket events: `ticket.created`, `ticket.updated`, `ticket.unassigned`, `ticket.deleted`.

use super::{CloudEvent, Fields, Poison};
use crate::domain::{
    Priority, TicketEvent, TicketEventKind, TicketId, TicketSnapshot, TicketStatus, Timestamp, Topics,
};

/// Parses the body of a message on the ticket queue.
///
/// # Errors
/// What keeps it from ever being understood.
pub fn ticket_event(body: &str, now: Timestamp) -> Result<TicketEvent, Poison> {
    let event = CloudEvent::parse(body)?;
    let kind = match event.kind.as_str() {
        "ticket.created" | "ticket.updated" => TicketEventKind::Snapshot,
        "ticket.unassigned" => TicketEventKind::Unassigned,
        "ticket.deleted" => TicketEventKind::Deleted,
        _ => {
            let known = "must be ticket.created, ticket.updated, ticket.unassigned or ticket.deleted";
            return Err(Poison::field("type", known));
        }
    };
    let organization_id = event.organization_id()?;
    let fields = event.data.object("ticket")?;
    let version = event.version(fields.time("updated_at")?, &fields.path_of("updated_at"), now)?;
    Ok(TicketEvent { organization_id, kind, version, ticket: snapshot(&fields)? })
}

fn snapshot(fields: &Fields) -> Result<TicketSnapshot, Poison> {
    let id = TicketId::parse(&fields.required_text("id")?)
        .map_err(|_| fields.broken("id", "must have 1 to 128 characters of A-Z a-z 0-9 _ . : -"))?;
    let status = fields.text("status")?.map(|text| {
        let words = TicketStatus::ALL.map(TicketStatus::as_str).join(", ");
        TicketStatus::parse(&text).ok_or_else(|| fields.broken("status", format_args!("must be one of {words}")))
    });
    // A priority of some other form is an unknown one.
    let priority = |fields: &Fields, field: &str| {
        Ok(fields.get(field).map(|value| value.as_str().map(Priority::of).unwrap_or_default()))
    };
    let topic = |fields: &Fields, field: &str| Ok(fields.text(field)?.as_deref().and_then(Topics::topic));
    let topics = |fields: &Fields, field: &str| Ok(fields.texts(field)?.map(Topics::of));
    Ok(TicketSnapshot {
        id,
        status: status.transpose()?,
        priority: fields.update("priority", priority)?,
        category: fields.update("category", topic)?,
        subcategory: fields.update("subcategory", topic)?,
        tags: fields.update("tags", topics)?,
        team_id: fields.team_id(fields.named(&["team_id", "assigned_team_id"]))?,
        assignee_id: fields.user_id(fields.named(&["assignee_id", "assigned_user_id"]))?,
        created_at: fields.time("created_at")?,
        resolved_at: fields.update("resolved_at", Fields::time)?,
        due_at: fields.update(fields.named(&["due_at", "due_date"]), Fields::time)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{EventVersion, FieldUpdate, Folded, OrganizationId, TeamId, UserId};

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
        ticket_event(&event.to_string(), now()).map_err(|poison| poison.to_string())
    }

    #[test]
    fn both_platforms_tickets_mean_the_same() {
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
            version: EventVersion {
                at: Timestamp::from_secs(1_736_062_200),
                time: Some(Timestamp::from_secs(1_736_064_000)),
                event_id: "e-1".to_owned(),
            },
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
    fn an_event_bridge_envelope_is_looked_through() {
        let wrapped =
            json!({"version": "0", "id": "x", "detail-type": "ticket.created", "source": "desk", "detail": event()});
        assert_eq!(parse(&wrapped), parse(&event()));
        assert_eq!(parse(&json!({"detail-type": "x"})), Err("detail: must be a CloudEvent".to_owned()));
    }

    #[test]
    fn the_version_is_the_tickets_own_time_or_else_the_events() {
        assert_eq!(parse(&event()).unwrap().version.at, Timestamp::from_secs(1_736_064_000));
        let mut timeless = event();
        timeless["time"] = Value::Null;
        let needed = "data.ticket.updated_at: is required where the event has no time";
        assert_eq!(parse(&timeless), Err(needed.to_owned()));
    }

    #[test]
    fn poison_names_the_field_and_the_rule() {
        let with = |pointer: &str, value: Value| {
            let mut event = event();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            event.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(field.to_owned(), value);
            parse(&event).unwrap_err()
        };
        for (pointer, value, reason) in [
            ("/specversion", json!("0.3"), "specversion: must be 1.0"),
            ("/specversion", Value::Null, "not a CloudEvent: specversion is missing"),
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
            ("/data/ticket/id", json!(7), "data.ticket.id: must be a string"),
            ("/data/ticket/id", json!("#"), "data.ticket.id: must have 1 to 128 characters of A-Z a-z 0-9 _ . : -"),
            (
                "/data/ticket/status",
                json!("lost"),
                "data.ticket.status: must be one of new, open, in_progress, pending, on_hold, resolved, closed, cancelled",
            ),
            ("/data/ticket/team_id", json!("usr_1"), "data.ticket.team_id: must be a team's UUID"),
            ("/data/ticket/assigned_user_id", json!("bob"), "data.ticket.assigned_user_id: must be a user's UUID"),
            ("/data/ticket/tags", json!(["a", 1]), "data.ticket.tags: must be an array of strings"),
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
            ("/time", json!("2099-01-01T00:00:00Z"), "time: is more than 5 minutes in the future"),
        ] {
            assert_eq!(with(pointer, value), reason);
        }
        assert!(ticket_event("{", now()).unwrap_err().to_string().starts_with("not JSON: "));
        assert_eq!(parse(&json!([])), Err("not a CloudEvent: not a JSON object".to_owned()));
    }
}

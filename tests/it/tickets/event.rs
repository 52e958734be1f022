//! Builder of ticket events.

use muster_domain::Timestamp;
use serde_json::{Map, Value, json};

use super::{MORNING, Platform};

/// A ticket event of a platform.
#[derive(Debug, Clone)]
pub(super) struct PlatformEvent {
    pub(super) platform: Platform,
    pub(super) organization: String,
    pub(super) fields: Map<String, Value>,
    pub(super) event_id: Option<String>,
    /// The time of the event, if it differs from `updated_at`.
    pub(super) event_time: Option<Value>,
}

impl PlatformEvent {
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Sets a field by the platform's name for it.
    pub(super) fn named(self, toptickets: &str, itsm: &str, value: impl Into<Value>) -> Self {
        let name = if self.platform == Platform::Itsm {
            itsm
        } else {
            toptickets
        };
        self.with(name, value)
    }

    pub(super) fn status(self, status: &str) -> Self {
        self.with("status", status)
    }

    /// Sets the priority. TopTickets writes `urgent` for `critical`.
    pub(super) fn priority(self, priority: &str) -> Self {
        let word = if priority == "critical" && self.platform == Platform::TopTickets {
            "urgent"
        } else {
            priority
        };
        self.with("priority", word)
    }

    pub(super) fn about(self, category: &str) -> Self {
        self.with("category", category)
    }

    pub(super) fn team(self, team: &str) -> Self {
        let id = self.platform.team(team);
        self.named("team_id", "assigned_team_id", id)
    }

    pub(super) fn assignee(self, user: &str) -> Self {
        let id = self.platform.user(user);
        self.named("assignee_id", "assigned_user_id", id)
    }

    /// Sets `updated_at`, in seconds after [`MORNING`].
    pub(super) fn at(self, after: i64) -> Self {
        let time = self.platform.time(after);
        self.with("updated_at", time)
    }

    pub(super) fn opened(self, after: i64) -> Self {
        let time = self.platform.time(after);
        self.with("created_at", time)
    }

    pub(super) fn resolved(self, after: i64) -> Self {
        let time = self.platform.time(after);
        self.with("resolved_at", time)
    }

    pub(super) fn due(self, after: i64) -> Self {
        let time = self.platform.time(after);
        self.named("due_at", "due_date", time)
    }

    /// Sets the time of the event, in milliseconds after [`MORNING`].
    pub(super) fn sent_at(mut self, millis: i64) -> Self {
        self.event_time = Some(
            Timestamp::from_millis(MORNING * 1000 + millis)
                .iso8601_millis()
                .into(),
        );
        self
    }

    /// Removes the time of the event.
    pub(super) fn without_event_time(mut self) -> Self {
        self.event_time = Some(Value::Null);
        self
    }

    /// Sets the id of the event. It orders events of equal time.
    pub(super) fn event_id(mut self, event_id: &str) -> Self {
        self.event_id = Some(event_id.to_owned());
        self
    }

    pub(super) fn event(self, kind: &str) -> Value {
        let Self {
            platform: _,
            organization,
            fields,
            event_id,
            event_time,
        } = self;
        let time = event_time
            .or_else(|| fields.get("updated_at").cloned())
            .unwrap_or_default();
        let event_id = event_id.unwrap_or_else(|| format!("{}@{time}.{kind}", fields["id"]));
        json!({
            "specversion": "1.0", "id": event_id, "source": "/desk", "type": kind, "time": time,
            "data": { "organization_id": organization, "ticket": fields },
        })
    }

    pub(super) fn created(self) -> Value {
        self.event("ticket.created")
    }

    pub(super) fn updated(self) -> Value {
        self.event("ticket.updated")
    }

    pub(super) fn unassigned(self) -> Value {
        self.event("ticket.unassigned")
    }

    pub(super) fn deleted(self) -> Value {
        self.event("ticket.deleted")
    }
}

//! The events that arrive on the queues: CloudEvents 1.0 in JSON, bare or in the envelope that EventBridge puts around them.
//!
//! Both platforms' words for one thing are read. What is absent or `null` was not said. Whatever can never be understood is
//! [`Poison`]: it names the field and the rule, and belongs in the dead-letter queue.

mod ticket;
mod time;
mod user;

use std::fmt;

use serde_json::{Map, Value};

use crate::domain::{EventVersion, FieldUpdate, OrganizationId, TeamId, Timestamp, UserId};

pub use ticket::ticket_event;
pub use user::user_event;

/// Why a message can never succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison(String);

impl Poison {
    /// What is wrong, in one line.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The event is of an organization that nobody works with here.
    #[must_use]
    pub fn unknown_organization() -> Self {
        Self::field("data.organization_id", "there is no such organization")
    }

    /// What is wrong with a field.
    fn field(path: &str, rule: impl fmt::Display) -> Self {
        Self(format!("{path}: {rule}"))
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Poison {}

/// The most bytes that an event's id may have: it is kept with every field that the event sets.
const MAX_EVENT_ID_BYTES: usize = 256;

/// How far ahead of our clock an event may be. One from next year would outvote everything until then.
const MAX_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);

/// The event in a message, taken out of EventBridge's envelope where it is in one. Nothing else is asked of it.
///
/// # Errors
/// There is no JSON object.
pub fn event_in(body: &str) -> Result<Map<String, Value>, Poison> {
    let value: Value = serde_json::from_str(body).map_err(|error| Poison(format!("not JSON: {error}")))?;
    let Value::Object(mut event) = value else { return Err(Poison::new("not a CloudEvent: not a JSON object")) };
    if event.contains_key("detail-type") && !event.contains_key("specversion") {
        let Some(Value::Object(detail)) = event.remove("detail") else {
            return Err(Poison::field("detail", "must be a CloudEvent"));
        };
        event = detail;
    }
    Ok(event)
}

/// A `CloudEvent`, as far as it is read.
struct CloudEvent {
    id: String,
    kind: String,
    time: Option<Timestamp>,
    data: Fields,
}

impl CloudEvent {
    fn parse(body: &str) -> Result<Self, Poison> {
        let event = Fields { path: String::new(), values: event_in(body)? };
        match event.text("specversion")?.as_deref() {
            Some("1.0") => {}
            Some(_) => return Err(Poison::field("specversion", "must be 1.0")),
            None => return Err(Poison::new("not a CloudEvent: specversion is missing")),
        }
        let id = event.required_text("id")?;
        if id.is_empty() || id.len() > MAX_EVENT_ID_BYTES {
            return Err(Poison::field("id", format_args!("must have 1 to {MAX_EVENT_ID_BYTES} bytes")));
        }
        Ok(Self { id, kind: event.required_text("type")?, time: event.time("time")?, data: event.object("data")? })
    }

    /// The version of what the event says of something that was changed at `updated_at`.
    fn version(&self, updated_at: Option<Timestamp>, path: &str, now: Timestamp) -> Result<EventVersion, Poison> {
        let (at, path) = match (updated_at, self.time) {
            (Some(at), _) => (at, path),
            (None, Some(at)) => (at, "time"),
            (None, None) => return Err(Poison::field(path, "is required where the event has no time")),
        };
        if at > now.plus(MAX_AHEAD) {
            return Err(Poison::field(path, "is more than 5 minutes in the future"));
        }
        Ok(EventVersion { at, time: self.time, event_id: self.id.clone() })
    }

    fn organization_id(&self) -> Result<OrganizationId, Poison> {
        let text = self.data.required_text("organization_id")?;
        let rule = "must have 1 to 64 characters of A-Z a-z 0-9 _ -";
        OrganizationId::parse(&text).map_err(|_| self.data.broken("organization_id", rule))
    }
}

/// The fields of a JSON object, and where it stands in the event.
struct Fields {
    path: String,
    values: Map<String, Value>,
}

impl Fields {
    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    fn broken(&self, field: &str, rule: impl fmt::Display) -> Poison {
        Poison::field(&self.path_of(field), rule)
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    /// The first of these names that the platform uses.
    fn named<'n>(&self, names: &[&'n str]) -> &'n str {
        let with_value = names.iter().find(|name| self.get(name).is_some());
        with_value.or_else(|| names.iter().find(|name| self.values.contains_key(**name))).unwrap_or(&names[0])
    }

    /// Tells a field that is absent from one that is `null`, and reads the value of any other.
    fn update<T>(
        &self,
        field: &str,
        read: impl Fn(&Self, &str) -> Result<Option<T>, Poison>,
    ) -> Result<FieldUpdate<T>, Poison> {
        if !self.values.contains_key(field) {
            return Ok(FieldUpdate::Absent);
        }
        Ok(read(self, field)?.map_or(FieldUpdate::Cleared, FieldUpdate::Set))
    }

    fn object(&self, field: &str) -> Result<Self, Poison> {
        match self.get(field) {
            Some(Value::Object(values)) => Ok(Self { path: self.path_of(field), values: values.clone() }),
            Some(_) => Err(self.broken(field, "must be an object")),
            None => Err(self.broken(field, "is required")),
        }
    }

    fn text(&self, field: &str) -> Result<Option<String>, Poison> {
        match self.get(field) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.broken(field, "must be a string")),
            None => Ok(None),
        }
    }

    fn required_text(&self, field: &str) -> Result<String, Poison> {
        self.text(field)?.ok_or_else(|| self.broken(field, "is required"))
    }

    fn texts(&self, field: &str) -> Result<Option<Vec<String>>, Poison> {
        let rule = "must be an array of strings";
        match self.get(field) {
            Some(Value::Array(values)) => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                values.iter().map(text).collect::<Option<_>>().map(Some).ok_or_else(|| self.broken(field, rule))
            }
            Some(_) => Err(self.broken(field, rule)),
            None => Ok(None),
        }
    }

    fn time(&self, field: &str) -> Result<Option<Timestamp>, Poison> {
        let rule = "must be a time in ISO 8601 or in Unix seconds";
        match self.get(field) {
            Some(value) => time::parse(value).map(Some).ok_or_else(|| self.broken(field, rule)),
            None => Ok(None),
        }
    }

    fn team_id(&self, field: &str) -> Result<Option<TeamId>, Poison> {
        let id = |text: String| TeamId::parse(&text).map_err(|_| self.broken(field, "must be a team's UUID"));
        self.text(field)?.map(id).transpose()
    }

    fn user_id(&self, field: &str) -> Result<Option<UserId>, Poison> {
        let id = |text: String| UserId::parse(&text).map_err(|_| self.broken(field, "must be a user's UUID"));
        self.text(field)?.map(id).transpose()
    }
}

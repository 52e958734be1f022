//! Reads the fields of a JSON object.

use serde_json::{Map, Value};

use super::{fault::Fault, time};
use muster_domain::{FieldUpdate, TeamId, Timestamp, UserId};

/// The fields of a JSON object and its path in the event.
#[derive(Debug)]
pub(super) struct Fields<'e> {
    path: String,
    values: &'e Map<String, Value>,
}

impl<'e> Fields<'e> {
    /// Returns the attributes of an event as fields.
    pub(super) fn of_event(values: &'e Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            values,
        }
    }

    /// Returns a fault of a field.
    pub(super) fn fault(&self, field: &str, rule: impl std::fmt::Display) -> Fault {
        Fault::new(&self.path_of(field), rule)
    }

    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }

    fn get(&self, field: &str) -> Option<&'e Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    /// Returns the first of these names that has a value, with the value. An empty text is no
    /// value: the exports of both platforms write it for a field without a value.
    fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'e Value)> {
        let value = |name: &&'n str| {
            self.get(name)
                .filter(|value| !is_blank(value))
                .map(|value| (*name, value))
        };
        names.iter().find_map(value)
    }

    /// Returns whether the field is present, also as `null` or as an empty text.
    pub(super) fn has(&self, field: &str) -> bool {
        self.values.contains_key(field)
    }

    /// Reads a required field.
    pub(super) fn required<T>(
        &self,
        field: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let value = self
            .get(field)
            .ok_or_else(|| self.fault(field, "is required"))?;
        parse(value).map_err(|rule| self.fault(field, rule))
    }

    /// Reads an object that the event must have.
    pub(super) fn object(&self, field: &str) -> Result<Self, Fault> {
        match self.get(field) {
            Some(Value::Object(values)) => Ok(Self {
                path: self.path_of(field),
                values,
            }),
            Some(_) => Err(self.fault(field, "must be an object")),
            None => Err(self.fault(field, "is required")),
        }
    }

    /// Reads an optional field by either platform's name for it. `null` and an empty text are the
    /// same as absent.
    pub(super) fn optional<T>(
        &self,
        names: &[&str],
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, Fault> {
        let read = |(name, value)| parse(value).map_err(|rule| self.fault(name, rule));
        self.first(names).map(read).transpose()
    }

    /// Reads an optional field that `null` clears. If the fields of both platforms are present, a
    /// value has precedence over `null`.
    pub(super) fn update<T>(
        &self,
        names: &[&str],
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<FieldUpdate<T>, Fault> {
        let is_null = |name: &&str| self.values.get(*name).is_some_and(Value::is_null);
        match self.optional(names, parse)? {
            Some(value) => Ok(FieldUpdate::Set(value)),
            None if names.iter().any(is_null) => Ok(FieldUpdate::Cleared),
            None => Ok(FieldUpdate::Absent),
        }
    }
}

/// Returns whether a value is a text of white space alone.
pub(super) fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Parses a text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| "must be a string".to_owned())
}

/// Parses a list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let texts = value
        .as_array()
        .and_then(|values| values.iter().map(|value| text(value).ok()).collect());
    texts.ok_or_else(|| "must be an array of strings".to_owned())
}

/// Parses a time.
pub(super) fn timestamp(value: &Value) -> Result<Timestamp, String> {
    time::parse(value).ok_or_else(|| "must be a time in ISO 8601 or in Unix seconds".to_owned())
}

/// Parses the id of a team, with or without its prefix.
pub(super) fn team_id(value: &Value) -> Result<TeamId, String> {
    let id = value.as_str().and_then(|text| TeamId::parse(text).ok());
    id.ok_or_else(|| "must be a team's UUID".to_owned())
}

/// Parses the id of a user, with or without its prefix.
pub(super) fn user_id(value: &Value) -> Result<UserId, String> {
    let id = value.as_str().and_then(|text| UserId::parse(text).ok());
    id.ok_or_else(|| "must be a user's UUID".to_owned())
}

//! Filter patterns of event source mappings, as far as they are used.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

/// What a record has to be like: every field that is named matches one of its alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(BTreeMap<String, Rule>);

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Fields(Filter),
    OneOf(Vec<Alternative>),
}

#[derive(Debug, Clone, PartialEq)]
enum Alternative {
    Is(Value),
    Prefix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
}

impl Filter {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is not JSON, or uses something that the local stack does not know.
    pub fn parse(pattern: &str) -> anyhow::Result<Self> {
        Self::of(serde_json::from_str(pattern).with_context(|| format!("the pattern {pattern}"))?)
    }

    fn of(pattern: Value) -> anyhow::Result<Self> {
        let Value::Object(fields) = pattern else {
            bail!("a pattern is an object")
        };
        let rule = |(name, rule)| {
            let rule = match rule {
                Value::Array(alternatives) => Rule::OneOf(
                    alternatives
                        .into_iter()
                        .map(Alternative::of)
                        .collect::<anyhow::Result<_>>()?,
                ),
                fields => Rule::Fields(Self::of(fields)?),
            };
            Ok((name, rule))
        };
        fields
            .into_iter()
            .map(rule)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Whether a record is like that.
    #[must_use]
    pub fn matches(&self, record: &Value) -> bool {
        self.0.iter().all(|(name, rule)| {
            let value = record.get(name);
            match rule {
                Rule::Fields(filter) => filter.matches(value.unwrap_or(&Value::Null)),
                Rule::OneOf(alternatives) => alternatives
                    .iter()
                    .any(|alternative| alternative.matches(value)),
            }
        })
    }
}

impl Alternative {
    fn of(alternative: Value) -> anyhow::Result<Self> {
        let Value::Object(comparison) = &alternative else {
            return Ok(Self::Is(alternative));
        };
        match comparison.iter().collect::<Vec<_>>().as_slice() {
            [(name, Value::String(prefix))] if *name == "prefix" => {
                Ok(Self::Prefix(prefix.clone()))
            }
            [(name, Value::Bool(exists))] if *name == "exists" => Ok(Self::Exists(*exists)),
            [(name, Value::Array(values))]
                if *name == "anything-but" && values.iter().all(is_plain) =>
            {
                Ok(Self::AnythingBut(values.clone()))
            }
            _ => bail!("the local stack knows no comparison {alternative}"),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Is(expected) => value == Some(expected),
            Self::Prefix(prefix) => value
                .and_then(Value::as_str)
                .is_some_and(|text| text.starts_with(prefix)),
            Self::Exists(exists) => value.is_some() == *exists,
            Self::AnythingBut(values) => value.is_some_and(|value| !values.contains(value)),
        }
    }
}

/// Whether a value can be compared by being the same.
fn is_plain(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_matches_one_of_its_alternatives() {
        let filter = Filter::parse(
            r#"{"name": ["INSERT", "MODIFY"], "keys": {"pk": [{"prefix": "ORG#"}]}}"#,
        )
        .unwrap();
        assert!(
            filter
                .matches(&json!({"name": "INSERT", "keys": {"pk": "ORG#1", "sk": "x"}, "more": 1}))
        );
        for record in [
            json!({"name": "REMOVE", "keys": {"pk": "ORG#1"}}),
            json!({"name": "INSERT", "keys": {"pk": "KEY#1"}}),
            json!({"name": "INSERT", "keys": {"pk": 1}}),
            json!({"name": "INSERT"}),
            json!(null),
        ] {
            assert!(!filter.matches(&record), "{record}");
        }
    }

    #[test]
    fn a_field_may_have_to_be_absent() {
        let filter = Filter::parse(r#"{"a": {"b": [{"exists": false}, 7]}}"#).unwrap();
        assert!(filter.matches(&json!({})) && filter.matches(&json!({"a": {"b": 7}})));
        assert!(!filter.matches(&json!({"a": {"b": null}})));
    }

    #[test]
    fn a_field_may_have_to_be_something_else() {
        let filter = Filter::parse(r#"{"a": [{"anything-but": ["x", 1]}]}"#).unwrap();
        assert!(filter.matches(&json!({"a": "y"})) && filter.matches(&json!({"a": "1"})));
        for record in [json!({"a": "x"}), json!({"a": 1}), json!({})] {
            assert!(!filter.matches(&record), "{record}");
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for pattern in [
            "",
            "[]",
            r#"{"a": "b"}"#,
            r#"{"a": [{"numeric": [">", 1]}]}"#,
            r#"{"a": [{"prefix": 1}]}"#,
            r#"{"a": [{"anything-but": "x"}]}"#,
            r#"{"a": [{"anything-but": [{"prefix": "x"}]}]}"#,
        ] {
            assert!(Filter::parse(pattern).is_err(), "{pattern}");
        }
    }
}

//! Filter patterns of event source mappings, as far as the template uses them.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

/// A pattern: every named field of a record matches one of its comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter(BTreeMap<String, Matcher>);

#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    Fields(EventFilter),
    OneOf(Vec<Comparison>),
}

#[derive(Debug, Clone, PartialEq)]
enum Comparison {
    Is(Value),
    Prefix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
}

impl EventFilter {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The text is not JSON, or uses an unsupported feature.
    pub fn parse(pattern: &str) -> anyhow::Result<Self> {
        Self::of(serde_json::from_str(pattern).with_context(|| format!("the pattern {pattern}"))?)
    }

    fn of(pattern: Value) -> anyhow::Result<Self> {
        let Value::Object(fields) = pattern else {
            bail!("a pattern is an object")
        };
        let matcher = |(name, matcher)| {
            let matcher = match matcher {
                Value::Array(comparisons) => Matcher::OneOf(
                    comparisons
                        .into_iter()
                        .map(Comparison::of)
                        .collect::<anyhow::Result<_>>()?,
                ),
                fields => Matcher::Fields(Self::of(fields)?),
            };
            Ok((name, matcher))
        };
        fields
            .into_iter()
            .map(matcher)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Tells whether a record matches.
    #[must_use]
    pub fn matches(&self, record: &Value) -> bool {
        self.0.iter().all(|(name, matcher)| {
            let value = record.get(name);
            match matcher {
                Matcher::Fields(filter) => filter.matches(value.unwrap_or(&Value::Null)),
                Matcher::OneOf(comparisons) => comparisons
                    .iter()
                    .any(|comparison| comparison.matches(value)),
            }
        })
    }
}

impl Comparison {
    fn of(comparison: Value) -> anyhow::Result<Self> {
        let Value::Object(operator) = &comparison else {
            return Ok(Self::Is(comparison));
        };
        match operator.iter().collect::<Vec<_>>().as_slice() {
            [(name, Value::String(prefix))] if *name == "prefix" => {
                Ok(Self::Prefix(prefix.clone()))
            }
            [(name, Value::Bool(exists))] if *name == "exists" => Ok(Self::Exists(*exists)),
            [(name, Value::Array(values))]
                if *name == "anything-but" && values.iter().all(is_scalar) =>
            {
                Ok(Self::AnythingBut(values.clone()))
            }
            _ => bail!("the local stack does not support the comparison {comparison}"),
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

/// Tells whether a value supports comparison by equality.
fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pattern_matches_one_comparison_per_field() {
        let filter = EventFilter::parse(
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
    fn pattern_can_require_an_absent_field() {
        let filter = EventFilter::parse(r#"{"a": {"b": [{"exists": false}, 7]}}"#).unwrap();
        assert!(filter.matches(&json!({})) && filter.matches(&json!({"a": {"b": 7}})));
        assert!(!filter.matches(&json!({"a": {"b": null}})));
    }

    #[test]
    fn pattern_can_exclude_values() {
        let filter = EventFilter::parse(r#"{"a": [{"anything-but": ["x", 1]}]}"#).unwrap();
        assert!(filter.matches(&json!({"a": "y"})) && filter.matches(&json!({"a": "1"})));
        for record in [json!({"a": "x"}), json!({"a": 1}), json!({})] {
            assert!(!filter.matches(&record), "{record}");
        }
    }

    #[test]
    fn pattern_with_unknown_operator_is_an_error() {
        for pattern in [
            "",
            "[]",
            r#"{"a": "b"}"#,
            r#"{"a": [{"numeric": [">", 1]}]}"#,
            r#"{"a": [{"prefix": 1}]}"#,
            r#"{"a": [{"anything-but": "x"}]}"#,
            r#"{"a": [{"anything-but": [{"prefix": "x"}]}]}"#,
        ] {
            assert!(EventFilter::parse(pattern).is_err(), "{pattern}");
        }
    }
}

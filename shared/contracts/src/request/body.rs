//! JSON bodies.
//!
//! A body is read one level deep: the value of every field stays raw JSON until somebody asks for
//! it, so that a number too large for any type in a field that nobody reads is not an error.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation};

/// The most bytes a body may have.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most levels of objects and arrays a body may have.
pub const MAX_DEPTH: usize = 128;
/// A body's fields, and the rules they broke so far.
#[derive(Debug)]
pub struct Body<'b> {
    fields: HashMap<String, &'b RawValue>,
    violations: Vec<Violation>,
}

impl<'b> Body<'b> {
    /// Parses a body. Of duplicate keys the last counts.
    ///
    /// # Errors
    /// [`InvalidRequest::Malformed`].
    pub fn parse(body: &'b [u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body).map_err(|_| InvalidRequest::Malformed)?;
        if depth(text) > MAX_DEPTH {
            return Err(InvalidRequest::Malformed);
        }
        let fields = serde_json::from_str(text).map_err(|_| InvalidRequest::Malformed)?;
        Ok(Self {
            fields,
            violations: Vec::new(),
        })
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn required<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, FieldRule>,
    ) -> Result<T, FieldRejected> {
        match self.fields.get(field) {
            None => Err(FieldRule::Missing),
            Some(value) if is_null(value) => Err(FieldRule::Null),
            Some(value) => parse(value),
        }
        .map_err(|rule| self.reject(field, rule))
    }

    /// A field of a new thing: `null` is the same as absent.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn optional<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, FieldRule>,
    ) -> Result<Option<T>, FieldRejected> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Ok(None),
            Some(value) => parse(value).map(Some),
        }
        .map_err(|rule| self.reject(field, rule))
    }

    /// A change to a field that always has a value: absent keeps it.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn change<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, FieldRule>,
    ) -> Result<Option<T>, FieldRejected> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Err(FieldRule::Null),
            Some(value) => parse(value).map(Some),
        }
        .map_err(|rule| self.reject(field, rule))
    }

    /// A change to a field that may have no value: absent keeps it, `null` clears it.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn clearable<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, FieldRule>,
    ) -> Result<Option<Option<T>>, FieldRejected> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Ok(Some(None)),
            Some(value) => parse(value).map(|value| Some(Some(value))),
        }
        .map_err(|rule| self.reject(field, rule))
    }

    /// What was wrong, once a field said [`FieldRejected`].
    #[must_use]
    pub fn invalid(self) -> InvalidRequest {
        InvalidRequest::Violations(self.violations)
    }

    fn reject(&mut self, field: &'static str, rule: FieldRule) -> FieldRejected {
        self.violations.push(Violation {
            location: Location::Body,
            field,
            rule,
        });
        FieldRejected
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// How deeply objects and arrays nest. Counts brackets outside of strings, so it holds for
/// malformed text too.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::fields::{
        description, member_role, queue_strategy, skills, specializations, team_name, user_id,
    };

    #[test]
    fn a_body_is_a_json_object_and_nothing_else() {
        for malformed in [
            "",
            " ",
            "null",
            "[]",
            "1",
            "\"x\"",
            "{",
            "{}{}",
            "{\"a\":}",
            "{\"a\":01}",
            "{'a':1}",
            "\u{feff}{}",
        ] {
            assert_eq!(
                Body::parse(malformed.as_bytes()).unwrap_err(),
                InvalidRequest::Malformed,
                "{malformed:?}"
            );
        }
        assert_eq!(
            Body::parse(b"{\"a\":\"\xff\"}").unwrap_err(),
            InvalidRequest::Malformed
        );
        assert!(Body::parse(b" {\"a\":1e999999, \"a\": -0.0} ").is_ok());
    }

    #[test]
    fn a_body_nests_128_levels_and_no_more() {
        let nested = |levels: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        assert!(Body::parse(nested(128).as_bytes()).is_ok());
        assert_eq!(
            Body::parse(nested(129).as_bytes()).unwrap_err(),
            InvalidRequest::Malformed
        );
        assert!(Body::parse(format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(1000)).as_bytes()).is_ok());
        assert_eq!(
            Body::parse("[".repeat(200_000).as_bytes()).unwrap_err(),
            InvalidRequest::Malformed
        );
    }

    #[test]
    fn the_last_of_duplicate_keys_counts() {
        let mut body = Body::parse(br#"{"name":"first","na\u006de":"last"}"#).unwrap();
        assert_eq!(body.required("name", team_name).unwrap().as_str(), "last");
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        let text = br#"{"null":null,"text":"x","number":1}"#;
        let rule = |mut read: Box<dyn FnMut(&mut Body<'_>) -> bool>| {
            let mut body = Body::parse(text).unwrap();
            let ok = read(&mut body);
            (ok, body.violations.first().map(|violation| violation.rule))
        };
        assert_eq!(
            rule(Box::new(|b| b.required("absent", team_name).is_ok())),
            (false, Some(FieldRule::Missing))
        );
        assert_eq!(
            rule(Box::new(|b| b.required("null", team_name).is_ok())),
            (false, Some(FieldRule::Null))
        );
        assert_eq!(
            rule(Box::new(|b| b.required("number", team_name).is_ok())),
            (false, Some(FieldRule::NotString))
        );
        assert_eq!(
            rule(Box::new(|b| b
                .optional("null", team_name)
                .unwrap()
                .is_none())),
            (true, None)
        );
        assert_eq!(
            rule(Box::new(|b| b
                .change("absent", team_name)
                .unwrap()
                .is_none())),
            (true, None)
        );
        assert_eq!(
            rule(Box::new(|b| b.change("null", team_name).is_ok())),
            (false, Some(FieldRule::Null))
        );
        assert_eq!(
            rule(Box::new(
                |b| b.clearable("null", description).unwrap() == Some(None)
            )),
            (true, None)
        );
        assert_eq!(
            rule(Box::new(|b| b
                .clearable("absent", description)
                .unwrap()
                .is_none())),
            (true, None)
        );
    }

    #[test]
    fn a_lone_surrogate_is_no_text() {
        let mut body = Body::parse(br#"{"name":"\ud800"}"#).unwrap();
        assert!(body.required("name", team_name).is_err());
        assert_eq!(body.violations[0].rule, FieldRule::NotString);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut body) = Body::parse(&body) {
                let _ = body.required("name", team_name);
            }
        }

        #[test]
        fn any_json_value_is_read_or_refused(value in "(\"\\PC{0,8}\"|-?[0-9]{1,40}|\\[(\"a\"(,\"b\")*)?\\]|\\{\\}|true|null)") {
            let text = format!("{{\"x\":{value}}}");
            let mut body = match Body::parse(text.as_bytes()) {
                Ok(body) => body,
                Err(invalid) => { prop_assert_eq!(invalid, InvalidRequest::Malformed); return Ok(()); }
            };
            let read = [
                body.optional("x", team_name).is_ok(),
                body.optional("x", description).is_ok(),
                body.optional("x", user_id).is_ok(),
                body.optional("x", queue_strategy).is_ok(),
                body.optional("x", member_role).is_ok(),
                body.optional("x", specializations).is_ok(),
                body.optional("x", skills).is_ok(),
            ];
            prop_assert_eq!(read.iter().filter(|ok| !**ok).count(), body.violations.len());
        }
    }
}

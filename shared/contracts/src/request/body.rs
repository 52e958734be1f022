//! JSON bodies.
//!
//! A body is parsed one level deep. The value of each field stays raw JSON until a parser reads it.
//! So a number that is too large for any type is no error in an unknown field.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation};

/// The maximum number of bytes of a body.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The maximum number of nested objects and arrays of a body.
pub const MAX_DEPTH: usize = 128;
/// The fields of a body, and the violations found so far.
#[derive(Debug)]
pub struct Body<'b> {
    fields: HashMap<String, &'b RawValue>,
    violations: Vec<Violation>,
}

impl<'b> Body<'b> {
    /// Parses a body. The last of duplicate keys counts.
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

    /// Reads a required field.
    ///
    /// # Errors
    /// The value breaks a rule.
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

    /// Reads an optional field of a new resource: `null` is the same as absent.
    ///
    /// # Errors
    /// The value breaks a rule.
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

    /// Reads an update of a field that always has a value. If it is absent, the field stays
    /// unchanged.
    ///
    /// # Errors
    /// The value breaks a rule.
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

    /// Reads an update of a field that can be without a value. If it is absent, the field stays
    /// unchanged; `null` clears it.
    ///
    /// # Errors
    /// The value breaks a rule.
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

    /// Returns the violations, after a field was [`FieldRejected`].
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

/// Returns the depth of nested objects and arrays. It counts brackets outside of strings, so it
/// works for malformed text too.
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
    fn body_other_than_a_json_object_is_malformed() {
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
    fn body_nests_up_to_128_levels() {
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
    fn last_of_duplicate_keys_counts() {
        let mut body = Body::parse(br#"{"name":"first","na\u006de":"last"}"#).unwrap();
        assert_eq!(body.required("name", team_name).unwrap().as_str(), "last");
    }

    #[test]
    fn absent_null_and_value_are_distinct() {
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
    fn lone_surrogate_is_no_text() {
        let mut body = Body::parse(br#"{"name":"\ud800"}"#).unwrap();
        assert!(body.required("name", team_name).is_err());
        assert_eq!(body.violations[0].rule, FieldRule::NotString);
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut body) = Body::parse(&body) {
                let _ = body.required("name", team_name);
            }
        }

        #[test]
        fn any_json_value_is_read_or_rejected(value in "(\"\\PC{0,8}\"|-?[0-9]{1,40}|\\[(\"a\"(,\"b\")*)?\\]|\\{\\}|true|null)") {
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

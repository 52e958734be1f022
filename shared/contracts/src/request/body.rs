//! JSON bodies.
//!
//! A body is parsed one level deep. The value of each field stays raw JSON until a parser reads it.
//! So a number that is too large for any type is no error in an unknown field.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    malformed::{MAX_DEPTH, MalformedBody},
    unknown_fields::{OnUnknownField, UnknownFields},
    violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation},
};

/// The maximum number of bytes of a body.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The fields of a body, and the violations found so far.
#[derive(Debug)]
pub struct Body<'b> {
    fields: Fields<'b>,
    /// The fields that the parser has read or ignored on purpose.
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl<'b> Body<'b> {
    /// Parses a body with the parser of an endpoint. The last of duplicate keys counts.
    ///
    /// # Errors
    /// The body is malformed, or breaks rules of the parser, or has unknown fields that are
    /// rejected.
    pub fn parse_with<T>(
        body: &'b [u8],
        on_unknown_field: OnUnknownField,
        parser: impl FnOnce(&mut Self) -> Result<T, FieldRejected>,
    ) -> Result<T, InvalidRequest> {
        let mut body = Self::parse(body)?;
        let parsed = parser(&mut body);
        if on_unknown_field == OnUnknownField::Reject {
            let unknown = body.unknown_fields().violations();
            body.violations.extend(unknown);
        }
        match parsed {
            Ok(parsed) if body.violations.is_empty() => Ok(parsed),
            _ => Err(InvalidRequest::Violations(body.violations)),
        }
    }

    /// Returns the fields of a body that the parser of an endpoint does not know. A malformed body
    /// has none.
    pub fn unknown_to<T>(
        body: &'b [u8],
        parser: impl FnOnce(&mut Self) -> Result<T, FieldRejected>,
    ) -> UnknownFields {
        Self::parse(body).map_or_else(
            |_| UnknownFields::default(),
            |mut body| {
                // Every parser reads all of its fields, even after a violation.
                let _ = parser(&mut body);
                body.unknown_fields()
            },
        )
    }

    /// Parses a body.
    ///
    /// # Errors
    /// The body is not a JSON object in UTF-8 of at most [`MAX_DEPTH`] levels.
    pub fn parse(body: &'b [u8]) -> Result<Self, MalformedBody> {
        let text =
            std::str::from_utf8(body).map_err(|error| MalformedBody::not_utf8(body, error))?;
        if let Some(offset) = too_deep_at(text) {
            return Err(MalformedBody::too_deep(text, offset));
        }
        let fields =
            serde_json::from_str(text).map_err(|error| MalformedBody::not_json(text, &error))?;
        Ok(Self {
            fields,
            known: Vec::new(),
            violations: Vec::new(),
        })
    }

    /// Ignores fields that responses have and no request can set, so that a client can send back an
    /// object that it read.
    pub fn ignore(&mut self, read_only: &[&'static str]) {
        self.known.extend(read_only);
    }

    fn unknown_fields(&self) -> UnknownFields {
        let names = self.fields.0.iter().map(|(name, _)| &**name);
        UnknownFields::of(names.filter(|name| !self.known.contains(name)))
    }

    /// Returns the value of a field, which is known from now on.
    fn value(&mut self, field: &'static str) -> Option<&'b RawValue> {
        self.known.push(field);
        let mut last_first = self.fields.0.iter().rev();
        last_first
            .find(|(name, _)| name == field)
            .map(|(_, value)| *value)
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
        match self.value(field) {
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
        match self.value(field) {
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
        match self.value(field) {
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
        match self.value(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Ok(Some(None)),
            Some(value) => parse(value).map(|value| Some(Some(value))),
        }
        .map_err(|rule| self.reject(field, rule))
    }

    fn reject(&mut self, field: &'static str, rule: FieldRule) -> FieldRejected {
        self.violations.push(Violation {
            location: Location::Body,
            field: Some(field.into()),
            rule,
        });
        FieldRejected
    }
}

/// The fields of a JSON object in its order, duplicates included.
#[derive(Debug)]
struct Fields<'b>(Vec<(String, &'b RawValue)>);

impl<'b> Deserialize<'b> for Fields<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'b> Visitor<'b> for FieldsVisitor {
    type Value = Fields<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut object: A) -> Result<Fields<'b>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = object.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Returns the offset of the first object or array beyond [`MAX_DEPTH`]. It counts brackets outside
/// of strings, so it works for malformed text too.
fn too_deep_at(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate();
    let mut in_string = false;
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(offset);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use muster_domain::TeamName;

    use super::*;
    use crate::request::fields::{
        description, member_role, queue_strategy, skills, specializations, team_name, user_id,
    };

    #[test]
    fn body_other_than_a_json_object_is_malformed() {
        let cases: [(&[u8], &str); 15] = [
            (b"", "EOF while parsing a value at line 1, column 1"),
            (b" \n\n", "EOF while parsing a value at line 3, column 1"),
            (b"null", "another JSON value at line 1, column 1"),
            (b" []", "another JSON value at line 1, column 2"),
            (b"\r\n 1", "another JSON value at line 2, column 2"),
            (b"\"tt_x\"", "another JSON value at line 1, column 1"),
            (b"{", "EOF while parsing an object at line 1, column 1"),
            (b"{}{}", "trailing characters at line 1, column 3"),
            (b"{\"a\":}", "expected value at line 1, column 6"),
            (b"{\n\"a\":01}", "invalid number at line 2, column 6"),
            (b"{'a':1}", "key must be a string at line 1, column 2"),
            (b"{\"a\":1,}", "trailing comma at line 1, column 8"),
            (b"name=Network", "expected ident at line 1, column 2"),
            (
                "\u{feff}{}".as_bytes(),
                "expected value at line 1, column 1",
            ),
            (b"{\n\"a\":\"\xff\"}", "invalid UTF-8 at line 2, column 6"),
        ];
        for (body, expected) in cases {
            let malformed = Body::parse(body).unwrap_err();
            assert_eq!(malformed.to_string(), expected, "{body:?}");
        }
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
        let too_deep = |body: &str| Body::parse(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            too_deep(&nested(129)),
            "more than 128 nested levels at line 1, column 133"
        );
        assert!(Body::parse(format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(1000)).as_bytes()).is_ok());
        assert_eq!(
            too_deep(&"[".repeat(200_000)),
            "more than 128 nested levels at line 1, column 129"
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

    /// Parses a team's name, and ignores `id`.
    fn name(body: &mut Body<'_>) -> Result<TeamName, FieldRejected> {
        body.ignore(&["id"]);
        body.required("name", team_name)
    }

    #[test]
    fn field_without_a_parser_is_unknown() {
        let unknown = |body: &str| Body::unknown_to(body.as_bytes(), name).to_string();
        assert_eq!(unknown(r#"{"name":"x","id":[1]}"#), "");
        assert_eq!(
            unknown(r#"{"z":1,"name":5,"b":{"c":1},"na\u006de":null,"\u0061":1,"z":2,"tt_x":3}"#),
            "z, b, a, +1"
        );
        assert_eq!(unknown("{"), "", "a malformed body has no fields");
    }

    #[test]
    fn unknown_field_is_rejected_after_the_other_rules() {
        let parse = |body: &str, on_unknown_field| {
            let error = match Body::parse_with(body.as_bytes(), on_unknown_field, name) {
                Ok(_) => return Vec::new(),
                Err(InvalidRequest::Violations(violations)) => violations,
                Err(invalid) => panic!("{invalid:?}"),
            };
            error.iter().map(Violation::to_string).collect::<Vec<_>>()
        };
        let known = r#"{"id":1,"name":"x"}"#;
        let unknown = r#"{"b":1,"name":"x","tt_x":1,"a":1,"":1}"#;
        let both = r#"{"b":1,"name":""}"#;
        let (b, a) = (
            "b is not a field of this request",
            "a is not a field of this request",
        );
        let others = "the body has 2 unknown fields that are not named here";
        let empty = "name must not be empty";
        assert_eq!(parse(known, OnUnknownField::Reject), [""; 0]);
        assert_eq!(parse(unknown, OnUnknownField::Ignore), [""; 0]);
        assert_eq!(parse(unknown, OnUnknownField::Reject), [b, a, others]);
        assert_eq!(parse(both, OnUnknownField::Ignore), [empty]);
        assert_eq!(parse(both, OnUnknownField::Reject), [empty, b]);
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
            let Ok(mut body) = Body::parse(text.as_bytes()) else {
                return Ok(());
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

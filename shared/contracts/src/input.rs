//! Reading what a client sent, by the rules that both contracts share: JSON bodies and query
//! strings.
//!
//! A body is read one level deep: the value of every field stays raw JSON until somebody asks for
//! it, so that a number too large for any type in a field that nobody reads is not an error.

use std::{collections::HashMap, fmt};

use percent_encoding::percent_decode;
use serde_json::value::RawValue;

use muster_domain::{
    Description, IdempotencyKey, IdempotencyKeyError, ListedState, MemberRole, QueueStrategy, Tags,
    TagsError, TeamName, TextError, UserId,
};

/// The most bytes a body may have.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most levels of objects and arrays a body may have.
pub const MAX_DEPTH: usize = 128;

/// A rule of form that a value broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Required, and absent.
    Missing,
    /// `null` where that means nothing.
    Null,
    /// Not a text.
    NotString,
    /// A list of something else than texts.
    NotStrings,
    /// Not a whole number.
    NotInteger,
    /// Not an array.
    NotList,
    /// Not an identifier.
    NotUuid,
    /// Not one of these.
    NotOneOf(&'static [&'static str]),
    /// Empty after trimming.
    Empty,
    /// Longer than this many characters.
    TooLong(usize),
    /// It has a control character.
    Control,
    /// It has a control character other than tab, line feed and carriage return.
    ControlInLines,
    /// It has something else than visible ASCII characters.
    NotVisible,
    /// Less than this.
    TooSmall(i64),
    /// More than this.
    TooLarge(i64),
    /// More items than this.
    TooManyItems(usize),
    /// More bytes in all items than this.
    TooManyBytes(usize),
    /// A response cannot carry so many items, only this many of them.
    PageTooLarge(usize),
    /// A parameter that the route does not take.
    Unsupported,
}

impl From<TextError> for Rule {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Empty => Self::Empty,
            TextError::TooLong(max) => Self::TooLong(max),
            TextError::Control => Self::Control,
            TextError::ControlInLines => Self::ControlInLines,
        }
    }
}

impl From<TagsError> for Rule {
    fn from(error: TagsError) -> Self {
        match error {
            TagsError::Tag(error) => error.into(),
            TagsError::TooMany(max) => Self::TooManyItems(max),
            TagsError::TooLarge(max) => Self::TooManyBytes(max),
        }
    }
}

impl From<IdempotencyKeyError> for Rule {
    fn from(error: IdempotencyKeyError) -> Self {
        match error {
            IdempotencyKeyError::Empty => Self::Empty,
            IdempotencyKeyError::TooLong(max) => Self::TooLong(max),
            IdempotencyKeyError::NotVisible => Self::NotVisible,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is required"),
            Self::Null => f.write_str("must not be null"),
            Self::NotString => f.write_str("must be a string"),
            Self::NotStrings => f.write_str("must be an array of strings"),
            Self::NotInteger => f.write_str("must be an integer"),
            Self::NotList => f.write_str("must be an array"),
            Self::NotUuid => f.write_str("must be a UUID"),
            Self::NotOneOf(values) => write!(f, "must be one of: {}", values.join(", ")),
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong(max) => write!(f, "must have at most {max} characters"),
            Self::Control => f.write_str("must not have control characters"),
            Self::ControlInLines => f.write_str(
                "must not have control characters other than tab, line feed and carriage return",
            ),
            Self::NotVisible => f.write_str("must have visible ASCII characters only"),
            Self::TooSmall(min) => write!(f, "must be at least {min}"),
            Self::TooLarge(max) => write!(f, "must be at most {max}"),
            Self::TooManyItems(max) => write!(f, "must have at most {max} items"),
            Self::TooManyBytes(max) => write!(
                f,
                "must have at most {max} bytes together, in UTF-8 with each quotation mark and backslash counted twice"
            ),
            Self::PageTooLarge(largest) => {
                write!(
                    f,
                    "must be at most {largest} for this page, because a larger response would exceed 6 MB"
                )
            }
            Self::Unsupported => f.write_str("is not supported"),
        }
    }
}

/// The part of the request that a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// A field of the body.
    Body,
    /// A query parameter.
    Query,
    /// A header.
    Header,
}

impl Location {
    /// The part's name in error answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// One value that broke one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Where it was.
    pub location: Location,
    /// What it was called.
    pub field: &'static str,
    /// The first rule that it broke.
    pub rule: Rule,
}

/// Input that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// The body is not a JSON object in UTF-8 of bounded depth.
    Malformed,
    /// These values broke rules, in the document's order. Never empty.
    Violations(Vec<Violation>),
}

/// Parses an `Idempotency-Key` header.
///
/// # Errors
/// The rule it breaks.
pub fn idempotency_key(header: &str) -> Result<IdempotencyKey, Invalid> {
    IdempotencyKey::parse(header).map_err(|error| {
        let violation = Violation {
            location: Location::Header,
            field: "Idempotency-Key",
            rule: error.into(),
        };
        Invalid::Violations(vec![violation])
    })
}

/// Stands for a value that broke a rule; which one is noted where it was read.
#[derive(Debug)]
pub struct Broken;

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
    /// [`Invalid::Malformed`].
    pub fn parse(body: &'b [u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(body).map_err(|_| Invalid::Malformed)?;
        if depth(text) > MAX_DEPTH {
            return Err(Invalid::Malformed);
        }
        let fields = serde_json::from_str(text).map_err(|_| Invalid::Malformed)?;
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
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Result<T, Broken> {
        match self.fields.get(field) {
            None => Err(Rule::Missing),
            Some(value) if is_null(value) => Err(Rule::Null),
            Some(value) => parse(value),
        }
        .map_err(|rule| self.broken(field, rule))
    }

    /// A field of a new thing: `null` is the same as absent.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn optional<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Result<Option<T>, Broken> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Ok(None),
            Some(value) => parse(value).map(Some),
        }
        .map_err(|rule| self.broken(field, rule))
    }

    /// A change to a field that always has a value: absent keeps it.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn change<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Result<Option<T>, Broken> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Err(Rule::Null),
            Some(value) => parse(value).map(Some),
        }
        .map_err(|rule| self.broken(field, rule))
    }

    /// A change to a field that may have no value: absent keeps it, `null` clears it.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn clearable<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Result<Option<Option<T>>, Broken> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) if is_null(value) => Ok(Some(None)),
            Some(value) => parse(value).map(|value| Some(Some(value))),
        }
        .map_err(|rule| self.broken(field, rule))
    }

    /// What was wrong, once a field said [`Broken`].
    #[must_use]
    pub fn invalid(self) -> Invalid {
        Invalid::Violations(self.violations)
    }

    fn broken(&mut self, field: &'static str, rule: Rule) -> Broken {
        self.violations.push(Violation {
            location: Location::Body,
            field,
            rule,
        });
        Broken
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

/// A text. A lone surrogate is an escape that no text has.
fn string(value: &RawValue) -> Result<String, Rule> {
    serde_json::from_str(value.get()).map_err(|_| Rule::NotString)
}

/// A team's name.
///
/// # Errors
/// The rule it breaks.
pub fn team_name(value: &RawValue) -> Result<TeamName, Rule> {
    Ok(TeamName::parse(&string(value)?)?)
}

/// A team's description.
///
/// # Errors
/// The rule it breaks.
pub fn description(value: &RawValue) -> Result<Description, Rule> {
    Ok(Description::parse(&string(value)?)?)
}

/// A user's identifier, in either form.
///
/// # Errors
/// The rule it breaks: whatever is not a UUID in a text is not a UUID.
pub fn user_id(value: &RawValue) -> Result<UserId, Rule> {
    string(value)
        .ok()
        .and_then(|text| UserId::parse(&text).ok())
        .ok_or(Rule::NotUuid)
}

/// A queue strategy.
///
/// # Errors
/// The rule it breaks.
pub fn queue_strategy(value: &RawValue) -> Result<QueueStrategy, Rule> {
    let strategy = string(value)
        .ok()
        .and_then(|text| QueueStrategy::parse(&text));
    strategy.ok_or(Rule::NotOneOf(&[
        "round_robin",
        "least_busy",
        "skill_based",
    ]))
}

/// A member's role in a team.
///
/// # Errors
/// The rule it breaks.
pub fn member_role(value: &RawValue) -> Result<MemberRole, Rule> {
    match string(value).as_deref() {
        Ok("member") => Ok(MemberRole::Member),
        Ok("lead") => Ok(MemberRole::Lead),
        _ => Err(Rule::NotOneOf(&["member", "lead"])),
    }
}

/// Reads `state`, the filter of a list of open tickets; `None` if it is absent.
///
/// # Errors
/// [`Broken`] for every other word.
pub fn listed_state(query: &mut Query) -> Result<Option<ListedState>, Broken> {
    let states = [Some(ListedState::Assigned), Some(ListedState::Waiting)];
    query.one_of("state", &["assigned", "waiting"], &states, None)
}

/// A team's specializations.
///
/// # Errors
/// The rule it breaks.
pub fn specializations(value: &RawValue) -> Result<Tags, Rule> {
    Ok(Tags::parse(strings(value)?)?)
}

/// A member's skills.
///
/// # Errors
/// The rule it breaks.
pub fn skills(value: &RawValue) -> Result<Tags, Rule> {
    Ok(Tags::parse_skills(strings(value)?)?)
}

fn strings(value: &RawValue) -> Result<Vec<String>, Rule> {
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| Rule::NotList)?;
    values
        .into_iter()
        .map(|value| string(value).map_err(|_| Rule::NotStrings))
        .collect()
}

/// A query string's parameters, and the rules they broke so far.
#[derive(Debug)]
pub struct Query {
    parameters: HashMap<String, Option<String>>,
    violations: Vec<Violation>,
}

impl Query {
    /// Decodes a raw query string as a form: `+` is a space, and of duplicates the last counts. A
    /// `%` that begins no escape stands for itself; a value that is not UTF-8 is an error where it
    /// is read.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let decode = |text: &str| {
            let bytes: Vec<u8> = text
                .bytes()
                .map(|byte| if byte == b'+' { b' ' } else { byte })
                .collect();
            String::from_utf8(percent_decode(&bytes).collect()).ok()
        };
        let parameters = raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter_map(|(name, value)| Some((decode(name)?, decode(value))))
            .collect();
        Self {
            parameters,
            violations: Vec::new(),
        }
    }

    /// Whether a parameter was given.
    #[must_use]
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// A whole number in bounds. Any number of digits is a number.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn integer(
        &mut self,
        parameter: &'static str,
        default: i64,
        min: i64,
        max: i64,
    ) -> Result<usize, Broken> {
        let number = match self.parameters.get(parameter) {
            None => Ok(default),
            Some(text) => text
                .as_deref()
                .and_then(parse_integer)
                .ok_or(Rule::NotInteger),
        };
        number
            .and_then(|number| match number {
                number if number < min => Err(Rule::TooSmall(min)),
                number if number > max => Err(Rule::TooLarge(max)),
                number => usize::try_from(number).map_err(|_| Rule::TooLarge(max)),
            })
            .map_err(|rule| self.broken(parameter, rule))
    }

    /// A text, the empty one where there is none.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn text(&mut self, parameter: &'static str) -> Result<String, Broken> {
        match self.parameters.get(parameter) {
            None => Ok(String::new()),
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(self.broken(parameter, Rule::NotString)),
        }
    }

    /// One of a few words.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn one_of<T: Copy>(
        &mut self,
        parameter: &'static str,
        words: &'static [&'static str],
        values: &[T],
        default: T,
    ) -> Result<T, Broken> {
        let Some(text) = self.parameters.get(parameter) else {
            return Ok(default);
        };
        let found = words
            .iter()
            .zip(values)
            .find(|(word, _)| text.as_deref() == Some(**word));
        match found {
            Some((_, value)) => Ok(*value),
            None => Err(self.broken(parameter, Rule::NotOneOf(words))),
        }
    }

    /// A parameter that is refused rather than ignored, because a client that sends it relies on
    /// it.
    ///
    /// # Errors
    /// It was given.
    pub fn refuse(&mut self, parameter: &'static str) -> Result<(), Broken> {
        if self.has(parameter) {
            Err(self.broken(parameter, Rule::Unsupported))
        } else {
            Ok(())
        }
    }

    /// What was wrong, once a parameter said [`Broken`].
    #[must_use]
    pub fn invalid(self) -> Invalid {
        Invalid::Violations(self.violations)
    }

    fn broken(&mut self, parameter: &'static str, rule: Rule) -> Broken {
        self.violations.push(Violation {
            location: Location::Query,
            field: parameter,
            rule,
        });
        Broken
    }
}

/// An optional sign and decimal digits, as many as there are; what no `i64` holds becomes the
/// nearest that one does.
fn parse_integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: i64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(sign * i64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                Invalid::Malformed,
                "{malformed:?}"
            );
        }
        assert_eq!(
            Body::parse(b"{\"a\":\"\xff\"}").unwrap_err(),
            Invalid::Malformed
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
            Invalid::Malformed
        );
        assert!(Body::parse(format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(1000)).as_bytes()).is_ok());
        assert_eq!(
            Body::parse("[".repeat(200_000).as_bytes()).unwrap_err(),
            Invalid::Malformed
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
            (false, Some(Rule::Missing))
        );
        assert_eq!(
            rule(Box::new(|b| b.required("null", team_name).is_ok())),
            (false, Some(Rule::Null))
        );
        assert_eq!(
            rule(Box::new(|b| b.required("number", team_name).is_ok())),
            (false, Some(Rule::NotString))
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
            (false, Some(Rule::Null))
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
        assert_eq!(body.violations[0].rule, Rule::NotString);
    }

    #[test]
    fn queries_are_decoded_as_forms() {
        let mut query =
            Query::parse("search=a+b%2Bc%zz&&search=caf%C3%A9+%26&empty=&bare&bad=%ff&%ff=1");
        assert_eq!(query.text("search").unwrap(), "café &");
        assert_eq!(query.text("empty").unwrap(), "");
        assert_eq!(query.text("bare").unwrap(), "");
        assert!(query.text("bad").is_err());
        assert_eq!(
            Query::parse("a=1+b%2Bc%zz%4").text("a").unwrap(),
            "1 b+c%zz%4"
        );
    }

    #[test]
    fn numbers_have_bounds_and_any_length() {
        let read = |text: &str| {
            let mut query = Query::parse(&format!("n={text}"));
            query
                .integer("n", 7, 1, 100)
                .map_err(|_| query.violations[0].rule)
        };
        assert_eq!(read("1"), Ok(1));
        assert_eq!(read("00000000000000000000000000100"), Ok(100));
        assert_eq!(read("%2B5"), Ok(5));
        assert_eq!(read(&"9".repeat(400)), Err(Rule::TooLarge(100)));
        assert_eq!(
            read(&format!("-{}", "9".repeat(400))),
            Err(Rule::TooSmall(1))
        );
        for no_number in [
            "", "x", "1.0", "1e2", "+5", "%205", "-", "--1", "٣", "%ff", "0x10",
        ] {
            assert_eq!(read(no_number), Err(Rule::NotInteger), "{no_number:?}");
        }
        assert_eq!(Query::parse("").integer("n", 7, 1, 100).unwrap(), 7);
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
                Err(invalid) => { prop_assert_eq!(invalid, Invalid::Malformed); return Ok(()); }
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

        #[test]
        fn any_query_decodes(raw in "\\PC{0,100}") {
            let _ = Query::parse(&raw).text("search");
        }

        #[test]
        fn a_form_encoded_value_comes_back(value in "\\PC{0,60}") {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let query = Query::parse(&format!("a=1&search={encoded}")).text("search").unwrap();
            prop_assert_eq!(query, value);
        }

        #[test]
        fn a_number_comes_back(number in -1_000_000_i64..1_000_000) {
            prop_assert_eq!(parse_integer(&number.to_string()), Some(number));
        }
    }
}

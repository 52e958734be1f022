//! The format rules of requests, and their violations.

use std::{borrow::Cow, fmt};

use super::malformed::MalformedBody;
use muster_domain::{IdempotencyKeyError, TagsError, TextError};

/// A format rule that a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRule {
    /// Required, and absent.
    Missing,
    /// `null` in a field that always has a value.
    Null,
    /// Not a string.
    NotString,
    /// A list with an item that is not a string.
    NotStrings,
    /// Not an integer.
    NotInteger,
    /// Not an array.
    NotList,
    /// Not a UUID.
    NotUuid,
    /// The id of a team in the place of a user's.
    IdOfTeam,
    /// Not one of these values.
    NotOneOf(&'static [&'static str]),
    /// Empty after trimming.
    Empty,
    /// Longer than this number of characters.
    TooLong(usize),
    /// With a control character.
    Control,
    /// With a control character other than tab, line feed and carriage return.
    ControlInLines,
    /// With a character other than visible ASCII characters.
    NotVisible,
    /// Less than this number.
    TooSmall(i64),
    /// Greater than this number.
    TooLarge(i64),
    /// More items than this number.
    TooManyItems(usize),
    /// More bytes in all items together than this number.
    TooManyBytes(usize),
    /// More items than a response can carry. The number of items that fit.
    PageTooLarge(usize),
    /// A parameter that the route does not take.
    Unsupported,
    /// A parameter that the route does not take with this `state`.
    UnsupportedWithState,
    /// Not a cursor of this list.
    NotCursor,
    /// A field that the endpoint does not have.
    Unknown,
    /// This number of fields that the endpoint does not have, without their names.
    UnknownFields(usize),
}

impl From<TextError> for FieldRule {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Empty => Self::Empty,
            TextError::TooLong(max) => Self::TooLong(max),
            TextError::Control => Self::Control,
            TextError::ControlInLines => Self::ControlInLines,
        }
    }
}

impl From<TagsError> for FieldRule {
    fn from(error: TagsError) -> Self {
        match error {
            TagsError::Tag(error) => error.into(),
            TagsError::TooMany(max) => Self::TooManyItems(max),
            TagsError::TooLarge(max) => Self::TooManyBytes(max),
        }
    }
}

impl From<IdempotencyKeyError> for FieldRule {
    fn from(error: IdempotencyKeyError) -> Self {
        match error {
            IdempotencyKeyError::Empty => Self::Empty,
            IdempotencyKeyError::TooLong(max) => Self::TooLong(max),
            IdempotencyKeyError::NotVisible => Self::NotVisible,
        }
    }
}

impl fmt::Display for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is required"),
            Self::Null => f.write_str("must not be null"),
            Self::NotString => f.write_str("must be a string"),
            Self::NotStrings => f.write_str("must be an array of strings"),
            Self::NotInteger => f.write_str("must be an integer"),
            Self::NotList => f.write_str("must be an array"),
            Self::NotUuid => f.write_str("must be a UUID"),
            Self::IdOfTeam => f.write_str("must be the id of a user, and is the id of a team"),
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
            Self::UnsupportedWithState => f.write_str("is not supported with this state"),
            Self::NotCursor => f.write_str("must be a cursor of this list"),
            Self::Unknown => f.write_str("is not a field of this request"),
            Self::UnknownFields(1) => f.write_str("has 1 unknown field that is not named here"),
            Self::UnknownFields(count) => {
                write!(f, "has {count} unknown fields that are not named here")
            }
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
    /// Returns the name of the part in error responses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The part of the request.
    pub location: Location,
    /// The name of the field, parameter or header. `None` if the rule is about the whole part.
    pub field: Option<Cow<'static, str>>,
    /// The first rule that the value breaks.
    pub rule: FieldRule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            location,
            field,
            rule,
        } = self;
        match field {
            Some(field) => write!(f, "{field} {rule}"),
            None => write!(f, "the {} {rule}", location.as_str()),
        }
    }
}

/// The reason why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRequest {
    /// The body is not a JSON object in UTF-8 of bounded depth.
    Malformed(MalformedBody),
    /// Values that break rules, in the document's order. Never empty.
    Violations(Vec<Violation>),
}

/// A value was rejected. [`Body`](super::Body) or [`Query`](super::Query) has its [`Violation`].
#[derive(Debug)]
pub struct FieldRejected;

impl From<MalformedBody> for InvalidRequest {
    fn from(malformed: MalformedBody) -> Self {
        Self::Malformed(malformed)
    }
}

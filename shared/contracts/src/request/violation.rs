//! The rules of form that values of a request break.

use std::fmt;

use muster_domain::{IdempotencyKeyError, TagsError, TextError};

/// A rule of form that a value broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRule {
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
    pub rule: FieldRule,
}

/// Input that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRequest {
    /// The body is not a JSON object in UTF-8 of bounded depth.
    Malformed,
    /// These values broke rules, in the document's order. Never empty.
    Violations(Vec<Violation>),
}

/// Stands for a value that broke a rule; which one is noted where it was read.
#[derive(Debug)]
pub struct FieldRejected;

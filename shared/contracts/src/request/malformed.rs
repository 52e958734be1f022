//! Bodies that are not JSON objects.

use std::{fmt, str::Utf8Error};

use serde_json::error::Category;

/// The maximum number of nested objects and arrays of a body.
pub const MAX_DEPTH: usize = 128;

/// A body that is not a JSON object in UTF-8 of bounded depth, with the place of the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedBody {
    fault: Fault,
    /// The line, from 1.
    line: usize,
    /// The byte in the line, from 1.
    column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    NotUtf8,
    TooDeep,
    NotAnObject,
    /// The JSON parser's fixed text for the fault, which contains no part of the body.
    NotJson(String),
}

impl MalformedBody {
    /// Returns the fault of a body that is not UTF-8.
    pub(super) fn not_utf8(body: &[u8], error: Utf8Error) -> Self {
        Self::at(Fault::NotUtf8, body, error.valid_up_to())
    }

    /// Returns the fault of a body with too many nested objects and arrays, from the offset of the
    /// first bracket beyond the limit.
    pub(super) fn too_deep(body: &str, offset: usize) -> Self {
        Self::at(Fault::TooDeep, body.as_bytes(), offset)
    }

    /// Returns the fault that the JSON parser reports.
    pub(super) fn not_json(body: &str, error: &serde_json::Error) -> Self {
        match error.classify() {
            // The text of this category could repeat a part of the body. The only such fault is a
            // value of another type than an object.
            Category::Data => {
                let start = body.len() - body.trim_ascii_start().len();
                Self::at(Fault::NotAnObject, body.as_bytes(), start)
            }
            Category::Syntax | Category::Eof | Category::Io => {
                let text = error.to_string();
                let text = text.split(" at line ").next().unwrap_or_default();
                Self {
                    fault: Fault::NotJson(text.to_owned()),
                    line: error.line().max(1),
                    column: error.column().max(1),
                }
            }
        }
    }

    fn at(fault: Fault, body: &[u8], offset: usize) -> Self {
        let before = &body[..offset.min(body.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        Self {
            fault,
            line: before.split(|byte| *byte == b'\n').count(),
            column: before.len() - line_start.map_or(0, |newline| newline + 1) + 1,
        }
    }
}

impl fmt::Display for MalformedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fault,
            line,
            column,
        } = self;
        match fault {
            Fault::NotUtf8 => f.write_str("invalid UTF-8")?,
            Fault::TooDeep => write!(f, "more than {MAX_DEPTH} nested levels")?,
            Fault::NotAnObject => f.write_str("another JSON value")?,
            Fault::NotJson(text) => f.write_str(text)?,
        }
        write!(f, " at line {line}, column {column}")
    }
}

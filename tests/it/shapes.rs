//! What every answer looks like, whatever was asked.

use std::fmt::Display;

use serde_json::Value;

use crate::support::Answer;

/// Whom an answer has to be readable for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Toptickets,
    Itsm,
    /// Nobody knows: both clients have to be able to read a failure.
    Either,
}

impl Speaks {
    /// Of [`crate::support::Organization::both`], by position.
    pub const BOTH: [Self; 2] = [Self::Toptickets, Self::Itsm];
}

/// Asserts that a function answered, that it is not to blame for anything, and that a failure has
/// the contract's shape.
#[track_caller]
pub fn assert_answer(answer: &Answer, speaks: Speaks, what: impl Display) {
    let status = answer.status.as_u16();
    assert!(status < 500, "{what}: {answer}");
    let id = answer.header("x-request-id");
    assert!(
        id.starts_with("req_") && id.len() > 4,
        "{what}: {:?}",
        answer.headers
    );
    let cached = if answer.json["openapi"].is_string() {
        "public, max-age=300"
    } else {
        "no-store"
    };
    assert_eq!(answer.header("cache-control"), cached, "{what}");
    if status == 204 {
        assert_eq!(
            (answer.text.as_str(), answer.header("content-type")),
            ("", ""),
            "{what}"
        );
        return;
    }
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    if status >= 400 {
        assert_failure(answer, speaks, &what);
    } else if speaks == Speaks::Itsm {
        assert_eq!(answer.json["success"], true, "{what}: {answer}");
    }
}

#[track_caller]
fn assert_failure(answer: &Answer, speaks: Speaks, what: &impl Display) {
    match speaks {
        Speaks::Toptickets => {
            assert_eq!(keys(&answer.json), ["detail"], "{what}: {answer}");
            assert_detail(answer, what);
        }
        Speaks::Itsm => {
            assert_eq!(keys(&answer.json), ["error", "success"], "{what}: {answer}");
            assert_envelope(answer, what);
        }
        Speaks::Either => {
            assert_eq!(
                keys(&answer.json),
                ["detail", "error", "success"],
                "{what}: {answer}"
            );
            assert_envelope(answer, what);
            assert_detail(answer, what);
        }
    }
}

#[track_caller]
fn assert_detail(answer: &Answer, what: &impl Display) {
    match &answer.json["detail"] {
        Value::String(text) => assert!(!text.is_empty(), "{what}: {answer}"),
        Value::Array(violations) => {
            assert!(!violations.is_empty(), "{what}: {answer}");
            for violation in violations {
                assert_eq!(keys(violation), ["loc", "msg", "type"], "{what}: {answer}");
                let part = violation["loc"][0].as_str();
                assert!(
                    matches!(part, Some("body" | "query" | "header")),
                    "{what}: {answer}"
                );
                assert!(
                    violation["type"]
                        .as_str()
                        .is_some_and(|kind| kind.contains("error.")),
                    "{what}: {answer}"
                );
            }
        }
        _ => panic!("{what}: {answer}"),
    }
}

#[track_caller]
fn assert_envelope(answer: &Answer, what: &impl Display) {
    assert_eq!(answer.json["success"], false, "{what}: {answer}");
    let error = &answer.json["error"];
    assert_eq!(
        keys(error),
        [
            "code",
            "details",
            "message",
            "path",
            "requestId",
            "timestamp"
        ],
        "{what}: {answer}"
    );
    assert!(
        error["details"].is_null() || error["details"].is_object(),
        "{what}: {answer}"
    );
    assert_eq!(
        error["requestId"],
        answer.header("x-request-id"),
        "{what}: {answer}"
    );
    let timestamp = error["timestamp"].as_str().unwrap_or_default();
    assert!(
        timestamp.len() == 20 && timestamp.ends_with('Z'),
        "{what}: {answer}"
    );
}

/// An object's keys, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}

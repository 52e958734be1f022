//! What every response looks like, whatever was asked.

use std::fmt::Display;

use serde_json::Value;

use crate::support::Response;

/// Whom a response has to be readable for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Toptickets,
    Itsm,
    /// Nobody knows: both clients have to be able to read a failure.
    Either,
}

impl Speaks {
    /// Of [`crate::support::Organization::clients`], by position.
    pub const BOTH: [Self; 2] = [Self::Toptickets, Self::Itsm];
}

/// Asserts that a function answered, that it is not to blame for anything, and that a failure has
/// the contract's shape.
#[track_caller]
pub fn assert_response(response: &Response, speaks: Speaks, what: impl Display) {
    let status = response.status.as_u16();
    assert!(status < 500, "{what}: {response}");
    let id = response.header("x-request-id");
    assert!(
        id.starts_with("req_") && id.len() > 4,
        "{what}: {:?}",
        response.headers
    );
    let cached = if response.json["openapi"].is_string() {
        "public, max-age=300"
    } else {
        "no-store"
    };
    assert_eq!(response.header("cache-control"), cached, "{what}");
    if status == 204 {
        assert_eq!(
            (response.text.as_str(), response.header("content-type")),
            ("", ""),
            "{what}"
        );
        return;
    }
    assert_eq!(
        response.header("content-type"),
        "application/json",
        "{what}"
    );
    if status >= 400 {
        assert_failure(response, speaks, &what);
    } else if speaks == Speaks::Itsm {
        assert_eq!(response.json["success"], true, "{what}: {response}");
    }
}

#[track_caller]
fn assert_failure(response: &Response, speaks: Speaks, what: &impl Display) {
    match speaks {
        Speaks::Toptickets => {
            assert_eq!(keys(&response.json), ["detail"], "{what}: {response}");
            assert_detail(response, what);
        }
        Speaks::Itsm => {
            assert_eq!(
                keys(&response.json),
                ["error", "success"],
                "{what}: {response}"
            );
            assert_envelope(response, what);
        }
        Speaks::Either => {
            assert_eq!(
                keys(&response.json),
                ["detail", "error", "success"],
                "{what}: {response}"
            );
            assert_envelope(response, what);
            assert_detail(response, what);
        }
    }
}

#[track_caller]
fn assert_detail(response: &Response, what: &impl Display) {
    match &response.json["detail"] {
        Value::String(text) => assert!(!text.is_empty(), "{what}: {response}"),
        Value::Array(violations) => {
            assert!(!violations.is_empty(), "{what}: {response}");
            for violation in violations {
                assert_eq!(
                    keys(violation),
                    ["loc", "msg", "type"],
                    "{what}: {response}"
                );
                let part = violation["loc"][0].as_str();
                assert!(
                    matches!(part, Some("body" | "query" | "header")),
                    "{what}: {response}"
                );
                assert!(
                    violation["type"]
                        .as_str()
                        .is_some_and(|kind| kind.contains("error.")),
                    "{what}: {response}"
                );
            }
        }
        _ => panic!("{what}: {response}"),
    }
}

#[track_caller]
fn assert_envelope(response: &Response, what: &impl Display) {
    assert_eq!(response.json["success"], false, "{what}: {response}");
    let error = &response.json["error"];
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
        "{what}: {response}"
    );
    assert!(
        error["details"].is_null() || error["details"].is_object(),
        "{what}: {response}"
    );
    assert_eq!(
        error["requestId"],
        response.header("x-request-id"),
        "{what}: {response}"
    );
    let timestamp = error["timestamp"].as_str().unwrap_or_default();
    assert!(
        timestamp.len() == 20 && timestamp.ends_with('Z'),
        "{what}: {response}"
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

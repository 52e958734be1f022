//! The common form of every response.

use std::fmt::Display;

use serde_json::Value;

use super::Response;

/// The format of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    Toptickets,
    Itsm,
    /// The contract is unknown, so an error has the bodies of both.
    Either,
}

impl ErrorFormat {
    /// The formats of [`crate::support::Organization::clients`], in the same order.
    pub const BOTH: [Self; 2] = [Self::Toptickets, Self::Itsm];
}

/// Asserts that a function sent the response, that it is no server error, and that an error has the
/// form of its contract.
#[track_caller]
pub fn assert_response(response: &Response, error_format: ErrorFormat, context: impl Display) {
    let status = response.status.as_u16();
    assert!(status < 500, "{context}: {response}");
    let id = response.header("x-request-id");
    assert!(
        id.starts_with("req_") && id.len() > 4,
        "{context}: {:?}",
        response.headers
    );
    let cached = if response.json["openapi"].is_string() {
        "public, max-age=300"
    } else {
        "no-store"
    };
    assert_eq!(response.header("cache-control"), cached, "{context}");
    if status == 204 {
        assert_eq!(
            (response.text.as_str(), response.header("content-type")),
            ("", ""),
            "{context}"
        );
        return;
    }
    assert_eq!(
        response.header("content-type"),
        "application/json",
        "{context}"
    );
    if status >= 400 {
        assert_failure(response, error_format, &context);
    } else if error_format == ErrorFormat::Itsm {
        assert_eq!(response.json["success"], true, "{context}: {response}");
    }
}

#[track_caller]
fn assert_failure(response: &Response, error_format: ErrorFormat, context: &impl Display) {
    match error_format {
        ErrorFormat::Toptickets => {
            assert_eq!(keys(&response.json), ["detail"], "{context}: {response}");
            assert_detail(response, context);
        }
        ErrorFormat::Itsm => {
            assert_eq!(
                keys(&response.json),
                ["error", "success"],
                "{context}: {response}"
            );
            assert_envelope(response, context);
        }
        ErrorFormat::Either => {
            assert_eq!(
                keys(&response.json),
                ["detail", "error", "success"],
                "{context}: {response}"
            );
            assert_envelope(response, context);
            assert_detail(response, context);
        }
    }
}

#[track_caller]
fn assert_detail(response: &Response, context: &impl Display) {
    match &response.json["detail"] {
        Value::String(text) => assert!(!text.is_empty(), "{context}: {response}"),
        Value::Array(violations) => {
            assert!(!violations.is_empty(), "{context}: {response}");
            for violation in violations {
                assert_eq!(
                    keys(violation),
                    ["loc", "msg", "type"],
                    "{context}: {response}"
                );
                let part = violation["loc"][0].as_str();
                assert!(
                    matches!(part, Some("body" | "query" | "header")),
                    "{context}: {response}"
                );
                assert!(
                    violation["type"]
                        .as_str()
                        .is_some_and(|kind| kind.contains("error.")),
                    "{context}: {response}"
                );
            }
        }
        _ => panic!("{context}: {response}"),
    }
}

#[track_caller]
fn assert_envelope(response: &Response, context: &impl Display) {
    assert_eq!(response.json["success"], false, "{context}: {response}");
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
        "{context}: {response}"
    );
    assert!(
        error["details"].is_null() || error["details"].is_object(),
        "{context}: {response}"
    );
    assert_eq!(
        error["requestId"],
        response.header("x-request-id"),
        "{context}: {response}"
    );
    let timestamp = error["timestamp"].as_str().unwrap_or_default();
    assert!(
        timestamp.len() == 20 && timestamp.ends_with('Z'),
        "{context}: {response}"
    );
}

/// Returns the sorted keys of an object.
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

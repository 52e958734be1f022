//! The HTTP API under both contracts, route by route.

mod assignments;
mod docs;
mod document_fixtures;
mod errors;
mod idempotency;
mod members;
mod teams;
mod workload;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use muster_domain::{TeamId, Timestamp};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::support::{Response, Stack};

/// Returns an example of the OpenAPI documents, unchanged.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../openapi/examples/",
            $name
        ))
    };
}

/// Returns an example of the OpenAPI documents without white space between its tokens.
macro_rules! golden {
    ($name:literal) => {
        $crate::api::minified($crate::api::example!($name))
    };
}
use {example, golden};

/// Removes the white space between the tokens of a JSON text.
fn minified(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let is_kept = |c: &char| {
        let kept = in_text || !c.is_whitespace();
        in_text ^= *c == '"' && !escaped;
        escaped = in_text && !escaped && *c == '\\';
        kept
    };
    json.chars().filter(is_kept).collect()
}

/// A separate stack with a clock and team ids that the test controls.
struct ClockedStack {
    stack: Stack,
    secs: Arc<AtomicI64>,
    next_team: Arc<Mutex<Option<TeamId>>>,
}

impl ClockedStack {
    async fn at(secs: i64) -> Self {
        let secs = Arc::new(AtomicI64::new(secs));
        let next_team = Arc::new(Mutex::new(None));
        let stack = Stack::with({
            let (secs, next_team) = (Arc::clone(&secs), Arc::clone(&next_team));
            move |deps| {
                let secs = Arc::clone(&secs);
                deps.clock = Arc::new(move || Timestamp::from_secs(secs.load(SeqCst)));
                let (next_team, usual) = (Arc::clone(&next_team), Arc::clone(&deps.new_team_id));
                deps.new_team_id = Arc::new(move |now| {
                    let chosen = next_team
                        .lock()
                        .expect("no thread panicked with the lock")
                        .take();
                    chosen.unwrap_or_else(|| usual(now))
                });
            }
        })
        .await;
        Self {
            stack,
            secs,
            next_team,
        }
    }

    /// Sets the clock.
    fn set(&self, secs: i64) {
        self.secs.store(secs, SeqCst);
    }

    /// Sets the id of the next team.
    fn next_team(&self, id: &str) {
        let id = TeamId::parse(id).expect("a team's id");
        *self
            .next_team
            .lock()
            .expect("no thread panicked with the lock") = Some(id);
    }
}

/// Returns a stack with a clock that advances by a second at each read, so that later changes have
/// later times. Against a deployed stack, the clients pause between requests instead.
async fn ticking_stack() -> Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    if let Some(stack) = Stack::deployed() {
        return stack.with_request_delay(Duration::from_millis(1_010));
    }
    let start = || async {
        let secs = Arc::new(AtomicI64::new(1_700_000_000));
        Stack::with(move |deps| {
            let secs = Arc::clone(&secs);
            deps.clock = Arc::new(move || Timestamp::from_secs(secs.fetch_add(1, SeqCst)));
        })
        .await
    };
    STACK.get_or_init(start).await.clone()
}

/// Asserts the common form of TopTickets errors. Returns the status and the detail: its text, or
/// one line `loc: type` for each item.
#[track_caller]
fn toptickets_error(response: &Response) -> (u16, String) {
    assert_error_headers(response);
    let detail = &response.json["detail"];
    let (exact, reported) = match detail.as_array() {
        None => (
            detail.to_string(),
            detail.as_str().expect("a text or a list").to_owned(),
        ),
        Some(items) => {
            let read = |item: &Value| {
                let [loc, msg, kind] = ["loc", "msg", "type"].map(|key| &item[key]);
                assert!(
                    msg.as_str().is_some_and(|msg| !msg.is_empty()),
                    "{response}"
                );
                let path: Vec<_> = loc
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                let exact = format!(r#"{{"loc":{loc},"msg":{msg},"type":{kind}}}"#);
                (
                    exact,
                    format!("{}: {}", path.join("."), kind.as_str().expect("a text")),
                )
            };
            let (exact, reported): (Vec<_>, Vec<_>) = items.iter().map(read).unzip();
            (format!("[{}]", exact.join(",")), reported.join("\n"))
        }
    };
    assert_eq!(response.text, format!(r#"{{"detail":{exact}}}"#));
    (response.status.as_u16(), reported)
}

/// Asserts the common form of ITSM errors. Returns the status, the code and the details.
#[track_caller]
fn itsm_error(response: &Response, path: &str) -> (u16, String, Value) {
    itsm_error_with_suffix(response, path, "")
}

/// Asserts the same for a body with `suffix` after the envelope.
#[track_caller]
fn itsm_error_with_suffix(response: &Response, path: &str, beside: &str) -> (u16, String, Value) {
    assert_error_headers(response);
    let error = &response.json["error"];
    let [code, message, details, request_id, timestamp] =
        ["code", "message", "details", "requestId", "timestamp"].map(|key| &error[key]);
    assert!(
        message.as_str().is_some_and(|message| !message.is_empty()),
        "{response}"
    );
    assert!(details.is_object() || details.is_null(), "{response}");
    assert_eq!(request_id, response.header("x-request-id"));
    let timestamp = timestamp.as_str().expect("a text");
    let shape: String = timestamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z");
    // The details keep their own order of fields.
    let from_details = response
        .text
        .split_once(r#""details":"#)
        .and_then(|(_, rest)| rest.split_once(r#","requestId""#));
    let details_text = from_details.expect("details and a request id").0;
    let path = Value::from(path);
    let expected = format!(
        r#"{{"success":false,"error":{{"code":{code},"message":{message},"details":{details_text},"requestId":{request_id},"timestamp":"{timestamp}","path":{path}}}{beside}}}"#
    );
    assert_eq!(response.text, expected);
    (
        response.status.as_u16(),
        code.as_str().expect("a text").to_owned(),
        details.clone(),
    )
}

#[track_caller]
fn assert_error_headers(response: &Response) {
    assert!(
        response.status.is_client_error() || response.status.is_server_error(),
        "{response}"
    );
    assert_eq!(
        response.header("content-type"),
        "application/json",
        "{response}"
    );
    assert_common_headers(response);
    let challenge = response.header("www-authenticate");
    if response.status == 401 {
        assert!(challenge.starts_with("Bearer"), "{response}");
    } else {
        assert_eq!(challenge, "", "{response}");
    }
    assert_eq!(response.header("x-ignored-fields"), "", "{response}");
    assert_eq!(
        response.headers.contains_key("allow"),
        response.status == 405,
        "{response}"
    );
    assert_eq!(
        response.headers.contains_key("retry-after"),
        response.status == 503,
        "{response}"
    );
}

/// Asserts the headers of every response.
#[track_caller]
fn assert_common_headers(response: &Response) {
    assert_eq!(response.header("cache-control"), "no-store", "{response}");
    assert_eq!(
        response.header("x-request-id"),
        format!("req_{}", response.header("apigw-requestid")),
        "{response}"
    );
}

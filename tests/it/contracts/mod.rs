//! The two contracts, held to the letter.

mod conditions;
mod decisions;
mod documents;
mod errors;
mod lists;
mod members;
mod names;
mod repeats;
mod rules;

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

/// An example of the OpenAPI documents, as it stands in them.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../openapi/examples/", $name))
    };
}

/// The same, without the white space that makes it readable.
macro_rules! golden {
    ($name:literal) => {
        $crate::contracts::minified($crate::contracts::example!($name))
    };
}
use {example, golden};

/// Leaves out the white space between a JSON text's tokens.
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

/// A stack of one's own whose clock stands still until it is moved, and whose next team id can be
/// chosen.
struct Scene {
    stack: Stack,
    secs: Arc<AtomicI64>,
    next_team: Arc<Mutex<Option<TeamId>>>,
}

impl Scene {
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
                    let chosen = next_team.lock().expect("nobody panics with it").take();
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

    /// Moves the clock.
    fn set(&self, secs: i64) {
        self.secs.store(secs, SeqCst);
    }

    /// Chooses the id of the team that is created next.
    fn next_team(&self, id: &str) {
        let id = TeamId::parse(id).expect("a team's id");
        *self.next_team.lock().expect("nobody panics with it") = Some(id);
    }
}

/// A stack whose clock moves on by a second each time it is read, so that whatever is done later is
/// seen to be later. Where the clock cannot be moved, clients take their time.
async fn ticking() -> Stack {
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

/// Checks everything that all TopTickets errors share, and gives the status and what the detail
/// says: its text, or a line `loc: type` for each item.
#[track_caller]
fn toptickets_error(response: &Response) -> (u16, String) {
    has_error_headers(response);
    let detail = &response.json["detail"];
    let (exact, said) = match detail.as_array() {
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
            let (exact, said): (Vec<_>, Vec<_>) = items.iter().map(read).unzip();
            (format!("[{}]", exact.join(",")), said.join("\n"))
        }
    };
    assert_eq!(response.text, format!(r#"{{"detail":{exact}}}"#));
    (response.status.as_u16(), said)
}

/// Checks everything that all ITSM errors share, and gives the status, the code and the details.
#[track_caller]
fn itsm_error(response: &Response, path: &str) -> (u16, String, Value) {
    itsm_error_beside(response, path, "")
}

/// The same for an envelope with something after it.
#[track_caller]
fn itsm_error_beside(response: &Response, path: &str, beside: &str) -> (u16, String, Value) {
    has_error_headers(response);
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
    // The order of fields within the details is theirs.
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
fn has_error_headers(response: &Response) {
    assert!(
        response.status.is_client_error() || response.status.is_server_error(),
        "{response}"
    );
    assert_eq!(
        response.header("content-type"),
        "application/json",
        "{response}"
    );
    has_common_headers(response);
    assert_eq!(
        response.header("www-authenticate"),
        if response.status == 401 { "Bearer" } else { "" },
        "{response}"
    );
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

/// Checks what all answers have.
#[track_caller]
fn has_common_headers(response: &Response) {
    assert_eq!(response.header("cache-control"), "no-store", "{response}");
    assert_eq!(
        response.header("x-request-id"),
        format!("req_{}", response.header("apigw-requestid")),
        "{response}"
    );
}

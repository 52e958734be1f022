//! The local stack's own routes: they fill the queues, and show the queues and the announcements.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use muster_contracts::events::inbound::organization_in;
use muster_domain::{OrganizationId, Timestamp};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    BUS,
    eventbridge::EventBus,
    s3::BUCKET,
    sqs::{self, QueueContents, Queues, StoredMessage},
};

/// The maximum size of a request body.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The queues that accept events over HTTP. The functions send to the others.
const EVENT_QUEUES: [&str; 2] = ["tickets", "users"];

#[derive(Clone)]
struct RoutesState {
    queues: Queues,
    events: EventBus,
    /// The endpoint of SQS, EventBridge and S3.
    aws_url: String,
}

/// Returns the routes. They require no key, as the table requires no credentials.
pub(super) fn router(queues: Queues, events: EventBus, aws_url: String) -> Router {
    Router::new()
        .route("/_dev/queues", get(show_queues))
        .route("/_dev/queues/{name}", get(queue_location).post(send))
        .route("/_dev/events", get(show_events))
        .route("/_dev/failed-records", get(failed_records_location))
        .with_state(RoutesState {
            queues,
            events,
            aws_url,
        })
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn error_response(status: StatusCode, message: &str) -> Response {
    json_response(status, &json!({ "message": message }))
}

/// Puts all messages of a body into a queue, or none. A JSON array has one message per item. Any
/// other body is one message, even if it is not JSON, so that poison messages can be tried. The
/// event's organization is the message group, as with `muster tickets send` to SQS.
async fn send(
    State(RoutesState { queues, .. }): State<RoutesState>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    if !EVENT_QUEUES.contains(&name.as_str()) {
        return error_response(StatusCode::NOT_FOUND, "Not Found");
    }
    if !is_json(request.headers()) {
        let message =
            "the Content-Type must be application/json, or another type whose name ends in +json";
        return error_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY_BYTES).await else {
        return error_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let bodies = bodies(&String::from_utf8_lossy(&body));
    let no_attributes = BTreeMap::new();
    if let Some(error) = bodies
        .iter()
        .find_map(|body| sqs::check(body, &no_attributes).err())
    {
        return error_response(StatusCode::BAD_REQUEST, &error.message);
    }
    let now = Timestamp::now();
    let accepted = bodies.len();
    let messages = bodies.into_iter().map(|body| {
        let group = organization_in(&body)
            .as_ref()
            .map(OrganizationId::to_string);
        (
            StoredMessage {
                group,
                ..StoredMessage::new(body, BTreeMap::new(), now)
            },
            Duration::ZERO,
        )
    });
    queues.send(&name, messages);
    json_response(StatusCode::ACCEPTED, &json!({ "accepted": accepted }))
}

/// Tells whether the content type is JSON. A browser sends one from another origin only after a
/// preflight (Fetch Standard, CORS-safelisted request-header), so an HTML form cannot reach a
/// queue.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = only
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    match essence.split_once('/') {
        Some(("application", "json")) => true,
        Some((kind, subtype)) => {
            subtype.len() > "+json".len()
                && subtype.ends_with("+json")
                && [kind, subtype]
                    .iter()
                    .all(|name| name.bytes().all(is_token))
        }
        None => false,
    }
}

/// Returns the messages of a body.
fn bodies(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(items) => items
            .into_iter()
            .map(|item| item.get().to_owned())
            .collect(),
        Err(_) => vec![
            serde_json::from_str::<&RawValue>(text)
                .map_or(text, RawValue::get)
                .to_owned(),
        ],
    }
}

async fn show_queues(State(RoutesState { queues, .. }): State<RoutesState>) -> Response {
    let contents: BTreeMap<String, QueueContents> = queues
        .names()
        .filter_map(|name| Some((name.replace('-', "_"), queues.contents(name)?)))
        .collect();
    json_response(StatusCode::OK, &contents)
}

/// Returns the SQS URLs of a queue and its dead-letter queue. The name is the one in
/// [`show_queues`].
async fn queue_location(
    State(RoutesState {
        queues, aws_url, ..
    }): State<RoutesState>,
    Path(name): Path<String>,
) -> Response {
    let name = name.replace('_', "-");
    let Some(dead_letters) = queues.dead_letters_of(&name) else {
        return error_response(StatusCode::NOT_FOUND, "Not Found");
    };
    let (url, dead_letters_url) = (sqs::url(&aws_url, &name), sqs::url(&aws_url, dead_letters));
    json_response(
        StatusCode::OK,
        &json!({ "url": url, "dead_letters_url": dead_letters_url }),
    )
}

/// Returns the addresses for a replay: the bucket of failed records, the bus and the job queues.
async fn failed_records_location(
    State(RoutesState { aws_url, .. }): State<RoutesState>,
) -> Response {
    let [jobs, long_jobs] = ["jobs", "long-jobs"].map(|name| sqs::url(&aws_url, name));
    let located = json!({
        "aws_url": aws_url,
        "bucket": BUCKET,
        "bus": BUS,
        "jobs_queue_url": jobs,
        "long_jobs_queue_url": long_jobs,
    });
    json_response(StatusCode::OK, &located)
}

#[derive(Serialize)]
struct EventPage {
    events: Vec<Box<RawValue>>,
    next: u64,
}

async fn show_events(
    State(RoutesState { events, .. }): State<RoutesState>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let after = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "after")
        .last();
    let Ok(after) = after.map_or(Ok(0), |(_, number)| number.parse()) else {
        return error_response(
            StatusCode::BAD_REQUEST,
            "after must be the number of an event",
        );
    };
    let (events, next) = events.after(after);
    json_response(StatusCode::OK, &EventPage { events, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_other_than_json_is_rejected() {
        let is_json = |types: &[&str]| {
            is_json(
                &types
                    .iter()
                    .map(|value| (header::CONTENT_TYPE, value.parse().unwrap()))
                    .collect(),
            )
        };
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents-batch+json",
            "a/b+json",
        ] {
            assert!(is_json(&[json]), "{json}");
        }
        for other in [
            "",
            "text/plain",
            "text/plain; a=application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=+json",
            "application/jsonp",
            "application/+json",
            "text/plain,application/json",
            "text/plain, a/b+json",
            "json",
        ] {
            assert!(!is_json(&[other]), "{other}");
        }
        assert!(!is_json(&[]));
        assert!(
            !is_json(&["application/json", "text/plain"]),
            "two types are none"
        );
    }

    #[test]
    fn array_is_one_message_per_item() {
        assert_eq!(
            bodies(r#" [{"a": 1.0} , "b", [3]] "#),
            [r#"{"a": 1.0}"#, r#""b""#, "[3]"]
        );
        assert_eq!(bodies(" {\"a\":  [1]}\n"), ["{\"a\":  [1]}"]);
        assert_eq!(bodies("no JSON, [1]"), ["no JSON, [1]"]);
        assert_eq!(bodies("[1, 2"), ["[1, 2"]);
        assert_eq!(bodies("[]"), [""; 0]);
    }
}

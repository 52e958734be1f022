//! The endpoint that the functions' SQS and EventBridge clients talk to: the operation stands in a header.

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    events::Events,
    queues::{
        Queues,
        sqs::{self, Refused},
    },
};

/// More than ten entries of the largest kind, escaped.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

#[derive(Clone)]
struct Services {
    queues: Queues,
    events: Events,
}

/// Serves the queues and the bus.
pub(super) fn router(queues: Queues, events: Events) -> Router {
    Router::new().fallback(serve).with_state(Services { queues, events })
}

async fn serve(State(Services { queues, events }): State<Services>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
        return refuse("UnknownOperationException", None, "there is no X-Amz-Target");
    };
    let Ok(body): Result<Bytes, _> = to_bytes(body, MAX_BODY_BYTES).await else {
        return refuse("RequestEntityTooLarge", None, "the request is too large");
    };
    match service {
        "AmazonSQS" => match sqs::answer(&queues, operation, &body) {
            Ok(answer) => reply(StatusCode::OK, "application/x-amz-json-1.0", &answer),
            Err(Refused { kind, code, message }) => refuse(&format!("com.amazonaws.sqs#{kind}"), Some(code), &message),
        },
        "AWSEvents" => match events.answer(operation, &body) {
            Ok(answer) => reply(StatusCode::OK, "application/x-amz-json-1.1", &answer),
            Err((code, message)) => refuse(code, None, &message),
        },
        _ => refuse("UnknownOperationException", None, "only SQS and EventBridge are here"),
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

/// An error by its name; of SQS also by the name that its older protocol has for it.
fn refuse(kind: &str, code: Option<&str>, message: &str) -> Response {
    let body = json!({ "__type": kind, "message": message });
    let mut response = reply(StatusCode::BAD_REQUEST, "application/x-amz-json-1.0", &body);
    if let Some(Ok(code)) = code.map(|code| HeaderValue::from_str(&format!("{code};Sender"))) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), code);
    }
    response
}

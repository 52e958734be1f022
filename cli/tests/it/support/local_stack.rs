//! A local stack in the process of the test, with replaced functions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use muster_cli::local::{Data, Handler, LocalStack, QueueContents, Settings};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::PATIENCE;

/// The visibility timeout of these queues. It is long enough for a job on a busy machine.
pub const VISIBILITY: Duration = Duration::from_millis(400);

/// Returns a handler that computes its response from the event.
pub fn handler(respond: impl Fn(Value) -> Value + Send + Sync + 'static) -> Handler {
    Arc::new(
        move |event, _| -> BoxFuture<'static, anyhow::Result<Value>> {
            let response = respond(serde_json::from_str(&event).expect("an event is JSON"));
            Box::pin(async move { Ok(response) })
        },
    )
}

/// Returns settings in which some functions are replaced.
pub fn settings<const N: usize>(handlers: [(&str, Handler); N]) -> Settings {
    Settings {
        handlers: handlers
            .into_iter()
            .map(|(id, handler)| (id.to_owned(), handler))
            .collect(),
        visibility_timeout: Some(VISIBILITY),
        batching_window: Some(Duration::ZERO),
        ..Settings::default()
    }
}

pub async fn start<const N: usize>(handlers: [(&str, Handler); N]) -> LocalStack {
    LocalStack::start(0, Data::Memory, settings(handlers))
        .await
        .expect("a stack starts")
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn contents(stack: &LocalStack, queue: &str) -> QueueContents {
    stack.queues.contents(queue).expect("there is such a queue")
}

pub async fn until_empty(stack: &LocalStack, queue: &str) {
    until(&format!("{queue} empty"), || {
        let QueueContents {
            visible, in_flight, ..
        } = contents(stack, queue);
        visible + in_flight == 0
    })
    .await;
}

pub async fn send(
    stack: &LocalStack,
    queue: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let url = format!("{}/_dev/queues/{queue}", stack.url);
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await.expect("the stack responds");
    (response.status(), response.json().await.unwrap_or_default())
}

pub async fn get(stack: &LocalStack, path: &str) -> Value {
    let response = reqwest::get(format!("{}{path}", stack.url))
        .await
        .expect("the stack responds");
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.expect("the response is JSON")
}

pub fn records(event: &Value) -> &Vec<Value> {
    event["Records"].as_array().expect("records")
}

pub fn bodies(event: &Value) -> Vec<String> {
    records(event)
        .iter()
        .map(|record| record["body"].as_str().expect("a body").to_owned())
        .collect()
}

/// Creates a team over HTTP. The name is the idempotency key.
pub async fn create_team(stack: &LocalStack, name: &str) -> StatusCode {
    let key = &stack.organizations[0].keys.itsm.admin;
    let request = reqwest::Client::new()
        .post(format!("{}/v1/teams", stack.url))
        .bearer_auth(key);
    request
        .header("idempotency-key", name)
        .json(&json!({ "name": name }))
        .send()
        .await
        .expect("the stack responds")
        .status()
}

//! Requests of the measurements to the functions.

use std::time::Duration;

use anyhow::ensure;
use lambda_http::{Body, Request, RequestExt};
use muster_harness::gateway;
use muster_service::http::Deps;
use reqwest::Method;
use serde_json::{Value, json};

/// A request of a client.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub method: Method,
    /// The path, with the query after a `?`.
    pub target: String,
    pub body: Option<Value>,
}

impl Invocation {
    pub fn new(method: Method, target: impl Into<String>, body: Option<Value>) -> Self {
        Self {
            method,
            target: target.into(),
            body,
        }
    }

    /// Parses the event of this request, in payload format 2.0, with a client's token. The
    /// invocation has 30 seconds.
    pub fn request(&self, token: &str) -> anyhow::Result<Request> {
        let Self {
            method,
            target,
            body,
        } = self;
        let source_ip = json!("127.0.0.1");
        let event = gateway::event(token, method.as_str(), target, body.as_ref(), &source_ip);
        gateway::request(&event, Duration::from_secs(30))
    }
}

/// Calls the function that serves the route of a request. Returns the body of the response.
///
/// # Errors
/// The response is not successful.
pub async fn handle(request: Request, deps: &Deps) -> anyhow::Result<Body> {
    let path = request.raw_http_path().to_owned();
    let response = gateway::serve(request, deps).await;
    let (status, body) = (response.status(), response.into_body());
    ensure!(status.is_success(), "{path}: {status} {body:?}");
    Ok(body)
}

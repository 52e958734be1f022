//! Requests as API Gateway forwards them to a function.

use std::time::Duration;

use anyhow::ensure;
use lambda_http::{Body, Context, Request, RequestExt};
use muster_domain::Timestamp;
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
        let event = self.event(token).to_string();
        let mut context = Context::default();
        let deadline = Timestamp::now().plus(Duration::from_secs(30));
        context.deadline = u64::try_from(deadline.millis())?;
        let request = muster_service::lambda::request(&event)?;
        Ok(request.with_lambda_context(context))
    }

    fn event(&self, token: &str) -> Value {
        let Self {
            method,
            target,
            body,
        } = self;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {
                "accept": "*/*",
                "authorization": format!("Bearer {token}"),
                "content-type": "application/json",
                "host": "api.example",
                "user-agent": "benchmark",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "api",
                "domainName": "api.example",
                "domainPrefix": "api",
                "http": {
                    "method": method.as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "benchmark",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "$default",
                "stage": "$default",
                "time": "05/Jan/2025:08:00:00 +0000",
                "timeEpoch": 1_736_064_000_000_i64,
            },
            "body": body.as_ref().map(Value::to_string),
            "isBase64Encoded": false,
        })
    }
}

/// Calls the function that serves the route of a request. Returns the body of the response.
///
/// # Errors
/// The response is not successful.
pub async fn handle(request: Request, deps: &Deps) -> anyhow::Result<Body> {
    let path = request.raw_http_path().to_owned();
    let Ok(response) = if path.contains("/members") {
        Box::pin(muster_members::handle(request, deps)).await
    } else if path.ends_with("/workload") || path.contains("/assignments") {
        Box::pin(muster_workload::handle(request, deps)).await
    } else {
        Box::pin(muster_teams::handle(request, deps)).await
    };
    let (status, body) = (response.status(), response.into_body());
    ensure!(status.is_success(), "{path}: {status} {body:?}");
    Ok(body)
}

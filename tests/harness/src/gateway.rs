//! Requests as API Gateway forwards them to a function.

use std::time::Duration;

use lambda_http::{Body, Context, Request, RequestExt, Response};
use muster_domain::Timestamp;
use muster_service::http::Deps;
use serde_json::{Value, json};
use uuid::Uuid;

/// Returns the event of a request, in payload format 2.0. `target` is the path, with the query
/// after a `?`. `source_ip` is the address that the gateway reports.
#[must_use]
pub fn event(
    token: &str,
    method: &str,
    target: &str,
    body: Option<&Value>,
    source_ip: &Value,
) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "authorization": format!("Bearer {token}"),
            "content-type": "application/json",
            "host": "api.example",
            // The address that the client sent, and the one that the gateway added.
            "x-forwarded-for": format!("127.0.0.1, {}", source_ip.as_str().unwrap_or_default()),
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "api.example",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source_ip,
                "userAgent": "tests",
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": "05/Jan/2025:08:00:00 +0000",
            "timeEpoch": 1_736_064_000_000_i64,
        },
        "body": body.map(Value::to_string),
        "isBase64Encoded": false,
    })
}

/// Parses an event into a request, with this time until the deadline of its context.
///
/// # Errors
/// The event is not of the gateway.
pub fn request(event: &Value, time: Duration) -> anyhow::Result<Request> {
    let mut context = Context::default();
    context.deadline = u64::try_from(Timestamp::now().plus(time).millis())?;
    let request = muster_service::lambda::request(&event.to_string())?;
    Ok(request.with_lambda_context(context))
}

/// Calls the function that serves the route of a request in the template.
pub async fn serve(request: Request, deps: &Deps) -> Response<Body> {
    let path = request.raw_http_path().to_owned();
    let Ok(response) = if path.contains("/members") {
        Box::pin(muster_members::handle(request, deps)).await
    } else if path.ends_with("/workload") || path.contains("/assignments") {
        Box::pin(muster_workload::handle(request, deps)).await
    } else {
        Box::pin(muster_teams::handle(request, deps)).await
    };
    response
}

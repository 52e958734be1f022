//! Calls the `handle` of the functions with events of API Gateway, over a DynamoDB client of the
//! test.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, SharedHttpClient},
};
use lambda_http::{Body, Context, RequestExt};
use muster_cli::emulator;
use muster_domain::Timestamp;
use muster_service::{http::Deps, store::Table};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Response, Stack};

/// Returns the dependencies of the functions, for the stack's table over this client.
pub fn deps(stack: &Stack, client: Client) -> Deps {
    Deps::new(Table::new(client, stack.table.as_str()))
}

thread_local! {
    /// A connection pool for each test, because connections belong to the test's runtime.
    static HTTP: SharedHttpClient = aws_smithy_http_client::Builder::new().build_http();
}

/// Returns the HTTP client of the test, without TLS.
pub fn http() -> SharedHttpClient {
    HTTP.with(Clone::clone)
}

/// Returns a DynamoDB configuration for the stack, over the test's connections.
pub fn client_config(stack: &Stack) -> Builder {
    emulator::configuration(&stack.dynamodb_url).http_client(http())
}

/// A request that API Gateway forwards to a function.
#[derive(Debug, Clone)]
pub struct TestInvocation {
    pub token: String,
    pub method: Method,
    /// The path, with the query after a `?`.
    pub target: String,
    pub body: Option<Value>,
    /// Additional headers, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The source address that the gateway reports.
    pub source_ip: Value,
    /// The time until the deadline of the context.
    pub time: Duration,
}

impl TestInvocation {
    pub fn new(
        token: &str,
        method: Method,
        target: impl Into<String>,
        body: Option<Value>,
    ) -> Self {
        Self {
            token: token.to_owned(),
            method,
            target: target.into(),
            body,
            headers: Vec::new(),
            source_ip: json!("127.0.0.1"),
            time: Duration::from_secs(30),
        }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Returns the event, in payload format 2.0.
    fn event(&self) -> Value {
        let Self {
            token,
            method,
            target,
            body,
            headers,
            source_ip,
            time: _,
        } = self;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut event = json!({
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
                    "method": method.as_str(),
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
            "body": body.as_ref().map(Value::to_string),
            "isBase64Encoded": false,
        });
        for (name, value) in headers {
            event["headers"][name] = Value::from(value.as_str());
        }
        event
    }

    /// Calls the function that serves this route in the template.
    pub async fn call(&self, deps: &Deps) -> Response {
        let mut context = Context::default();
        context.deadline =
            u64::try_from(Timestamp::now().plus(self.time).millis()).expect("a time of today");
        let request = muster_service::lambda::request(&self.event().to_string())
            .expect("the event is as the gateway writes it")
            .with_lambda_context(context);
        let path = request.raw_http_path().to_owned();
        let Ok(response) = if path.contains("/members") {
            Box::pin(muster_members::handle(request, deps)).await
        } else if path.ends_with("/workload") || path.contains("/assignments") {
            Box::pin(muster_workload::handle(request, deps)).await
        } else {
            Box::pin(muster_teams::handle(request, deps)).await
        };
        let (parts, body) = response.into_parts();
        let text = match body {
            Body::Empty => String::new(),
            Body::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        };
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Response {
            status: parts.status,
            headers: parts.headers,
            text,
            json,
        }
    }
}

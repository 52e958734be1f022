//! Calls the `handle` of the functions with events of API Gateway, over a DynamoDB client of the
//! test.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, SharedHttpClient},
};
use lambda_http::Body;
use muster_cli::emulator;
use muster_harness::gateway;
use muster_service::{http::Deps, store::Table};
use reqwest::Method;
use serde_json::{Value, json};

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
        let mut event = gateway::event(token, method.as_str(), target, body.as_ref(), source_ip);
        for (name, value) in headers {
            event["headers"][name] = Value::from(value.as_str());
        }
        event
    }

    /// Calls the function that serves this route in the template.
    pub async fn call(&self, deps: &Deps) -> Response {
        let request = gateway::request(&self.event(), self.time)
            .expect("the event is as the gateway writes it");
        let response = gateway::serve(request, deps).await;
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

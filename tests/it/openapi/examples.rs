//! Every example of the documents succeeds against the demo data of a local stack, in any order.

use muster_cli::local::{ContractKeys, Data, DemoKeys, LocalStack, Settings};
use muster_domain::Contract::{self, Itsm, Toptickets};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::Value;

use super::{DocumentedOperation, OpenapiDocument, members};
use crate::support::Client;

/// A request that consists of examples only.
struct ExampleRequest {
    contract: Contract,
    /// The operation, and the name of the body's example.
    name: String,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// The documented status of a success.
    status: u16,
}

impl ExampleRequest {
    /// Returns the requests of an operation: one for each example of its body.
    fn of(contract: Contract, operation: &DocumentedOperation) -> Vec<Self> {
        let id = operation.json["operationId"].as_str().expect("an id");
        let body = &operation.json["requestBody"];
        if body.is_null() {
            return vec![Self::new(contract, operation, id, None)];
        }
        let examples = &body["content"]["application/json"]["examples"];
        let requests: Vec<_> = members(examples)
            .map(|(name, example)| {
                let body = example["value"].to_string();
                Self::new(contract, operation, &format!("{id} {name}"), Some(body))
            })
            .collect();
        assert!(!requests.is_empty(), "{id} has a body without an example");
        requests
    }

    fn new(
        contract: Contract,
        operation: &DocumentedOperation,
        name: &str,
        body: Option<String>,
    ) -> Self {
        let mut request = Self {
            contract,
            name: format!("{name} of {}", contract.as_str()),
            method: operation.method.parse().expect("a method"),
            path: operation.path.clone(),
            query: Vec::new(),
            headers: Vec::new(),
            body,
            status: success_status(operation),
        };
        for parameter in operation.json["parameters"]
            .as_array()
            .into_iter()
            .flatten()
        {
            request.add_parameter(parameter);
        }
        assert!(!request.path.contains('{'), "{}", request.path);
        request
    }

    /// Adds the example of a parameter, if there is one.
    fn add_parameter(&mut self, parameter: &Value) {
        let name = parameter["name"].as_str().expect("a name").to_owned();
        let value = match &parameter["example"] {
            Value::Null => {
                let required = &parameter["required"];
                assert_ne!(required, true, "{}: {name} has no example", self.name);
                return;
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match parameter["in"].as_str() {
            Some("path") => self.path = self.path.replace(&format!("{{{name}}}"), &value),
            Some("query") => self.query.push((name, value)),
            Some("header") => self.headers.push((name, value)),
            other => panic!("{}: {name} is in {other:?}", self.name),
        }
    }

    /// Sends the request, and asserts that it succeeds as documented.
    async fn assert_succeeds(&self, http: &reqwest::Client, stack: &LocalStack) {
        let demo = stack.demo.as_ref().expect("the stack has the demo data");
        let DemoKeys { toptickets, itsm } = &demo.organization.keys;
        let ContractKeys { admin, .. } = match self.contract {
            Toptickets => toptickets,
            Itsm => itsm,
        };
        let mut request = http
            .request(self.method.clone(), format!("{}{}", stack.url, self.path))
            .query(&self.query)
            .bearer_auth(admin);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        // `send` compares the response with the document.
        let response = Client::send(request).await;
        assert_eq!(response.status, self.status, "{}: {response}", self.name);
    }
}

/// Returns the only status of an operation that is a success.
fn success_status(operation: &DocumentedOperation) -> u16 {
    let statuses: Vec<_> = members(&operation.json["responses"])
        .filter(|(status, _)| status.starts_with('2'))
        .collect();
    let [(status, _)] = statuses[..] else {
        panic!("{}", operation.json["operationId"])
    };
    status.parse().expect("a status")
}

/// Returns the requests of both documents, in the order of the documents.
fn requests() -> Vec<ExampleRequest> {
    let of_document = |contract| {
        OpenapiDocument::of(contract)
            .operations()
            .iter()
            .flat_map(move |operation| ExampleRequest::of(contract, operation))
    };
    Contract::ALL.into_iter().flat_map(of_document).collect()
}

async fn assert_all_succeed<'r>(requests: impl Iterator<Item = &'r ExampleRequest>) {
    let settings = Settings {
        demo: true,
        ..Settings::default()
    };
    let stack = LocalStack::start(0, Data::Memory, settings)
        .await
        .expect("the stack starts");
    let http = reqwest::Client::new();
    for request in requests {
        request.assert_succeeds(&http, &stack).await;
    }
    stack.stop().await.expect("the stack stops");
}

#[tokio::test]
async fn examples_succeed_in_document_order() {
    assert_all_succeed(requests().iter()).await;
}

#[tokio::test]
async fn examples_succeed_in_reversed_order() {
    assert_all_succeed(requests().iter().rev()).await;
}

/// Two examples that remove the same item would not succeed in any order.
#[test]
fn examples_that_delete_have_different_paths() {
    let mut paths: Vec<_> = requests()
        .into_iter()
        .filter(|request| request.method == Method::DELETE)
        .map(|request| request.path.replace("team_", "").replace("usr_", ""))
        .collect();
    let count = paths.len();
    assert!(count >= 4, "{paths:?}");
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), count, "{paths:?}");
}

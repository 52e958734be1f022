//! Checks every response of the test clients against the OpenAPI document of its contract.
//!
//! The operation must have its status, the schema must describe every field of its body, and its
//! headers must be the documented ones.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use muster_contracts::route;
use muster_domain::Contract;
use reqwest::{Method, Request, header::AUTHORIZATION};
use serde_json::{Map, Value, json};

use super::Response;

/// The checked-in documents.
static DOCUMENTS: LazyLock<[OpenapiDocument; 2]> =
    LazyLock::new(|| Contract::ALL.map(OpenapiDocument::load));

/// An OpenAPI document.
pub struct OpenapiDocument {
    pub text: &'static str,
    pub json: Value,
    /// The components, with unknown fields disallowed in every object.
    closed: Value,
    operations: Vec<DocumentedOperation>,
    /// The responses to requests without an operation.
    elsewhere: BTreeMap<u16, ExpectedResponse>,
}

/// An operation of a document.
pub struct DocumentedOperation {
    pub method: String,
    pub path: String,
    pub json: Value,
    responses: BTreeMap<u16, ExpectedResponse>,
}

/// The documented response of one status.
struct ExpectedResponse {
    /// The schema of the body, if there is one.
    body: Option<Validator>,
    headers: BTreeMap<String, ExpectedHeader>,
}

/// The documented header of a response.
struct ExpectedHeader {
    is_required: bool,
    value: Validator,
}

/// Headers that a response must not have unless they are documented.
const TELLING: [&str; 6] = [
    "ETag",
    "Retry-After",
    "WWW-Authenticate",
    "Allow",
    "Link",
    "X-Ignored-Fields",
];

impl OpenapiDocument {
    /// Returns the document of a contract.
    pub fn of(contract: Contract) -> &'static Self {
        let [toptickets, itsm] = &*DOCUMENTS;
        match contract {
            Contract::Toptickets => toptickets,
            Contract::Itsm => itsm,
        }
    }

    fn load(contract: Contract) -> Self {
        let text = match contract {
            Contract::Toptickets => include_str!("../../../openapi/toptickets.json"),
            Contract::Itsm => include_str!("../../../openapi/itsm.json"),
        };
        let json: Value = serde_json::from_str(text).expect("the document is JSON");
        let mut closed = json["components"].clone();
        close(&mut closed, &json);
        let mut document = Self {
            text,
            json,
            closed,
            operations: Vec::new(),
            elsewhere: BTreeMap::new(),
        };
        let paths = document.json["paths"].as_object().expect("paths").clone();
        for (path, item) in paths {
            for (method, json) in item.as_object().expect("operations").clone() {
                let responses = json["responses"].as_object().expect("responses").iter();
                let responses = responses
                    .map(|(status, response)| {
                        (
                            status.parse().expect("a status"),
                            document.response(response),
                        )
                    })
                    .collect();
                let method = method.to_uppercase();
                document.operations.push(DocumentedOperation {
                    method,
                    path: path.clone(),
                    json,
                    responses,
                });
            }
        }
        // Paths without an operation get the same 404 and 405 as operations.
        let get_team = &document.json["paths"]["/v1/teams/{team_id}"]["get"]["responses"];
        document.elsewhere = BTreeMap::from(
            [(404, "404"), (405, "405")]
                .map(|(status, text)| (status, document.response(&get_team[text]))),
        );
        document
    }

    /// Returns all operations.
    pub fn operations(&self) -> &[DocumentedOperation] {
        &self.operations
    }

    /// Returns the target of a `$ref`, or the value itself.
    pub fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        follow(value, &self.json)
    }

    /// Returns a validator of this schema, which may refer to the components.
    pub fn validator(&self, schema: &Value) -> Validator {
        validator(schema, &self.json["components"])
    }

    /// Returns a validator that rejects unknown fields.
    pub fn closed_validator(&self, schema: &Value) -> Validator {
        validator(schema, &self.closed)
    }

    fn response(&self, response: &Value) -> ExpectedResponse {
        let response = self.resolve(response);
        let headers = response["headers"].as_object().expect("headers").iter();
        let body = &response["content"]["application/json"]["schema"];
        ExpectedResponse {
            body: (!body.is_null()).then(|| self.closed_validator(body)),
            headers: headers
                .map(|(name, header)| {
                    let header = self.resolve(header);
                    let expected = ExpectedHeader {
                        is_required: header["required"] == true,
                        value: self.validator(&header["schema"]),
                    };
                    (name.clone(), expected)
                })
                .collect(),
        }
    }

    /// Finds the operation of a method and a path.
    fn operation(&self, method: &str, path: &str) -> Option<&DocumentedOperation> {
        let fits = |pattern: &str| {
            pattern.split('/').count() == path.split('/').count()
                && pattern
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(expected, segment)| {
                        expected == segment || expected.starts_with('{') && !segment.is_empty()
                    })
        };
        self.operations
            .iter()
            .find(|operation| operation.method == method && fits(&operation.path))
    }
}

fn validator(schema: &Value, components: &Value) -> Validator {
    let whole = json!({ "allOf": [schema], "components": components });
    jsonschema::options()
        .should_validate_formats(true)
        .build(&whole)
        .expect("a schema")
}

/// Disallows unknown fields in every object. `allOf` is merged into one object first.
fn close(schema: &mut Value, document: &Value) {
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for part in parts {
            let part = follow(part, document);
            properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
            required.extend(part["required"].as_array().cloned().unwrap_or_default());
        }
        *schema = json!({ "type": "object", "properties": properties, "required": required });
    }
    match schema {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            fields.values_mut().for_each(|value| close(value, document));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| close(value, document)),
        _ => {}
    }
}

/// Returns the target of a `$ref`, or the value itself.
fn follow<'v>(value: &'v Value, document: &'v Value) -> &'v Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .expect("references lead somewhere"),
        None => value,
    }
}

/// The parts of a request that determine its documented responses.
pub struct SentRequest {
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// The contract of the response.
    pub contract: Contract,
}

impl SentRequest {
    /// Reads the parts of a request.
    pub fn of(request: &Request) -> Self {
        let authorization = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = authorization
            .and_then(|value| value.split_whitespace().last())
            .unwrap_or_default();
        // A request without a recognizable contract gets an ITSM error.
        let contract = if token.starts_with("tt_") {
            Contract::Toptickets
        } else {
            Contract::Itsm
        };
        Self {
            method: request.method().clone(),
            path: request.url().path().to_owned(),
            contract,
        }
    }

    /// Asserts that the document describes the response.
    #[track_caller]
    pub fn assert_described(&self, response: &Response) {
        let Self {
            method,
            path,
            contract,
        } = self;
        let mismatch = self.mismatch(response);
        assert_eq!(
            mismatch,
            None,
            "{method} {path} in {}: {response}",
            contract.as_str()
        );
    }

    /// Returns the first part of a response that the document does not describe. Responses of the
    /// gateway itself and of the open routes are not checked.
    pub fn mismatch(&self, response: &Response) -> Option<String> {
        let Self {
            method,
            path,
            contract,
        } = self;
        let is_open = route::find_public("GET", path).is_ok();
        // The gateway decodes the path, but this check does not.
        if !response.headers.contains_key("x-request-id")
            || method == Method::HEAD
            || is_open
            || path.contains('%')
        {
            return None;
        }
        let document = OpenapiDocument::of(*contract);
        let responses = document
            .operation(method.as_str(), path)
            .map_or(&document.elsewhere, |operation| &operation.responses);
        let Some(ExpectedResponse { body, headers }) = responses.get(&response.status.as_u16())
        else {
            return Some("the status".to_owned());
        };
        let content_type = if body.is_some() {
            "application/json"
        } else {
            ""
        };
        if response.header("content-type") != content_type {
            return Some("the content type".to_owned());
        }
        let is_told =
            |name: &&&str| !headers.contains_key(**name) && response.headers.contains_key(**name);
        if let Some(name) = TELLING.iter().find(is_told) {
            return Some(format!("the header {name}"));
        }
        for (
            name,
            ExpectedHeader {
                is_required,
                value: schema,
            },
        ) in headers
        {
            if !is_required && !response.headers.contains_key(name) {
                continue;
            }
            let text = response.header(name);
            let value = text
                .parse()
                .map_or_else(|_| json!(text), |number: u64| json!(number));
            if let Err(error) = schema.validate(&value) {
                return Some(format!("the header {name}: {error}"));
            }
        }
        match body {
            Some(body) => {
                let error = body.iter_errors(&response.json).next()?;
                Some(format!("{}: {error}", error.instance_path()))
            }
            None => (!response.text.is_empty()).then(|| "the body".to_owned()),
        }
    }
}

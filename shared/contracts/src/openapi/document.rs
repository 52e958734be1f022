//! The objects of an OpenAPI 3.1 document that these documents use.
//!
//! utoipa has them too, but it sorts maps and the fields of examples by name. These types preserve
//! the order of insertion, which makes the documents easier to read.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr as RefOrSchema, Schema, schema::Ref as Reference};

/// A JSON object that preserves the order of its members.
pub(super) struct Map<T>(pub(super) Vec<(String, T)>);

impl<T> Map<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T, K: Into<String>> FromIterator<(K, T)> for Map<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(members: I) -> Self {
        Self(
            members
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

impl<T: Serialize> Serialize for Map<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A value, or a reference to it among the components.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RefOr<T> {
    Ref {
        #[serde(rename = "$ref")]
        to: String,
    },
    Is(T),
}

#[derive(Serialize)]
pub(super) struct Document {
    pub(super) openapi: &'static str,
    pub(super) info: Info,
    pub(super) servers: [Server; 1],
    pub(super) tags: Vec<Tag>,
    pub(super) paths: Map<Map<Operation>>,
    pub(super) components: Components,
}

#[derive(Serialize)]
pub(super) struct Info {
    pub(super) title: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) license: License,
    pub(super) version: &'static str,
}

#[derive(Serialize)]
pub(super) struct License {
    pub(super) name: &'static str,
    pub(super) identifier: &'static str,
}

#[derive(Serialize)]
pub(super) struct Server {
    pub(super) url: &'static str,
    pub(super) description: &'static str,
}

#[derive(Serialize)]
pub(super) struct Tag {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) operation_id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: String,
    pub(super) tags: [&'static str; 1],
    pub(super) security: Vec<Map<[&'static str; 1]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body: Option<RequestBody>,
    pub(super) responses: Map<RefOr<Response>>,
}

#[derive(Serialize)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    #[serde(rename = "in")]
    pub(super) location: &'static str,
    pub(super) description: &'static str,
    pub(super) required: bool,
    pub(super) schema: RefOrSchema<Schema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct RequestBody {
    pub(super) required: bool,
    pub(super) content: Map<MediaType>,
}

#[derive(Serialize)]
pub(super) struct Response {
    pub(super) description: String,
    pub(super) headers: Map<RefOr<Header>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) content: Map<MediaType>,
}

#[derive(Serialize)]
pub(super) struct Header {
    pub(super) description: &'static str,
    pub(super) required: bool,
    pub(super) schema: Schema,
    pub(super) example: &'static str,
}

#[derive(Serialize)]
pub(super) struct MediaType {
    pub(super) schema: RefOrSchema<Schema>,
    pub(super) examples: Map<Example>,
}

#[derive(Serialize)]
pub(super) struct Example {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<&'static str>,
    pub(super) value: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components {
    pub(super) schemas: BTreeMap<String, RefOrSchema<Schema>>,
    pub(super) responses: Map<Response>,
    pub(super) headers: Map<Header>,
    pub(super) security_schemes: Map<SecurityScheme>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecurityScheme {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) scheme: &'static str,
    pub(super) bearer_format: &'static str,
    pub(super) description: &'static str,
}

/// Returns a reference to a schema among the components.
pub(super) fn reference(name: &str) -> RefOrSchema<Schema> {
    Reference::from_schema_name(name).into()
}

/// Returns JSON that is written without changes.
pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.trim().to_owned()).expect("examples are JSON")
}

/// Returns pretty-printed JSON with a final newline.
pub(super) fn pretty(json: &str) -> String {
    let mut pretty = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut pretty);
    serde_transcode::transcode(
        &mut serde_json::Deserializer::from_str(json),
        &mut serializer,
    )
    .expect("the document is JSON");
    pretty.push(b'\n');
    String::from_utf8(pretty).expect("JSON is UTF-8")
}

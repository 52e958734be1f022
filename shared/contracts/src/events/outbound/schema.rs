//! The JSON Schemas of the announcements, from their wire types.

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};

use super::{
    announcement::{CloudEvent, SOURCE},
    member::MemberData,
    team::TeamData,
    ticket::TicketData,
};
use crate::schema::{Ref, Schemas};

/// The prefix of references in an OpenAPI document, and in a schema of its own.
const REFERENCES: [&str; 2] = ["#/components/schemas/", "#/$defs/"];

/// The types of the announcements.
pub(in crate::events) const KINDS: [&str; 9] = [
    "team.created",
    "team.updated",
    "team.deleted",
    "member.added",
    "member.removed",
    "ticket.assigned",
    "ticket.unassigned",
    "ticket.waiting",
    "ticket.unrouted",
];

/// Data of any announcement.
struct AnyData;

impl PartialSchema for AnyData {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("The fields of the announcement's type."))
            .into()
    }
}

impl ToSchema for AnyData {}

/// Returns the schema of the attributes that all announcements have.
pub(in crate::events) fn announcement_schema() -> Value {
    let mut schema = event::<AnyData>(
        "Announcement",
        "The attributes of every announcement. The `type` names the schema of the whole event.",
    );
    schema["properties"]["type"]["enum"] = json!(KINDS);
    schema
}

/// Returns the schema of the announcements of a type, or `None` for an unknown type.
pub(in crate::events) fn schema_of(kind: &str) -> Option<Value> {
    let description = match kind {
        "team.created" => "A team was created.",
        "team.updated" => "A team was changed. Changes of the roster are `member` announcements.",
        "team.deleted" => "A team was deleted. The data is the team before its deletion.",
        "member.added" => "A user joined a team, or returned to it.",
        "member.removed" => "A user left a team, also because the team was deleted.",
        "ticket.assigned" => {
            "A ticket was assigned: for the first time, to another member, or again to the only eligible member."
        }
        "ticket.unassigned" => "An open ticket lost its assignee.",
        "ticket.waiting" => "A ticket waits in a team without an eligible member.",
        "ticket.unrouted" => "A ticket has no team.",
        _ => return None,
    };
    let mut schema = match kind.split_once('.')? {
        ("team", _) => event::<TeamData<'static>>(kind, description),
        ("member", _) => event::<MemberData<'static>>(kind, description),
        _ => event::<TicketData<'static>>(kind, description),
    };
    schema["properties"]["type"]["const"] = json!(kind);
    Some(schema)
}

/// Returns the schema of a `CloudEvent` with data of one type.
fn event<T: ToSchema>(title: &str, description: &str) -> Value {
    const ROOT: &str = "CloudEvent";
    let mut schemas = Schemas::default();
    schemas.add_as::<CloudEvent<Ref<T>>>(ROOT);
    let mut definitions = Map::new();
    for (name, schema) in schemas.into_map() {
        let schema = serde_json::to_string(&schema).expect("a schema is JSON");
        let schema = schema.replace(REFERENCES[0], REFERENCES[1]);
        let schema = serde_json::from_str(&schema).expect("a schema is JSON");
        definitions.insert(name, schema);
    }
    let mut schema = definitions.remove(ROOT).expect("the root was added");
    schema["title"] = json!(title);
    schema["description"] = json!(description);
    for (name, value) in [
        ("specversion", "1.0"),
        ("source", SOURCE),
        ("datacontenttype", "application/json"),
    ] {
        schema["properties"][name]["const"] = json!(value);
    }
    schema["$defs"] = Value::Object(definitions);
    schema
}

//! The JSON Schemas of the events are current, are held to the parsers, and describe the
//! announcements.

mod inbound;

use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::Validator;
use muster_contracts::events::schemas;
use serde_json::{Value, json};

use super::members;

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn schema(name: &str) -> Value {
    let text = schemas::document(name).unwrap_or_else(|| panic!("no schema {name}"));
    serde_json::from_str(&text).expect("a schema is JSON")
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("the schema is valid")
}

#[test]
fn checked_in_event_schemas_are_current() {
    let mut expected: Vec<_> = schemas::names()
        .map(|name| format!("{name}.json"))
        .collect();
    expected.sort();
    let files = fs::read_dir(repository("schemas")).expect("the folder exists");
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, expected);
    for name in schemas::names() {
        let checked_in = fs::read_to_string(repository(&format!("schemas/{name}.json")));
        assert!(
            schemas::document(name) == checked_in.ok(),
            "schemas/{name}.json is outdated: cargo run -- schema {name} > schemas/{name}.json"
        );
    }
    assert_eq!(schemas::document("nothing"), None);
}

#[test]
fn event_schemas_are_valid_and_accept_their_example() {
    for name in schemas::names() {
        let schema = schema(name);
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let [example] = schema["examples"].as_array().expect("examples").as_slice() else {
            panic!("{name} has one example")
        };
        let errors: Vec<_> = validator(&strict(schema.clone()))
            .iter_errors(example)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{name}");
        if name.ends_with("-event") {
            assert_eq!(inbound::parse(name, example), Ok(()), "{name}");
        }
    }
}

/// Returns a schema of an announcement that rejects unknown fields.
fn strict(mut schema: Value) -> Value {
    if schema["properties"]["data"].get("$ref").is_none() {
        return schema;
    }
    schema["additionalProperties"] = json!(false);
    for definition in schema["$defs"].as_object_mut().into_iter().flatten() {
        if definition.1.get("properties").is_some() {
            definition.1["additionalProperties"] = json!(false);
        }
    }
    schema
}

/// The snapshots are events that the code announces, one for each type at least.
#[test]
fn announcement_schemas_accept_the_announced_events() {
    let mut accepted = BTreeSet::new();
    let folder = repository("shared/contracts/src/events/outbound/snapshots");
    for file in fs::read_dir(folder).expect("the folder exists") {
        let text = fs::read_to_string(file.unwrap().path()).expect("a snapshot");
        let (_, event) = text.rsplit_once("---\n").expect("a header");
        let event: Value = serde_json::from_str(event).expect("a snapshot of JSON");
        let kind = event["type"].as_str().expect("a type");
        for (name, schema) in [
            (kind, strict(schema(kind))),
            ("announcement", schema("announcement")),
        ] {
            let errors: Vec<_> = validator(&schema)
                .iter_errors(&event)
                .map(|error| format!("{} at {}", error, error.instance_path()))
                .collect();
            assert_eq!(errors, [""; 0], "{name}");
        }
        let without = |field: &str| {
            let mut event = event.clone();
            event["data"].as_object_mut().unwrap().remove(field);
            event
        };
        for (field, _) in members(&event["data"]) {
            let is_accepted = validator(&schema(kind)).is_valid(&without(field));
            assert!(!is_accepted, "{kind} without {field}");
        }
        accepted.insert(kind.to_owned());
    }
    for name in schemas::names().filter(|name| name.contains('.')) {
        assert!(accepted.contains(name), "no snapshot of {name}");
    }
}

/// The spellings of docs/events.md, and the samples in `events/`.
#[test]
fn documented_events_are_accepted_by_their_schema() {
    let page = fs::read_to_string(repository("docs/events.md")).expect("the page exists");
    let blocks: Vec<Value> = page
        .split("```json\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).expect("JSON"))
        .collect();
    for (name, kind) in [
        ("ticket-event", "ticket.updated"),
        ("ticket.assigned", "ticket.assigned"),
    ] {
        let block = blocks.iter().find(|block| block["type"] == kind);
        assert_eq!(
            block,
            Some(&schema(name)["examples"][0]),
            "docs/events.md has the example of {name}"
        );
    }

    let mut samples = 0;
    for (name, folder) in [("ticket-event", "assignment"), ("user-event", "directory")] {
        let validator = validator(&schema(name));
        for file in
            fs::read_dir(repository(&format!("events/{folder}"))).expect("the folder exists")
        {
            let text = fs::read(file.unwrap().path()).expect("a sample");
            let sample: Value = serde_json::from_slice(&text).expect("JSON");
            for record in sample["Records"].as_array().expect("records") {
                let body: Value =
                    serde_json::from_str(record["body"].as_str().unwrap()).expect("JSON");
                let event = body.get("detail").unwrap_or(&body);
                let error = validator.iter_errors(event).next();
                assert!(error.is_none(), "{error:?}: {event}");
                samples += 1;
            }
        }
    }
    assert!(samples >= 9, "{samples}");
}

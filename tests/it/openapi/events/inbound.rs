//! The schemas of the inbound events are held to the parsers: every event that a schema accepts is
//! parsed.

use std::cell::Cell;

use muster_contracts::events::inbound::{ticket_event, user_event};
use muster_domain::Timestamp;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::{schema, validator};

const UUID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// The last time that an event can have, so that no event is ahead of it.
const END: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Parses an event with the parser of the queue, at the end of time.
pub(super) fn parse(name: &str, event: &Value) -> Result<(), String> {
    let body = event.to_string();
    let parsed = match name {
        "ticket-event" => ticket_event(&body, END).map(drop),
        "user-event" => user_event(&body, END).map(drop),
        other => panic!("no parser of {other}"),
    };
    parsed.map_err(|poison| poison.to_string())
}

/// Times on both sides of the limits of the grammar and of the calendar.
fn times() -> Vec<Value> {
    let texts = [
        "2026-03-02T09:00:00Z",
        "2026-03-02 09:00:00.5+05:30",
        "2026-03-02t09:00:60.123456789012z",
        "2024-02-29T23:59:59-23:59",
        "2000-02-29",
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-03-02T09:00",
        "2026-12-31T23:59:59.999999999",
        "2026-02-29T09:00:00Z",
        "1900-02-29",
        "2026-04-31",
        "2026-13-01T00:00:00Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T09:00:61Z",
        "2026-03-02T09:00:00.Z",
        "2026-03-02 09:00:00",
        "2026-03-02T09:00:00+24:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "1000-01-01T00:00:00+23:59",
        "8999-12-31T23:59:59-23:59",
        "20260302T090000Z",
        " 2026-03-02T09:00:00Z",
        "yesterday",
    ];
    let numbers = [
        json!(1_772_442_000),
        json!(1_772_442_000.5),
        json!(0),
        json!(-62_167_219_200_i64),
        json!(-62_167_219_201_i64),
        json!(253_402_300_799_i64),
        json!(253_402_300_800_i64),
        json!(1e300),
    ];
    texts.map(Value::from).into_iter().chain(numbers).collect()
}

fn ids(prefix: &str) -> Vec<Value> {
    vec![
        json!(UUID),
        json!(format!("{prefix}{UUID}")),
        json!(UUID.to_uppercase()),
        json!(format!("other_{UUID}")),
        json!(UUID.replace('-', "")),
        json!(format!("{{{UUID}}}")),
        json!(7),
    ]
}

fn texts() -> Vec<Value> {
    let texts = [
        "Network",
        " x ",
        "é\u{3000}",
        "a\u{0}b",
        "a\nb",
        "\u{85}",
        "\u{a0}",
        "\u{7f}x",
    ];
    let long = [64, 65, 128, 129, 255, 256, 257, 2048, 2049]
        .iter()
        .flat_map(|length| ["x", "é", "🦀"].map(|text| json!(text.repeat(*length))));
    texts.map(Value::from).into_iter().chain(long).collect()
}

fn words() -> Vec<Value> {
    let words = [
        "new",
        "Open",
        "IN-PROGRESS",
        "in progress",
        "pending",
        "on_hold",
        "resolved",
        "closed",
        "cancelled",
        "inprogress",
        "active",
        "Inactive",
        "SUSPENDED",
        "deleted",
        "urgent",
        "P1",
        "-",
        "1.0",
        "2.0",
    ];
    words.map(Value::from).to_vec()
}

fn others() -> Vec<Value> {
    let numbers = [
        json!(5.0),
        json!(-0.0),
        json!(3.5),
        json!(1e3),
        json!(-7),
        json!(9_007_199_254_740_991_i64),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_992.0),
        json!(u64::MAX),
        json!(1e19),
    ];
    let values = [
        json!(null),
        json!(""),
        json!(" \t\r\n"),
        json!("\u{feff}"),
        json!(true),
        json!(false),
        json!([]),
        json!(["vpn", ""]),
        json!(["vpn", 1]),
        json!([null]),
        json!({}),
        json!({ "id": UUID }),
        json!("TKT-2026:1.a_b"),
        json!("a b"),
        json!("e30="),
    ];
    numbers.into_iter().chain(values).collect()
}

/// Returns any value that a field can have, on both sides of every limit.
fn any_value() -> impl Strategy<Value = Value> {
    let all = [
        times(),
        ids("team_"),
        ids("usr_"),
        texts(),
        words(),
        others(),
    ]
    .concat();
    prop_oneof![8 => select(all), 1 => "\\PC{0,12}".prop_map(Value::from)]
}

/// Returns fields, each absent, or valid in most events.
fn fields(valid: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Value> {
    let field = |(name, values): (&'static str, Vec<Value>)| {
        let value = prop_oneof![
            8 => proptest::option::of(select(values)),
            1 => proptest::option::of(any_value()),
        ];
        value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let fields: Vec<_> = valid.into_iter().map(field).collect();
    fields.prop_map(|fields| {
        fields
            .into_iter()
            .flatten()
            .collect::<serde_json::Map<_, _>>()
            .into()
    })
}

/// Returns the first `valid` values of a list, and an empty one.
fn mostly(mut values: Vec<Value>, valid: usize) -> Vec<Value> {
    values.truncate(valid);
    values.push(json!(null));
    values
}

fn subject(object: &str) -> Vec<(&'static str, Vec<Value>)> {
    let (time, text) = (mostly(times(), 9), mostly(texts(), 3));
    let (team, user) = (mostly(ids("team_"), 3), mostly(ids("usr_"), 3));
    if object == "user" {
        let status = vec![json!("active"), json!("Inactive"), json!("")];
        return vec![
            ("id", ids("usr_")[..3].to_vec()),
            ("name", text.clone()),
            ("full_name", text.clone()),
            ("email", text.clone()),
            ("role", text.clone()),
            ("avatar_url", text),
            ("status", status),
            ("is_active", vec![json!(true), json!(false), json!(null)]),
            ("updated_at", time),
        ];
    }
    let id = vec![json!("TKT-1"), json!(35436), json!(-7), json!(5.0)];
    let mut fields = vec![
        ("id", id),
        ("status", mostly(words(), 9)),
        ("priority", mostly(words(), 19)),
        ("category", text.clone()),
        ("subcategory", text),
        (
            "tags",
            vec![json!(["vpn"]), json!([]), json!(null), json!("")],
        ),
        ("team_id", team.clone()),
        ("assigned_team_id", team),
        ("assignee_id", user.clone()),
        ("assigned_user_id", user),
    ];
    for name in [
        "created_at",
        "updated_at",
        "resolved_at",
        "due_at",
        "due_date",
    ] {
        fields.push((name, time.clone()));
    }
    fields
}

/// Returns events for a queue: some are valid, and the others break one rule or more.
fn events(object: &'static str, kinds: [&'static str; 4]) -> impl Strategy<Value = Value> {
    let attributes = fields(vec![
        ("specversion", vec![json!("1.0")]),
        (
            "id",
            vec![json!("e-1"), json!("é".repeat(64)), json!("x".repeat(256))],
        ),
        ("source", vec![json!("/desk")]),
        ("type", kinds.map(Value::from).to_vec()),
        ("time", mostly(times(), 9)),
        ("data_base64", vec![json!(null)]),
    ]);
    let data = fields(vec![(
        "organization_id",
        vec![json!("acme"), json!("org_1-A")],
    )]);
    let required = (
        prop_oneof![9 => Just(true), 1 => Just(false)],
        prop_oneof![19 => Just(None), 1 => any_value().prop_map(Some)],
    );
    (attributes, data, fields(subject(object)), required).prop_map(
        move |(mut event, mut data, mut fields, (is_completed, replaced))| {
            if is_completed {
                complete(
                    &mut event,
                    &[("specversion", "1.0"), ("id", "e-1"), ("type", kinds[0])],
                );
                complete(&mut data, &[("organization_id", "acme")]);
                complete(&mut fields, &[("id", UUID), ("updated_at", "2026-03-02")]);
            }
            data[object] = replaced.unwrap_or(fields);
            event["data"] = data;
            event
        },
    )
}

/// Adds the fields that are absent.
fn complete(object: &mut Value, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        if object.get(name).is_none() {
            object[*name] = json!(value);
        }
    }
}

/// Asserts that the parser accepts each event that the schema accepts. So each fault of the parser
/// is an error of the schema.
fn assert_held(name: &str, events: impl Strategy<Value = Value>) {
    let validator = validator(&schema(name));
    let (accepted, rejected) = (Cell::new(0), Cell::new(0));
    let config = Config {
        cases: 4_000,
        failure_persistence: None,
        ..Config::default()
    };
    let held = TestRunner::new(config).run(&events, |event| {
        if !validator.is_valid(&event) {
            rejected.set(rejected.get() + 1);
            return Ok(());
        }
        accepted.set(accepted.get() + 1);
        prop_assert_eq!(parse(name, &event), Ok(()), "{}", event);
        Ok(())
    });
    held.unwrap_or_else(|error| panic!("{name}: {error}"));
    let counts = (accepted.get(), rejected.get());
    assert!(counts.0 > 400 && counts.1 > 400, "{name}: {counts:?}");
}

#[test]
fn every_event_of_the_ticket_schema_is_parsed() {
    let kinds = [
        "ticket.created",
        "ticket.updated",
        "ticket.unassigned",
        "ticket.deleted",
    ];
    assert_held("ticket-event", events("ticket", kinds));
}

#[test]
fn every_event_of_the_user_schema_is_parsed() {
    let kinds = [
        "user.created",
        "user.updated",
        "user.deactivated",
        "user.deleted",
    ];
    assert_held("user-event", events("user", kinds));
}

/// Each value in each field of an otherwise valid event.
#[test]
fn value_of_a_field_is_parsed_if_the_schema_accepts_it() {
    for (name, object, kind) in [
        ("ticket-event", "ticket", "ticket.updated"),
        ("user-event", "user", "user.updated"),
        ("user-event", "user", "user.deleted"),
    ] {
        let validator = validator(&schema(name));
        let valid = json!({
            "specversion": "1.0", "id": "e-1", "source": "/desk", "type": kind, "time": "2026-03-02T09:00:00Z",
            "data": { "organization_id": "acme", object: { "id": UUID, "updated_at": 1_772_442_000 } },
        });
        assert!(validator.is_valid(&valid) && parse(name, &valid).is_ok());
        let all = [
            times(),
            ids("team_"),
            ids("usr_"),
            texts(),
            words(),
            others(),
        ]
        .concat();
        let of = |field: &str| format!("/data/{object}/{field}");
        let attributes = ["specversion", "id", "type", "time", "data", "data_base64"];
        let pointers = attributes
            .map(|name| format!("/{name}"))
            .into_iter()
            .chain([
                "/data/organization_id".to_owned(),
                format!("/data/{object}"),
            ])
            .chain(subject(object).into_iter().map(|(field, _)| of(field)));
        for pointer in pointers {
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
            let mut absent = valid.clone();
            let parent_of =
                |event: &mut Value| event.pointer_mut(parent).expect("an object").take();
            let mut fields = parent_of(&mut absent);
            fields.as_object_mut().expect("an object").remove(field);
            *absent.pointer_mut(parent).expect("the parent") = fields.clone();
            let with = all.iter().map(|value| {
                let (mut event, mut fields) = (absent.clone(), fields.clone());
                fields[field] = value.clone();
                *event.pointer_mut(parent).expect("the parent") = fields;
                event
            });
            for event in with.chain([absent.clone()]) {
                if validator.is_valid(&event) {
                    assert_eq!(parse(name, &event), Ok(()), "{pointer}: {event}");
                }
            }
        }
    }
}

/// The spellings that docs/events.md has, by field.
fn ticket_spellings() -> Vec<(&'static str, Vec<Value>)> {
    let statuses = [
        "new",
        "open",
        "in_progress",
        "In Progress",
        "IN-PROGRESS",
        "pending",
        "on_hold",
        "resolved",
        "closed",
        "cancelled",
    ];
    let mut times = times();
    times.truncate(9);
    times.retain(|time| *time != json!("2026-03-02T09:00"));
    vec![
        ("id", vec![json!("TKT:2026.1_a-b"), json!(35436)]),
        ("status", statuses.map(Value::from).to_vec()),
        ("priority", vec![json!("P1"), json!(null), json!("")]),
        (
            "tags",
            vec![json!(["VPN"]), json!([]), json!(null), json!("")],
        ),
        (
            "assigned_team_id",
            vec![json!(UUID), json!(format!("team_{UUID}")), json!(null)],
        ),
        (
            "assignee_id",
            vec![json!(UUID), json!(format!("usr_{UUID}")), json!("")],
        ),
        ("due_date", times),
        ("due_at", vec![json!(1_772_442_000), json!(1_772_442_000.5)]),
    ]
}

fn user_spellings() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            "full_name",
            vec![json!("Alice"), json!(""), json!("é".repeat(255))],
        ),
        (
            "avatar_url",
            vec![json!(null), json!(""), json!("x".repeat(2048))],
        ),
        (
            "status",
            vec![json!("active"), json!("Inactive"), json!("SUSPENDED")],
        ),
        ("is_active", vec![json!(true), json!(false), json!(null)]),
    ]
}

#[test]
fn documented_spelling_is_accepted_by_the_schema() {
    for (name, object, spellings) in [
        ("ticket-event", "ticket", ticket_spellings()),
        ("user-event", "user", user_spellings()),
    ] {
        let validator = validator(&schema(name));
        for (field, values) in spellings {
            for value in values {
                let mut event = json!({
                    "specversion": "1.0", "id": "e-1", "type": format!("{object}.updated"), "time": 1_772_442_000,
                    "data": { "organization_id": "acme", object: { "id": UUID } },
                });
                event["data"][object][field] = value;
                let error = validator.iter_errors(&event).next();
                assert!(error.is_none(), "{error:?}: {event}");
            }
        }
    }
}

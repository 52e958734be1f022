//! The body schemas of the documents agree with their parsers.
//!
//! Each field is tried with many values, and the schema and the parser must agree on each body.
//! Another test asserts that the values exercise every rule: without any one rule of a schema, its
//! verdict on some value would change.

use muster_contracts::{
    request::{InvalidRequest, OnUnknownField, Violation},
    route::{Endpoint, ROUTES},
    unknown_fields,
};
use muster_domain::Contract;
use serde_json::{Map, Value, json};

use super::{OpenapiDocument, members, operation};

const BODIES: [&str; 4] = ["create_team", "update_team", "add_member", "update_member"];

const UUID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Parses a body with the parser of the endpoint.
fn parse(contract: Contract, id: &str, body: &Value) -> Result<(), InvalidRequest> {
    parse_with(contract, id, body, OnUnknownField::Ignore)
}

fn parse_with(
    contract: Contract,
    id: &str,
    body: &Value,
    on_unknown_field: OnUnknownField,
) -> Result<(), InvalidRequest> {
    let body = body.to_string();
    let body = body.as_bytes();
    match id {
        "create_team" => muster_contracts::create_team(contract, body, on_unknown_field).map(drop),
        "update_team" => muster_contracts::update_team(contract, body, on_unknown_field).map(drop),
        "add_member" => muster_contracts::add_member(contract, body, on_unknown_field).map(drop),
        _ => muster_contracts::update_member(contract, body, on_unknown_field).map(drop),
    }
}

/// Returns values of every type, on both sides of every limit.
fn values() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1.5),
        json!({}),
        json!({ "name": "x" }),
        json!(""),
        json!(" "),
        json!("\u{3000}"),
        json!("\u{200b}"),
        json!(" \u{ad}\u{3164}\u{fe0f} "),
        json!("\u{200b}x"),
        json!("a\u{200b}b"),
        json!("x"),
        json!("  é x  "),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("a\r\n\tb"),
        json!("a\u{b}b"),
        json!("a\u{c}b"),
        json!("a\u{1f}b"),
        json!("a\u{a0}b"),
        json!("a\u{7f}b"),
        json!("a\u{85}b"),
        json!("lead"),
        json!("member"),
        json!("LEAD"),
        json!("round_robin"),
        json!("least_busy"),
        json!("skill_based"),
        json!("Skill_based"),
        json!(UUID),
        json!(UUID.to_uppercase()),
        json!(UUID.replace('-', "")),
        json!(format!(" {UUID}")),
        json!(format!("team_{UUID}")),
        json!([]),
        json!([null]),
        json!([1]),
        json!([[]]),
        json!(["VPN", "Cisco"]),
        json!(["VPN", ""]),
        json!(["VPN", " "]),
        json!(["VPN", "\u{2060}"]),
        json!(["VPN\u{2060}"]),
        json!(["a\tb"]),
    ];
    values.extend([64, 65, 255, 256, 10_000, 10_001].map(|length| json!("🦀".repeat(length))));
    values.extend([64, 65].map(|length| json!(["🦀".repeat(length)])));
    values.extend(
        [50, 51].map(|length| json!((0..length).map(|n| format!("tag {n}")).collect::<Vec<_>>())),
    );
    values
}

/// Returns the schema of a body.
fn schema(contract: Contract, id: &str) -> &'static Value {
    let body = &operation(contract, id).json["requestBody"];
    assert_eq!(body["required"], json!(true), "{id}");
    OpenapiDocument::of(contract).resolve(&body["content"]["application/json"]["schema"])
}

/// Returns a body with a valid value for each required field, and this field.
fn with(required: &Map<String, Value>, field: &str, value: &Value) -> Value {
    let mut body = required.clone();
    body.insert(field.to_owned(), value.clone());
    Value::Object(body)
}

fn required(schema: &Value) -> Map<String, Value> {
    let good = |name: &str| {
        if name == "user_id" {
            json!(UUID)
        } else {
            json!("x")
        }
    };
    let names = schema["required"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    names
        .iter()
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), good(name)))
        .collect()
}

#[test]
fn body_is_accepted_if_its_schema_allows_it() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        for id in BODIES {
            let schema = schema(contract, id);
            let validator = document.validator(schema);
            let agree = |body: &Value| {
                let parsed = parse(contract, id, body);
                assert_eq!(
                    validator.is_valid(body),
                    parsed.is_ok(),
                    "{id} in {}: {body}: {parsed:?}",
                    contract.as_str()
                );
            };
            let required = required(schema);
            agree(&Value::Object(required.clone()));
            agree(&with(&required, "nobody_knows_this", &json!({})));
            for value in values() {
                agree(&value);
            }
            for (field, _) in members(&schema["properties"]) {
                let mut without = required.clone();
                without.remove(field);
                agree(&Value::Object(without));
                for value in values() {
                    agree(&with(&required, field, &value));
                }
            }
        }
    }
}

/// Collects the paths of all rules in a schema.
fn rules(schema: &Value, place: &str, rules_found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{place}/{name}");
                match name.as_str() {
                    "description" | "default" if !value.is_object() => {}
                    "properties" | "items" | "oneOf" => rules(value, &place, rules_found),
                    // A field.
                    _ if value.is_object() => rules(value, &place, rules_found),
                    _ => rules_found.push(place),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                rules(item, &format!("{place}/{at}"), rules_found);
            }
        }
        _ => {}
    }
}

/// Returns a schema with its references resolved.
fn inlined(schema: &Value, document: &OpenapiDocument) -> Value {
    match document.resolve(schema) {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), inlined(value, document)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| inlined(item, document)).collect(),
        value => value.clone(),
    }
}

#[test]
fn test_values_exercise_every_schema_rule() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        for id in BODIES {
            let schema = inlined(schema(contract, id), document);
            let required = required(&schema);
            let bodies: Vec<_> = members(&schema["properties"])
                .flat_map(|(field, _)| {
                    values()
                        .into_iter()
                        .map(|value| with(&required, field, &value))
                        .collect::<Vec<_>>()
                })
                .chain([json!({}), json!([])])
                .collect();
            let verdicts = |schema: &Value| {
                let validator = document.validator(schema);
                bodies
                    .iter()
                    .map(|body| validator.is_valid(body))
                    .collect::<Vec<_>>()
            };
            let described = verdicts(&schema);
            let mut places = Vec::new();
            rules(&schema, "", &mut places);
            assert!(places.len() > 3, "{id}: {places:?}");
            for place in places {
                let (parent, rule) = place.rsplit_once('/').expect("a rule is somewhere");
                let mut without = schema.clone();
                without
                    .pointer_mut(parent)
                    .and_then(Value::as_object_mut)
                    .expect("an object")
                    .remove(rule);
                // These rules are redundant: the pattern also requires a character, and `enum`
                // implies the type.
                let implied =
                    rule == "minLength" || rule == "type" && parent_has(&schema, parent, "enum");
                assert!(
                    implied || verdicts(&without) != described,
                    "no test value violates {place} of {id}"
                );
            }
        }
    }
}

fn parent_has(schema: &Value, parent: &str, rule: &str) -> bool {
    schema
        .pointer(parent)
        .is_some_and(|parent| parent.get(rule).is_some())
}

#[test]
fn schema_lists_fields_in_parser_order() {
    let mut names: Vec<_> = Contract::ALL
        .into_iter()
        .flat_map(|contract| members(&OpenapiDocument::of(contract).json["components"]["schemas"]))
        .flat_map(|(_, schema)| members(&schema["properties"]))
        .map(|(name, _)| name.as_str())
        .collect();
    names.extend([
        "queueStrategy",
        "leadId",
        "userId",
        "tags",
        "members",
        "status",
        "email",
    ]);
    // An object is invalid for every field.
    let everything: Value = names
        .into_iter()
        .map(|name| (name.to_owned(), json!({})))
        .collect::<Map<_, _>>()
        .into();
    for contract in Contract::ALL {
        for id in BODIES {
            let Err(InvalidRequest::Violations(violations)) = parse(contract, id, &everything)
            else {
                panic!("{id} accepts objects as fields");
            };
            let read: Vec<_> = violations
                .iter()
                .map(|Violation { field, .. }| field.as_deref().expect("a name"))
                .collect();
            assert_eq!(
                read,
                in_order(contract, id),
                "{id} in {}",
                contract.as_str()
            );
        }
    }
}

/// Returns the schemas of the objects that a client can send back to an endpoint.
fn sent_back(contract: Contract, id: &str) -> &'static [&'static str] {
    match (id, contract) {
        ("create_team" | "update_team", _) => &["Team", "TeamSummary"],
        (_, Contract::Toptickets) => &["Member", "TeamMember"],
        (_, Contract::Itsm) => &["Membership", "TeamMember"],
    }
}

#[test]
fn object_of_a_response_has_no_unknown_field() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        for id in BODIES {
            let known: Vec<_> = members(&schema(contract, id)["properties"])
                .map(|(field, _)| field.as_str())
                .collect();
            let mut read_only = Vec::new();
            for name in sent_back(contract, id) {
                let schema = &document.json["components"]["schemas"][name];
                let parts = schema["allOf"].as_array();
                let parts = parts.map_or(vec![schema], |parts| parts.iter().collect());
                let fields = parts
                    .into_iter()
                    .flat_map(|part| members(&document.resolve(part)["properties"]));
                read_only.extend(fields.map(|(field, _)| field.as_str()));
                assert!(!read_only.is_empty(), "{name} in {}", contract.as_str());
            }
            // Only PATCH sets the skills of a member under TopTickets.
            if (id, contract) == ("add_member", Contract::Toptickets) {
                read_only.retain(|field| *field != "skills");
            }
            let mut body = required(schema(contract, id));
            for field in read_only.iter().filter(|field| !known.contains(field)) {
                body.insert((*field).to_owned(), json!(null));
            }
            let parsed = parse_with(
                contract,
                id,
                &Value::Object(body.clone()),
                OnUnknownField::Reject,
            );
            assert_eq!(parsed, Ok(()), "{id} in {}: {body:?}", contract.as_str());

            // A field of no response is unknown.
            for field in ["user", "tags", "queueStrategy", "total"] {
                let body = with(&body, field, &json!(1));
                let rejected = parse_with(contract, id, &body, OnUnknownField::Reject);
                assert!(
                    rejected.is_err(),
                    "{field} of {id} in {}",
                    contract.as_str()
                );
            }
        }
    }
}

#[test]
fn unknown_field_is_found_by_every_endpoint_with_a_body() {
    for contract in Contract::ALL {
        for (_, path, endpoint) in ROUTES {
            let unknown = unknown_fields(contract, endpoint, br#"{"other": 1}"#).to_string();
            let expected = if endpoint.reads_body() { "other" } else { "" };
            assert_eq!(unknown, expected, "{endpoint:?} {path}");
        }
    }
}

#[test]
fn setting_of_the_other_contract_is_unknown_to_toptickets() {
    let unknown = |endpoint, body: Value| {
        let body = body.to_string();
        muster_contracts::unknown_fields(Contract::Toptickets, endpoint, body.as_bytes())
            .to_string()
    };
    let team = json!({ "name": "x", "lead_id": UUID, "queue_strategy": "least_busy", "specializations": [] });
    let expected = "lead_id, queue_strategy, specializations";
    assert_eq!(unknown(Endpoint::CreateTeam, team.clone()), expected);
    assert_eq!(unknown(Endpoint::UpdateTeam, team), expected);
    let member = json!({ "user_id": UUID, "role": "lead", "skills": ["VPN"] });
    assert_eq!(unknown(Endpoint::AddMember, member), "role, skills");
}

/// Returns the fields of a body's schema in document order.
fn in_order(contract: Contract, id: &str) -> Vec<&'static str> {
    let reference =
        operation(contract, id).json["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
    let name = reference
        .and_then(|reference| reference.rsplit('/').next())
        .expect("the name of a schema");
    let (_, text) = OpenapiDocument::of(contract)
        .text
        .split_once(&format!(r#""{name}": {{"#))
        .expect("the schema");
    let mut fields: Vec<_> = members(&schema(contract, id)["properties"])
        .map(|(field, _)| field.as_str())
        .collect();
    fields.sort_by_key(|field| text.find(&format!(r#""{field}": {{"#)));
    fields
}

#[test]
fn id_in_the_form_of_the_other_contract_is_accepted() {
    let prefixed = json!({ "user_id": format!("usr_{UUID}") });
    for contract in Contract::ALL {
        for body in [&json!({ "user_id": UUID }), &prefixed] {
            assert_eq!(parse(contract, "add_member", body), Ok(()), "{body}");
        }
    }
    assert!(
        OpenapiDocument::of(Contract::Itsm)
            .validator(schema(Contract::Itsm, "add_member"))
            .is_valid(&prefixed)
    );
}

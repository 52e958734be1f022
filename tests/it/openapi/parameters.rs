//! The documents' parameters and their parsers say the same.

use muster_contracts::request::idempotency_key;
use muster_domain::{Contract, TeamId, TicketId, UserId};
use serde_json::{Value, json};

use super::{Document, Operation, members, operation};

const LISTS: [&str; 3] = ["list_teams", "list_members", "list_assignments"];

fn parameters<'o>(operation: &'o Operation, location: &str) -> Vec<&'o Value> {
    let all = operation.json["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    all.iter()
        .filter(|parameter| parameter["in"] == location)
        .collect()
}

/// What the endpoint's parser makes of a query, or `None` if it takes it amiss.
fn parsed(contract: Contract, id: &str, query: &str) -> Option<String> {
    match id {
        "list_teams" => muster_contracts::list_teams(contract, query)
            .ok()
            .map(|list| format!("{list:?}")),
        "list_assignments" => muster_contracts::list_tickets(contract, query)
            .ok()
            .map(|list| format!("{list:?}")),
        _ => muster_contracts::page(contract, query)
            .ok()
            .map(|page| format!("{page:?}")),
    }
}

/// A parameter's text as the value that its schema is about.
fn value(text: &str) -> Value {
    text.parse()
        .map_or_else(|_| json!(text), |number: i64| json!(number))
}

#[test]
fn a_query_is_taken_if_and_only_if_its_schema_says_so() {
    let texts = [
        "",
        "ten",
        "1.5",
        "0",
        "1",
        "-1",
        "50",
        "100",
        "101",
        "1000",
        "1001",
        "true",
        "asc",
        "desc",
        "ASC",
        "name",
        "createdAt",
        "updatedAt",
        "created_at",
        "assigned",
        "waiting",
        "closed",
    ];
    for contract in Contract::ALL {
        let document = Document::of(contract);
        for id in LISTS {
            for parameter in parameters(operation(contract, id), "query") {
                let (name, schema) = (
                    parameter["name"].as_str().expect("a name"),
                    &parameter["schema"],
                );
                assert_eq!(parameter["required"], json!(false), "{name}");
                let verdicts = |schema: &Value| -> Vec<bool> {
                    let validator = document.validator(schema);
                    texts
                        .iter()
                        .map(|text| validator.is_valid(&value(text)))
                        .collect()
                };
                let described = verdicts(schema);
                let taken: Vec<_> = texts
                    .iter()
                    .map(|text| parsed(contract, id, &format!("{name}={text}")).is_some())
                    .collect();
                // A text can be written as a number too.
                if schema["type"] != "string" || schema.get("enum").is_some() {
                    assert_eq!(taken, described, "{id}: {name}: {texts:?}");
                    for rule in ["type", "minimum", "maximum", "enum"] {
                        let mut without = schema.clone();
                        let removed = without
                            .as_object_mut()
                            .and_then(|schema| schema.remove(rule));
                        let tells =
                            removed.is_none() || rule == "type" && schema.get("enum").is_some();
                        assert!(
                            tells || verdicts(&without) != described,
                            "nothing above breaks {rule} of {name}"
                        );
                    }
                } else {
                    assert!(taken.iter().all(|taken| *taken), "{id}: {name}");
                }
                let default = match &schema["default"] {
                    // No word of a filter stands for its absence.
                    Value::Null if schema.get("enum").is_some() => continue,
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    number => number.to_string(),
                };
                let (absent, said) = (
                    parsed(contract, id, ""),
                    parsed(contract, id, &format!("{name}={default}")),
                );
                assert_eq!(absent, said, "the default of {name} is {default}");
            }
        }
    }
}

#[test]
fn nothing_else_in_a_query_means_anything_but_what_descriptions_say() {
    for contract in Contract::ALL {
        for id in LISTS {
            let described: Vec<_> = parameters(operation(contract, id), "query");
            for name in [
                "skip",
                "offset",
                "limit",
                "page",
                "cursor",
                "search",
                "sortBy",
                "sortOrder",
                "sort_by",
                "q",
                "state",
            ] {
                let known = described.iter().any(|parameter| parameter["name"] == name);
                let is_ignored =
                    parsed(contract, id, &format!("{name}=7")) == parsed(contract, id, "");
                let said = format!(
                    "{} {described:?}",
                    operation(contract, id).json["description"]
                );
                let by_the_way = said.contains(&format!("`{name}`"));
                assert_eq!(
                    known || by_the_way,
                    !is_ignored,
                    "{name} of {id} in {}",
                    contract.as_str()
                );
            }
        }
    }
}

#[test]
fn an_id_that_fits_its_schema_is_an_id() {
    const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";
    let forms = [
        UUID.to_owned(),
        UUID.to_uppercase(),
        format!("team_{UUID}"),
        format!("usr_{UUID}"),
        UUID.replace('-', ""),
        format!("{UUID}0"),
        "TKT-2024:001".to_owned(),
        "a b".to_owned(),
        String::new(),
        "x".repeat(128),
        "x".repeat(129),
    ];
    for contract in Contract::ALL {
        let document = Document::of(contract);
        for operation in document.operations() {
            for parameter in parameters(operation, "path") {
                let name = parameter["name"].as_str().expect("a name");
                assert_eq!(parameter["required"], json!(true), "{name}");
                let validator = document.validator(&parameter["schema"]);
                let example = parameter["example"]
                    .as_str()
                    .expect("an example")
                    .to_owned();
                assert!(validator.is_valid(&json!(example)), "{example}");
                for form in forms.iter().chain([&example]) {
                    let is_id = match name {
                        "team_id" => TeamId::parse(form).is_ok(),
                        "user_id" => UserId::parse(form).is_ok(),
                        _ => TicketId::parse(form).is_ok(),
                    };
                    let fits = validator.is_valid(&json!(form));
                    // Each contract takes the other's form too, which its description says.
                    let prefix = parameter["description"].as_str().is_some_and(|said| {
                        form.split_once('_')
                            .is_some_and(|(prefix, _)| said.contains(&format!("`{prefix}_`")))
                    });
                    assert_eq!(
                        fits || prefix,
                        is_id,
                        "{form:?} as {name} in {}",
                        contract.as_str()
                    );
                }
            }
        }
    }
}

#[test]
fn headers_are_taken_where_the_contracts_say() {
    for contract in Contract::ALL {
        for operation in Document::of(contract).operations() {
            let id = operation.json["operationId"].as_str().expect("an id");
            let names: Vec<_> = parameters(operation, "header")
                .iter()
                .map(|header| header["name"].clone())
                .collect();
            let expected: &[&str] = match id {
                "update_team" | "delete_team" => &["If-Match"],
                "create_team" | "add_member" => &["Idempotency-Key"],
                _ => &[],
            };
            assert_eq!(names, expected, "{id}");
            for header in parameters(operation, "header")
                .iter()
                .filter(|header| header["name"] == "Idempotency-Key")
            {
                let validator = Document::of(contract).validator(&header["schema"]);
                for key in [
                    "",
                    "a",
                    "a b",
                    "\t",
                    "~!\"#",
                    "a\u{7f}",
                    "\u{e9}",
                    &"x".repeat(255),
                    &"x".repeat(256),
                ] {
                    assert_eq!(
                        validator.is_valid(&json!(key)),
                        idempotency_key(key).is_ok(),
                        "{key:?}"
                    );
                }
            }
            assert_eq!(
                members(&operation.json["requestBody"]).count() > 0,
                id.starts_with(['c', 'u', 'a']),
                "{id}"
            );
        }
    }
}

//! The parameters of the documents agree with their parsers.

use muster_contracts::request::{idempotency_key, on_unknown_field};
use muster_domain::{Contract, OrganizationId, TeamId, TicketId, UserId};
use serde_json::{Value, json};

use super::{DocumentedOperation, OpenapiDocument, members, operation};

const LISTS: [&str; 3] = ["list_teams", "list_members", "list_assignments"];

fn parameters<'o>(operation: &'o DocumentedOperation, location: &str) -> Vec<&'o Value> {
    let all = operation.json["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    all.iter()
        .filter(|parameter| parameter["in"] == location)
        .collect()
}

/// Returns the parsed query, or `None` if the parser rejects it.
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

/// Converts the text of a parameter to the value that its schema describes.
fn value(text: &str) -> Value {
    text.parse()
        .map_or_else(|_| json!(text), |number: i64| json!(number))
}

/// Values on both sides of the rules of every query parameter.
const QUERY_TEXTS: [&str; 22] = [
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

#[test]
fn query_is_accepted_if_its_schema_allows_it() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        for id in LISTS {
            for parameter in parameters(operation(contract, id), "query") {
                let (name, schema) = (
                    parameter["name"].as_str().expect("a name"),
                    &parameter["schema"],
                );
                assert_eq!(parameter["required"], json!(false), "{name}");
                let verdicts = |schema: &Value| -> Vec<bool> {
                    let validator = document.validator(schema);
                    QUERY_TEXTS
                        .iter()
                        .map(|text| validator.is_valid(&value(text)))
                        .collect()
                };
                let described = verdicts(schema);
                let taken: Vec<_> = QUERY_TEXTS
                    .iter()
                    .map(|text| parsed(contract, id, &format!("{name}={text}")).is_some())
                    .collect();
                // A string parameter also accepts digits.
                if schema["type"] != "string" || schema.get("enum").is_some() {
                    assert_eq!(taken, described, "{id}: {name}: {QUERY_TEXTS:?}");
                    for rule in ["type", "minimum", "maximum", "enum"] {
                        let mut without = schema.clone();
                        let removed = without
                            .as_object_mut()
                            .and_then(|schema| schema.remove(rule));
                        let tells =
                            removed.is_none() || rule == "type" && schema.get("enum").is_some();
                        assert!(
                            tells || verdicts(&without) != described,
                            "no test value violates {rule} of {name}"
                        );
                    }
                } else {
                    assert!(taken.iter().all(|taken| *taken), "{id}: {name}");
                }
                let default = match &schema["default"] {
                    // No value of a filter means its absence.
                    Value::Null if schema.get("enum").is_some() => continue,
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    number => number.to_string(),
                };
                let (absent, reported) = (
                    parsed(contract, id, ""),
                    parsed(contract, id, &format!("{name}={default}")),
                );
                assert_eq!(absent, reported, "the default of {name} is {default}");
            }
        }
    }
}

/// The parameters of `find_assignments` depend on each other, so each has a query of its own that
/// is valid without it.
#[test]
fn find_query_is_accepted_if_its_schema_allows_it() {
    const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";
    let texts = [
        "",
        "0",
        "1",
        "100",
        "101",
        "ten",
        "unrouted",
        "waiting",
        "closed",
        "high",
        "urgent",
        UUID,
        "not-an-id",
    ];
    let organization = OrganizationId::parse("acme").expect("an id");
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        let described = parameters(operation(contract, "find_assignments"), "query");
        let names: Vec<_> = described
            .iter()
            .map(|parameter| &parameter["name"])
            .collect();
        assert_eq!(
            json!(names),
            json!([
                "state",
                "team_id",
                "assignee_id",
                "priority",
                "limit",
                "cursor"
            ])
        );
        for parameter in described {
            let name = parameter["name"].as_str().expect("a name");
            assert_eq!(parameter["required"], json!(name == "state"), "{name}");
            let base = match name {
                "state" => String::new(),
                "team_id" | "priority" => "state=waiting&".to_owned(),
                "assignee_id" => format!("state=assigned&team_id={UUID}&"),
                _ => "state=unrouted&".to_owned(),
            };
            let validator = document.validator(&parameter["schema"]);
            for text in texts {
                let query = format!("{base}{name}={text}");
                let is_taken =
                    muster_contracts::find_tickets(contract, &organization, &query).is_ok();
                // TopTickets documents ids by their format, which the validator does not know. No
                // schema describes the cursors of a list.
                let is_described = match name {
                    "team_id" | "assignee_id" => text == UUID,
                    "cursor" => false,
                    _ => validator.is_valid(&value(text)),
                };
                assert_eq!(is_taken, is_described, "{query} in {}", contract.as_str());
            }
        }
    }
}

#[test]
fn undocumented_query_parameter_is_ignored() {
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
                let reported = format!(
                    "{} {described:?}",
                    operation(contract, id).json["description"]
                );
                let by_the_way = reported.contains(&format!("`{name}`"));
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
fn strict_is_documented_where_it_is_accepted() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        for operation in document.operations() {
            let names: Vec<_> = parameters(operation, "query")
                .into_iter()
                .filter(|parameter| parameter["name"] == "strict")
                .collect();
            let has_body = members(&operation.json["requestBody"]).count() > 0;
            assert_eq!(names.len(), usize::from(has_body), "{}", operation.json);
            for strict in names {
                let validator = document.validator(&strict["schema"]);
                for text in ["true", "false", "True", "1", "0", "", "yes"] {
                    let value = text.parse().unwrap_or_else(|_| json!(text));
                    assert_eq!(
                        validator.is_valid(&value),
                        on_unknown_field(&format!("strict={text}")).is_ok(),
                        "{text:?}"
                    );
                }
                let default = format!("strict={}", strict["schema"]["default"]);
                assert_eq!(on_unknown_field(""), on_unknown_field(&default));
            }
        }
    }
}

#[test]
fn id_is_accepted_if_its_schema_allows_it() {
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
        let document = OpenapiDocument::of(contract);
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
                    // Each contract also accepts the form of the other, as its description says.
                    let prefix = parameter["description"].as_str().is_some_and(|reported| {
                        form.split_once('_')
                            .is_some_and(|(prefix, _)| reported.contains(&format!("`{prefix}_`")))
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
fn header_is_documented_where_it_is_accepted() {
    for contract in Contract::ALL {
        for operation in OpenapiDocument::of(contract).operations() {
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
                let validator = OpenapiDocument::of(contract).validator(&header["schema"]);
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

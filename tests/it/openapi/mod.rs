//! The OpenAPI documents and the JSON Schemas are current, and the documents agree with the
//! contracts. In addition, the client of every test checks each response against the documents (see
//! `openapi_check`).

mod events;
mod examples;
mod parameters;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use muster_contracts::openapi;
use muster_domain::Contract::{self, Itsm, Toptickets};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

use crate::support::{
    Response, Stack,
    openapi_check::{DocumentedOperation, OpenapiDocument, SentRequest},
};

fn operation(contract: Contract, id: &str) -> &'static DocumentedOperation {
    let operation = OpenapiDocument::of(contract)
        .operations()
        .iter()
        .find(|operation| operation.json["operationId"] == id);
    operation.unwrap_or_else(|| panic!("no {id} in {}", contract.as_str()))
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item.as_str().expect("a text"))
        .collect()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[test]
fn checked_in_documents_are_current() {
    for (contract, checked_in) in [
        (Toptickets, include_str!("../../../openapi/toptickets.json")),
        (Itsm, include_str!("../../../openapi/itsm.json")),
    ] {
        let name = contract.as_str();
        // `assert_eq` would print both documents.
        assert!(
            openapi::document(contract) == checked_in,
            "openapi/{name}.json is outdated: cargo run -- openapi {name} > openapi/{name}.json"
        );
    }
}

/// Collects the paths of booleans with an `enum` or `const`.
fn restricted_booleans(value: &Value, place: &str, found: &mut Vec<String>) {
    if value["type"] == "boolean" && (value.get("enum").is_some() || value.get("const").is_some()) {
        found.push(place.to_owned());
    }
    for (name, value) in members(value) {
        restricted_booleans(value, &format!("{place}/{name}"), found);
    }
    for (at, value) in value.as_array().into_iter().flatten().enumerate() {
        restricted_booleans(value, &format!("{place}/{at}"), found);
    }
}

#[test]
fn no_boolean_has_enum_or_const() {
    for contract in Contract::ALL {
        let mut found = Vec::new();
        restricted_booleans(&OpenapiDocument::of(contract).json, "", &mut found);
        assert_eq!(found, [""; 0], "{}", contract.as_str());
    }
    let mut found = Vec::new();
    restricted_booleans(
        &json!({ "oneOf": [{ "type": "boolean", "enum": [true] }] }),
        "",
        &mut found,
    );
    assert_eq!(found, ["/oneOf/0"]);
}

#[test]
fn operation_documents_its_scope() {
    for contract in Contract::ALL {
        let needed: BTreeMap<_, _> = OpenapiDocument::of(contract)
            .operations()
            .iter()
            .map(|operation| {
                let scopes: BTreeSet<_> = operation.json["security"]
                    .as_array()
                    .expect("requirements")
                    .iter()
                    .flat_map(members)
                    .flat_map(|(_, scopes)| texts(scopes))
                    .collect();
                let [scope] = Vec::from_iter(scopes)[..] else {
                    panic!("{}", operation.json)
                };
                let reported = operation.json["description"]
                    .as_str()
                    .expect("a description");
                assert!(reported.contains(&format!("`{scope}`")), "{reported}");
                (format!("{} {}", operation.method, operation.path), scope)
            })
            .collect();
        let mut expected = BTreeMap::from([
            ("GET /v1/teams", "teams:read"),
            ("POST /v1/teams", "teams:write"),
            ("GET /v1/teams/{team_id}", "teams:read"),
            ("PATCH /v1/teams/{team_id}", "teams:write"),
            ("DELETE /v1/teams/{team_id}", "teams:delete"),
            ("GET /v1/teams/{team_id}/members", "teams:read"),
            ("POST /v1/teams/{team_id}/members", "teams:write"),
            ("PATCH /v1/teams/{team_id}/members/{user_id}", "teams:write"),
            (
                "DELETE /v1/teams/{team_id}/members/{user_id}",
                "teams:write",
            ),
            ("GET /v1/teams/{team_id}/assignments", "teams:read"),
            ("GET /v1/assignments", "teams:read"),
            ("GET /v1/assignments/{ticket_id}", "teams:read"),
        ]);
        if contract == Itsm {
            expected.insert("GET /v1/teams/{team_id}/workload", "teams:read");
        }
        let expected = expected
            .into_iter()
            .map(|(route, scope)| (route.to_owned(), scope))
            .collect();
        assert_eq!(needed, expected, "{}", contract.as_str());
    }
}

/// Calls `with` for every media type of a document and its place.
fn media_types(document: &OpenapiDocument, mut with: impl FnMut(&str, &Value)) {
    for operation in document.operations() {
        let id = operation.json["operationId"].as_str().expect("an id");
        with(
            id,
            &operation.json["requestBody"]["content"]["application/json"],
        );
        for (status, response) in members(&operation.json["responses"]) {
            with(
                &format!("{id} {status}"),
                &document.resolve(response)["content"]["application/json"],
            );
        }
    }
    for (name, response) in members(&document.json["components"]["responses"]) {
        with(name, &response["content"]["application/json"]);
    }
}

#[test]
fn body_examples_match_their_schema() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        let mut count = 0;
        media_types(document, |place, media_type| {
            let Some(schema) = media_type.get("schema") else {
                return;
            };
            let validator = document.closed_validator(schema);
            for (name, example) in members(&media_type["examples"]) {
                let valid = validator
                    .validate(&example["value"])
                    .map_err(|error| error.to_string());
                assert_eq!(valid, Ok(()), "{place}, {name} in {}", contract.as_str());
                count += 1;
            }
            assert!(
                media_type["examples"]
                    .as_object()
                    .is_some_and(|examples| !examples.is_empty()),
                "{place}"
            );
        });
        assert!(count > 50, "{count}");
    }
}

/// Returns the errors in the examples of a document: the status, and the text, type or code.
fn errors(contract: Contract) -> BTreeSet<String> {
    let document = OpenapiDocument::of(contract);
    let mut errors = BTreeSet::new();
    let mut note = |status: &str, media_type: &Value| {
        for (_, example) in members(&media_type["examples"]) {
            let (detail, error) = (&example["value"]["detail"], &example["value"]["error"]);
            let reported: Vec<_> = match (detail, error) {
                (Value::String(text), _) => vec![text.clone()],
                (Value::Array(items), _) => items
                    .iter()
                    .map(|item| item["type"].as_str().expect("a text").to_owned())
                    .collect(),
                _ => {
                    let details: Vec<_> = members(&error["details"])
                        .map(|(name, _)| name.as_str())
                        .collect();
                    vec![format!(
                        "{} {}",
                        error["code"].as_str().unwrap_or_default(),
                        details.join(",")
                    )]
                }
            };
            errors.extend(
                reported
                    .iter()
                    .map(|reported| format!("{status} {reported}").trim().to_owned()),
            );
        }
    };
    for operation in document.operations() {
        for (status, response) in members(&operation.json["responses"]) {
            if status.starts_with(['4', '5']) {
                note(
                    status,
                    &document.resolve(response)["content"]["application/json"],
                );
            }
        }
    }
    errors
}

#[test]
fn toptickets_errors_are_documented() {
    let expected = [
        "400 type_error.enum",
        "400 type_error.integer",
        "400 type_error.none.not_allowed",
        "400 type_error.string",
        "400 type_error.uuid",
        "400 value_error.cursor",
        "400 value_error.jsondecode",
        "400 value_error.missing",
        "401 Invalid API key",
        "403 IP address not allowed",
        "403 Insufficient permissions. Required scope: teams:delete",
        "403 Insufficient permissions. Required scope: teams:read",
        "403 Insufficient permissions. Required scope: teams:write",
        "404 Member not found",
        "404 Not Found",
        "404 Team not found",
        "404 Ticket not found",
        "404 User not found",
        "405 Method Not Allowed",
        "412 Precondition failed",
        "413 Request body too large",
        "422 Idempotency-Key reused",
        "422 Team is full",
        "422 Team name already exists",
        "422 User is already a member",
        "422 User is not active",
        "422 value_error.any_str.min_length",
        "422 value_error.extra",
        "422 value_error.number.not_ge",
        "422 value_error.number.not_le",
        "429 Rate limit exceeded. Try again in 17 seconds.",
        "500 Internal server error",
        "503 Service temporarily unavailable. Try again shortly.",
    ];
    assert_eq!(Vec::from_iter(errors(Toptickets)), expected);
}

#[test]
fn itsm_errors_are_documented() {
    let expected = [
        "400 VALIDATION_ERROR",
        "400 VALIDATION_ERROR constraint,field",
        "401 UNAUTHORIZED",
        "403 FORBIDDEN",
        "403 FORBIDDEN requiredScope",
        "404 NOT_FOUND",
        "404 NOT_FOUND field",
        "405 METHOD_NOT_ALLOWED",
        "409 CONFLICT",
        "409 CONFLICT openTickets",
        "412 PRECONDITION_FAILED",
        "413 PAYLOAD_TOO_LARGE",
        "422 IDEMPOTENCY_KEY_REUSED",
        "422 UNPROCESSABLE_ENTITY field",
        "429 RATE_LIMITED",
        "500 INTERNAL_ERROR",
        "503 SERVICE_UNAVAILABLE",
    ];
    assert_eq!(Vec::from_iter(errors(Itsm)), expected);
}

/// Returns the statuses of an operation, without those that all operations have.
fn statuses(contract: Contract, id: &str) -> Vec<u16> {
    let common = [401, 403, 429, 500, 503];
    let all: Vec<u16> = members(&operation(contract, id).json["responses"])
        .map(|(status, _)| status.parse().expect("a status"))
        .collect();
    assert!(
        common.iter().all(|status| all.contains(status)),
        "{id}: {all:?}"
    );
    all.into_iter()
        .filter(|status| !common.contains(status))
        .collect()
}

#[test]
fn operation_documents_its_statuses() {
    for (id, toptickets, itsm) in [
        ("list_teams", &[200, 400, 422][..], &[200, 400][..]),
        (
            "create_team",
            &[201, 400, 413, 422],
            &[201, 400, 404, 409, 413, 422],
        ),
        ("get_team", &[200, 404, 405], &[200, 404, 405]),
        (
            "update_team",
            &[200, 400, 404, 405, 412, 413, 422],
            &[200, 400, 404, 405, 409, 412, 413, 422],
        ),
        (
            "delete_team",
            &[204, 404, 405, 412],
            &[204, 404, 405, 409, 412],
        ),
        (
            "list_members",
            &[200, 400, 404, 405, 422],
            &[200, 400, 404, 405],
        ),
        (
            "add_member",
            &[201, 400, 404, 405, 413, 422],
            &[201, 400, 404, 405, 409, 413, 422],
        ),
        (
            "update_member",
            &[200, 400, 404, 405, 413, 422],
            &[200, 400, 404, 405, 413, 422],
        ),
        ("remove_member", &[204, 404, 405], &[204, 404, 405, 409]),
        (
            "list_assignments",
            &[200, 400, 404, 405, 422],
            &[200, 400, 404, 405],
        ),
        ("find_assignments", &[200, 400, 422], &[200, 400]),
        ("get_assignment", &[200, 404, 405], &[200, 404, 405]),
    ] {
        assert_eq!(statuses(Toptickets, id), toptickets, "{id} in toptickets");
        assert_eq!(statuses(Itsm, id), itsm, "{id} in itsm");
    }
    assert_eq!(statuses(Itsm, "get_workload"), [200, 404, 405]);
}

#[test]
fn response_documents_its_headers() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        let with_one_team: &[&str] = match contract {
            Toptickets => &[
                "create_team",
                "get_team",
                "update_team",
                "add_member",
                "update_member",
            ],
            Itsm => &["create_team", "get_team", "update_team"],
        };
        for operation in document.operations() {
            let id = operation.json["operationId"].as_str().expect("an id");
            for (status, response) in members(&operation.json["responses"]) {
                let response = document.resolve(response);
                let names: Vec<_> = members(&response["headers"])
                    .map(|(name, _)| name.as_str())
                    .collect();
                let is_cursor_page = (contract, id) == (Toptickets, "find_assignments");
                let own = match status.as_str() {
                    "200" if is_cursor_page => Some("Link"),
                    "200" | "201" => with_one_team.contains(&id).then_some("ETag"),
                    "401" => Some("WWW-Authenticate"),
                    "405" => Some("Allow"),
                    "429" | "503" => Some("Retry-After"),
                    _ => None,
                };
                let mut expected = vec!["X-Request-Id", "Cache-Control"];
                expected.extend(own);
                let has_body = members(&operation.json["requestBody"]).count() > 0;
                expected
                    .extend((status.starts_with('2') && has_body).then_some("X-Ignored-Fields"));
                // ITSM's 422 is never about the form of the request.
                let is_explained = match status.as_str() {
                    "400" | "401" | "403" | "405" => true,
                    "404" => id != "create_team",
                    "422" => contract == Toptickets,
                    _ => false,
                };
                expected.extend(is_explained.then_some("Link"));
                expected.sort_unstable();
                assert_eq!(
                    BTreeSet::from_iter(names),
                    BTreeSet::from_iter(expected),
                    "{id} {status}"
                );
            }
        }
    }
}

#[tokio::test]
async fn undocumented_response_is_detected() {
    let org = Stack::shared().organization().await;
    for (contract, client) in Contract::ALL.into_iter().zip(org.clients()) {
        let asked = |method: Method, path: &str| SentRequest {
            method,
            path: path.to_owned(),
            contract,
        };
        let response = client.get("/v1/teams?limit=1").await;
        let list = asked(Method::GET, "/v1/teams");
        assert_eq!(list.mismatch(&response), None);
        assert_eq!(
            asked(Method::POST, "/v1/teams")
                .mismatch(&response)
                .as_deref(),
            Some("the status")
        );
        assert_eq!(
            asked(Method::GET, "/v1/elsewhere")
                .mismatch(&response)
                .as_deref(),
            Some("the status")
        );
        assert!(
            asked(Method::GET, "/v1/assignments/x")
                .mismatch(&response)
                .is_some()
        );

        let with = |change: fn(&mut Response)| {
            let Response {
                status,
                headers,
                text,
                json,
            } = &response;
            let mut changed = Response {
                status: *status,
                headers: headers.clone(),
                text: text.clone(),
                json: json.clone(),
            };
            change(&mut changed);
            list.mismatch(&changed)
        };
        let etag = with(|response| {
            drop(
                response
                    .headers
                    .insert("etag", HeaderValue::from_static("\"1\"")),
            );
        });
        assert_eq!(etag.as_deref(), Some("the header ETag"));
        let cached = with(|response| drop(response.headers.remove("cache-control")));
        assert!(cached.is_some_and(|mismatch| mismatch.starts_with("the header Cache-Control")));
        let html = with(|response| {
            drop(
                response
                    .headers
                    .insert("content-type", HeaderValue::from_static("text/html")),
            );
        });
        assert_eq!(html.as_deref(), Some("the content type"));
        assert!(
            with(|response| response.json = json!({ "success": true, "data": [], "more": 1 }))
                .is_some()
        );
        assert!(with(|response| response.json = json!([{ "id": "x" }])).is_some());
    }
}

#[test]
fn component_is_referenced_and_not_empty() {
    for contract in Contract::ALL {
        let document = OpenapiDocument::of(contract);
        let text = document.json.to_string();
        for kind in ["schemas", "headers", "responses"] {
            for (name, component) in members(&document.json["components"][kind]) {
                assert!(
                    component
                        .as_object()
                        .is_some_and(|component| !component.is_empty()),
                    "{name} says nothing"
                );
                let mentioned = text.contains(&format!(r##""#/components/{kind}/{name}""##));
                assert!(mentioned, "{name} in {}", contract.as_str());
            }
        }
    }
}

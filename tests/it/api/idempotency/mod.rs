//! `Idempotency-Key`: a retry is carried out once, and returns the response of the first request.

mod concurrency;
mod keys;
mod large_responses;
mod retries;

use muster_domain::User;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Client, Organization, Response, bare,
    table::{Item, OrgTable, text},
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

const KEY_REUSED: [&str; 2] = ["422 Idempotency-Key reused", "422 IDEMPOTENCY_KEY_REUSED"];

const NAME_TAKEN: [&str; 2] = ["422 Team name already exists", "409 CONFLICT"];

/// Returns a unique key.
fn new_key() -> String {
    Uuid::new_v4().to_string()
}

/// Sends a POST with an `Idempotency-Key`.
async fn post_with_key(client: &Client, path: &str, key: &str, body: &Value) -> Response {
    Client::send(
        client
            .request(Method::POST, path)
            .header(IDEMPOTENCY_KEY, key)
            .json(body),
    )
    .await
}

/// Asserts that two responses differ in the ids of their requests only.
#[track_caller]
fn assert_same_response(first: &Response, again: &Response) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for header in ["etag", "content-type", "cache-control", "x-ignored-fields"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
}

/// Returns the id of the created team, without a prefix.
fn created_team_id(response: &Response) -> String {
    assert_eq!(response.status, 201, "{response}");
    let id = response.json["id"]
        .as_str()
        .or_else(|| response.json["data"]["id"].as_str());
    id.expect("an id").trim_start_matches("team_").to_owned()
}

fn member_body(user: &User) -> Value {
    json!({ "user_id": bare(user) })
}

fn members_path(team: &str) -> String {
    format!("/v1/teams/{team}/members")
}

async fn team_count(org: &Organization) -> usize {
    OrgTable::of(org).contents().await.teams.len()
}

/// Returns the items of the saved responses of a key, of all subjects.
async fn saved_items(org: &Organization, key: &str) -> Vec<Item> {
    let scan = org
        .stack
        .dynamodb()
        .scan()
        .table_name(&org.stack.table)
        .consistent_read(true);
    let items: Vec<Item> = scan
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the table can be read");
    let (organization, key) = (format!("ORG#{}#IDEM#", org.id), format!("#{key}"));
    let of_key = |item: &Item| {
        text(item, "pk").starts_with(&organization) && text(item, "pk").ends_with(&key)
    };
    items.into_iter().filter(of_key).collect()
}

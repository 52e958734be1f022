//! `GET /v1/teams`.

mod items;
mod order;
mod pages;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, Organization, Response};

/// Creates teams from eight concurrent clients. More would exceed the time limit of a request.
async fn create_concurrently(org: &Organization, bodies: impl IntoIterator<Item = Value>) {
    let bodies: Vec<_> = bodies.into_iter().collect();
    let mut clients = JoinSet::new();
    for bodies in bodies
        .chunks(bodies.len().div_ceil(8))
        .map(<[Value]>::to_vec)
    {
        let client = org.itsm.clone();
        clients.spawn(async move {
            for body in bodies {
                let response = client.post("/v1/teams", body).await;
                assert_eq!(response.status, 201, "{response}");
            }
        });
    }
    clients.join_all().await;
}

/// Creates teams of 40 kB each.
async fn create_large(org: &Organization, teams: usize) {
    let description = "🦀".repeat(10_000);
    let body = |number| json!({ "name": format!("Team {number}"), "description": description });
    create_concurrently(org, (0..teams).map(body)).await;
}

/// Requests a list and asserts success.
async fn list(client: &Client, query: &str) -> Response {
    let response = client.get(&format!("/v1/teams?{query}")).await;
    assert_eq!(response.status, 200, "{query}: {response}");
    response
}

fn items(response: &Response) -> &Vec<Value> {
    response
        .json
        .as_array()
        .or_else(|| response.json["data"].as_array())
        .expect("a list")
}

/// Returns one field of every item.
fn field_of_all(response: &Response, field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].as_str().expect("a text").to_owned();
    items(response).iter().map(text).collect()
}

/// Returns the total, the number of pages, and `hasMore`.
fn totals(response: &Response) -> (u64, u64, bool) {
    let pagination = &response.json["meta"]["pagination"];
    let number = |key: &str| pagination[key].as_u64().expect("a number");
    (
        number("total"),
        number("totalPages"),
        pagination["hasMore"].as_bool().expect("a boolean"),
    )
}

fn reversed(texts: &[String]) -> Vec<String> {
    texts.iter().rev().cloned().collect()
}

/// Creates teams in sequence and returns their ids.
async fn create_teams(org: &Organization, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(org.team(name).await);
    }
    ids
}

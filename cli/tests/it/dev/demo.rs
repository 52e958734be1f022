//! The demo organization of `muster dev`.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{folder, signal};
use crate::support::{Dev, wait};

const ITSM_ADMIN: &str = "/demo/keys/itsm/admin";
const NETWORK_OPERATIONS: &str = "/v1/teams/team_a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const MAINFRAME_OPERATIONS: &str = "/v1/teams/team_c3d4e5f6-a7b8-9012-cdef-123456789012";

/// Sends a request with the admin key of ITSM in the demo organization.
async fn send(dev: &Dev, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = Client::new()
        .request(method, format!("{}{path}", dev.text("/url")))
        .bearer_auth(dev.text(ITSM_ADMIN));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the stack responds");
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

async fn get(dev: &Dev, path: &str) -> Value {
    let (status, body) = send(dev, Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body["data"].clone()
}

fn ids(list: &Value) -> BTreeSet<&str> {
    let items = list.as_array().expect("a list").iter();
    items
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

#[tokio::test]
async fn demo_has_teams_and_tickets_of_every_state() {
    let dev = Dev::with_demo(["--in-memory"]);
    let demo = &dev.description["demo"];
    assert_eq!(demo["organization_id"], "org_9f8e7d6c5b4a");
    for team in demo["teams"].as_array().expect("teams") {
        let id = team["id"].as_str().expect("an id");
        let read = get(&dev, &format!("/v1/teams/{id}")).await;
        assert_eq!(read["name"], team["name"]);
    }
    let network = get(&dev, NETWORK_OPERATIONS).await;
    assert_eq!(network["lead_id"], network["members"][0]["id"]);

    let mut states = BTreeMap::<&str, usize>::new();
    for ticket in demo["tickets"].as_array().expect("tickets") {
        let (id, state) = (
            ticket["id"].as_str().expect("an id"),
            ticket["state"].as_str().expect("a state"),
        );
        let read = get(&dev, &format!("/v1/assignments/{id}")).await;
        assert_eq!(read["state"], state, "{id}");
        assert_ne!(read["reason"], "", "{id}");
        *states.entry(state).or_default() += 1;
    }
    for state in ["assigned", "waiting", "unrouted"] {
        assert!(states[state] >= 2, "{state}: {states:?}");
    }
    let tickets: usize = states.values().sum();
    assert_eq!(tickets, 11, "every event of the demo is valid: {states:?}");

    let (_, others) = dev.list(dev.text("/keys/itsm/admin")).await;
    assert_eq!(others["data"], json!([]), "org_demo has no teams");
}

#[tokio::test]
async fn demo_in_a_data_dir_keeps_every_change() {
    let (_folder, path) = folder();
    let arguments = ["--data-dir", &path];
    // The folder of an empty stack gets the demo data later.
    let mut empty = Dev::start(arguments);
    assert_eq!(empty.description["demo"], Value::Null);
    signal(&empty.child, "TERM");
    wait(&mut empty.child);

    let mut dev = Dev::with_demo(arguments);
    let before = dev.description["demo"].clone();
    let renamed = json!({ "name": "Networks", "queue_strategy": "round_robin" });
    let alex = "usr_f6e5d4c3-b2a1-0987-fedc-ba9876543210";
    let jessica = "usr_a1b2c3d4-e5f6-7890-abcd-ef1234567890";
    for (method, path, body) in [
        (Method::PATCH, NETWORK_OPERATIONS.to_owned(), Some(renamed)),
        (Method::DELETE, MAINFRAME_OPERATIONS.to_owned(), None),
        (
            Method::DELETE,
            format!("{NETWORK_OPERATIONS}/members/{jessica}"),
            None,
        ),
    ] {
        let (status, body) = send(&dev, method, &path, body).await;
        assert!(status.is_success(), "{path}: {status} {body}");
    }
    signal(&dev.child, "TERM");
    wait(&mut dev.child);

    // A start without the demo data keeps its keys.
    let mut empty = Dev::start(arguments);
    signal(&empty.child, "TERM");
    wait(&mut empty.child);

    let again = Dev::with_demo(arguments);
    let after = &again.description["demo"];
    for unchanged in ["organization_id", "keys", "users", "tickets"] {
        assert_eq!(after[unchanged], before[unchanged], "{unchanged}");
    }
    let network = get(&again, NETWORK_OPERATIONS).await;
    assert_eq!(
        (&network["name"], &network["queue_strategy"]),
        (&json!("Networks"), &json!("round_robin"))
    );
    assert_eq!(ids(&network["members"]), BTreeSet::from([alex]));
    let deleted = send(&again, Method::GET, MAINFRAME_OPERATIONS, None).await;
    assert_eq!(deleted.0, StatusCode::NOT_FOUND);
    let gone = "c3d4e5f6-a7b8-9012-cdef-123456789012";
    assert_eq!(
        &ids(&before["teams"]) - &ids(&after["teams"]),
        BTreeSet::from([gone])
    );
}

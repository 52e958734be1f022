//! Records of the table's stream.

use std::time::Duration;

use serde_json::{Value, json};

pub const TEAM: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
pub const USER: &str = "f6e5d4c3-b2a1-0987-fedc-ba9876543210";
/// A remaining time that no test uses up.
pub const LONG: Duration = Duration::from_secs(30);

/// Returns a stream record in the form of a Lambda event.
pub fn record(n: usize, pk: &str, sk: &str, old: Option<Value>, new: Option<Value>) -> Value {
    let with_keys = |mut image: Value| {
        image["pk"] = json!({ "S": pk });
        image["sk"] = json!({ "S": sk });
        image
    };
    let event_name = match (&old, &new) {
        (None, _) => "INSERT",
        (_, Some(_)) => "MODIFY",
        (_, None) => "REMOVE",
    };
    let mut change = json!({
        "ApproximateCreationDateTime": 1_736_064_000,
        "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
        "SequenceNumber": sequence_number(n),
        "SizeBytes": 400,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    if let Some(old) = old {
        change["OldImage"] = with_keys(old);
    }
    if let Some(new) = new {
        change["NewImage"] = with_keys(new);
    }
    json!({
        "eventID": format!("{n:032x}"),
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/muster/stream/2025-01-05T00:00:00.000",
    })
}

pub fn sequence_number(n: usize) -> String {
    format!("{n:021}")
}

/// Returns the image of a ticket: assigned to a user, or waiting in the team.
pub fn ticket(rev: usize, assignee: Option<&str>) -> Value {
    let mut image = json!({
        "rev": { "N": rev.to_string() },
        "version": { "S": "1736064000000#e1" },
        "status": { "S": "open" },
        "priority": { "S": "high" },
        "topics": { "L": [{ "S": "vpn" }] },
        "created_at": { "N": "1736064000000" },
        "team_id": { "S": TEAM },
        "state": { "S": if assignee.is_some() { "assigned" } else { "waiting" } },
        "decision": { "M": {
            "reason": { "S": if assignee.is_some() { "strategy" } else { "nobody_eligible" } },
            "considered": { "N": "0" },
            "eligible": { "N": "0" },
            "candidates": { "L": [] },
            "decided_at": { "N": "1736064000123" },
        } },
    });
    if let Some(assignee) = assignee {
        image["assignee_id"] = json!({ "S": assignee });
    }
    image
}

pub fn ticket_record(n: usize, id: &str, old: Option<Value>, new: Value) -> Value {
    record(n, &format!("ORG#org#TICKET#{id}"), "TICKET", old, Some(new))
}

/// Returns the records of `count` new tickets, from `T0`, each assigned.
pub fn assigned(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| ticket_record(n, &format!("T{n}"), None, ticket(1, Some(USER))))
        .collect()
}

/// Returns the record of a change of the waiting tickets of a team.
pub fn load_record(n: usize, waiting_before: u32, waiting: u32) -> Value {
    let load = |waiting: u32| {
        json!({
            "turn": { "N": "0" },
            "open_tickets": { "N": "3" },
            "waiting_tickets": { "N": waiting.to_string() },
            "sla_met": { "N": "0" },
            "sla_due": { "N": "0" },
            "eligible": { "N": "0" },
        })
    };
    record(
        n,
        &format!("ORG#org#TEAM#{TEAM}"),
        "LOAD",
        Some(load(waiting_before)),
        Some(load(waiting)),
    )
}

/// Returns a record with an invalid attribute.
pub fn unreadable(n: usize) -> Value {
    ticket_record(n, "BAD", None, json!({ "rev": { "S": "not a number" } }))
}

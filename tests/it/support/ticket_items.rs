//! Tickets that a test writes into the table without the queue, in the form in which routing writes
//! them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::User;
use serde_json::{Value, json};

use super::{Organization, bare};

/// Returns a ticket item without its keys: assigned by round robin to a user, the only eligible
/// member.
pub fn assigned(team: &str, user: &User, decided_at_millis: i64) -> Value {
    json!({
        "rev": 1,
        "versions": ["spcbgnrdta#1708790000000##event"],
        "status": "open",
        "priority": "medium",
        "created_at": 1_708_790_000_000_i64,
        "team_id": team,
        "assignee_id": bare(user),
        "state": "assigned",
        "decision": {
            "reason": "strategy",
            "strategy": "round_robin",
            "turn": 1,
            "considered": 1,
            "eligible": 1,
            "candidates": [{ "user_id": bare(user), "open_tickets": 0, "last_turn": 0, "matched_skills": 0 }],
            "decided_at": decided_at_millis,
        },
    })
}

/// Returns the item of a ticket that waits in a team without members.
pub fn waiting(team: &str, decided_at_millis: i64) -> Value {
    json!({
        "rev": 1,
        "versions": ["spcbgnrdt#1708790000000##event"],
        "status": "new",
        "priority": "medium",
        "created_at": 1_708_790_000_000_i64,
        "team_id": team,
        "state": "waiting",
        "decision": {
            "reason": "nobody_eligible",
            "strategy": "round_robin",
            "considered": 0,
            "eligible": 0,
            "candidates": [],
            "decided_at": decided_at_millis,
        },
    })
}

/// Returns the item of a ticket that matches no team.
pub fn unrouted(decided_at_millis: i64) -> Value {
    json!({
        "rev": 1,
        "versions": ["spcbgnrdt#1708790000000##event"],
        "status": "new",
        "priority": "medium",
        "created_at": 1_708_790_000_000_i64,
        "state": "unrouted",
        "decision": {
            "reason": "no_team_matches",
            "considered": 0,
            "eligible": 0,
            "candidates": [],
            "decided_at": decided_at_millis,
        },
    })
}

/// Returns the index key of a ticket.
fn indexed(org: &Organization, id: &str, ticket: &Value) -> Option<(String, String)> {
    let team = ticket["team_id"].as_str().unwrap_or_default();
    let decided_at = ticket["decision"]["decided_at"]
        .as_i64()
        .expect("a decision has a time");
    let rank = ["critical", "high", "medium", "low"]
        .iter()
        .position(|priority| ticket["priority"] == *priority);
    let urgency = format!(
        "{}#{:015}#{id}",
        rank.expect("a priority"),
        ticket["created_at"].as_i64().expect("a time")
    );
    match ticket["state"].as_str().expect("a ticket has a state") {
        "assigned" => Some((
            format!("ORG#{}#TEAM#{team}#OPEN", org.id),
            format!("{decided_at:015}#{id}"),
        )),
        "waiting" => Some((format!("ORG#{}#TEAM#{team}#WAITING", org.id), urgency)),
        "unrouted" => Some((
            format!("ORG#{}#UNROUTED", org.id),
            format!("{urgency}#{:016x}", u64::MAX),
        )),
        _ => None,
    }
}

impl Organization {
    /// Writes a ticket into the table with its own index key.
    pub async fn put_ticket(&self, id: &str, ticket: &Value) {
        self.put_ticket_indexed_as(id, ticket, ticket).await;
    }

    /// Writes a ticket into the table with the index key of an earlier state.
    pub async fn put_ticket_indexed_as(&self, id: &str, ticket: &Value, was: &Value) {
        let AttributeValue::M(mut item) = attribute(ticket) else {
            panic!("not a JSON object: {ticket}")
        };
        let mut key =
            |name: &str, text: String| item.insert(name.to_owned(), AttributeValue::S(text));
        key("pk", format!("ORG#{}#TICKET#{id}", self.id));
        key("sk", "TICKET".to_owned());
        if let Some((gsi1pk, gsi1sk)) = indexed(self, id, was) {
            key("gsi1pk", gsi1pk);
            if was["state"] == "waiting" {
                key("gsi2pk", format!("ORG#{}#QUEUE", self.id));
                key("gsi2sk", gsi1sk.clone());
            }
            key("gsi1sk", gsi1sk);
        }
        let put = self
            .stack
            .dynamodb()
            .put_item()
            .table_name(&self.stack.table)
            .set_item(Some(item));
        put.send().await.expect("the item is written");
    }
}

/// Returns JSON as a DynamoDB attribute.
fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(attribute).collect()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)));
            AttributeValue::M(fields.collect::<HashMap<_, _>>())
        }
    }
}

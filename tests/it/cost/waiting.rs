//! The cost of tickets that wait: each of the two indexes has an entry for them.

use std::{fmt::Write as _, sync::Arc};

use aws_sdk_dynamodb::Client;
use insta::assert_snapshot;
use muster_domain::{OrganizationId, QueueStrategy::RoundRobin, Timestamp};
use muster_service::store::Table;
use serde_json::json;

use super::join_steps;
use crate::support::{
    Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
    org::{NOW, OrgFixture, TeamFixture, team, ticket_message},
    sqs::invoke_assignment,
};

/// The batches, in order: case, status and priority of the tickets.
const CASES: [(&str, &str, &str); 4] = [
    ("begin to wait", "new", "medium"),
    ("still wait", "open", "medium"),
    ("become critical", "open", "critical"),
    ("closed", "resolved", "critical"),
];

/// Returns the message of ticket `n` in a batch.
fn message(org: &OrganizationId, step: usize, n: usize) -> String {
    let (_, status, priority) = CASES[step];
    let at = NOW - 5000 + i64::try_from(step * 100 + n).expect("a few");
    let ticket = json!({
        "status": status,
        "priority": priority,
        "created_at": NOW - 9001,
        "team_id": team(0),
    });
    ticket_message(
        org,
        if step == 0 { "created" } else { "updated" },
        &format!("event-{:06}", step * 100 + n),
        &format!("TKT-2026-{n:06}"),
        at,
        ticket,
    )
}

/// Eighty tickets of a team without members. A transaction counts 2 units for each of the 80
/// tickets and the load. An index adds 1 unit for each entry that begins or ends, and 2 for each
/// that moves. The load enters and leaves the index once.
#[tokio::test]
async fn eighty_waiting_tickets_match_the_cost_golden() {
    let teams = [TeamFixture::of(RoundRobin, [])];
    let org = OrgFixture::open(&Stack::with(|_| {}).await, 1, &teams).await;
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.recorder())
        .build();
    let mut deps = org.assignment_over(Table::new(
        Client::from_conf(config),
        org.stack.table.as_str(),
    ));
    let mut lines = String::new();
    for (step, (case, ..)) in CASES.into_iter().enumerate() {
        let messages: Vec<_> = (0..80).map(|n| message(&org.id, step, n)).collect();
        // The bytes of a number depend on its digits.
        let now = NOW * 1000 + 123 + i64::try_from(step).expect("a few");
        deps.clock = Arc::new(move || Timestamp::from_millis(now));
        meter.take();
        assert_eq!(invoke_assignment(&deps, &messages).await, [0; 0]);
        let ObservedCost {
            mut steps,
            read,
            written,
            ..
        } = meter.take();
        let round_trips = steps.len();
        let steps = join_steps(&mut steps);
        writeln!(
            lines,
            "{case:<15} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
        org.read_table().await.assert_exact();
    }
    assert_snapshot!(lines, @"
    begin to wait   | 2 |   83 |  323 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(81)
    still wait      | 2 |   83 |  160 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(80)
    become critical | 2 |   83 |  480 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(80)
    closed          | 2 |   83 |  322 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(81)
    ");
}

//! The cost of routing tickets.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use aws_sdk_dynamodb::Client;
use insta::assert_snapshot;
use muster_cli::scenario::Scenario;
use muster_domain::{
    OrganizationId,
    QueueStrategy::{LeastBusy, SkillBased},
    Timestamp,
};
use muster_service::store::Table;
use serde_json::{Value, json};
use uuid::Uuid;

use super::join_steps;
use crate::support::{
    Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
    org::{NOW, OrgFixture, TeamFixture, team, team_id, ticket_message, user},
    sqs::invoke_assignment,
    table_audit::size,
};

/// A batch of events for eighty tickets.
struct BatchCase {
    case: &'static str,
    round_trips: usize,
    kind: &'static str,
    ticket: fn(usize) -> Value,
}

/// The batches, in order.
const CASES: [BatchCase; 8] = [
    BatchCase {
        case: "new",
        round_trips: 2,
        kind: "created",
        ticket: |_| json!({ "status": "new" }),
    },
    BatchCase {
        case: "heard of twice",
        round_trips: 1,
        kind: "created",
        ticket: |_| json!({ "status": "new" }),
    },
    BatchCase {
        case: "begun",
        round_trips: 2,
        kind: "updated",
        ticket: |_| json!({ "status": "in_progress" }),
    },
    BatchCase {
        case: "given to the first",
        round_trips: 2,
        kind: "updated",
        ticket: |_| json!({ "status": "in_progress", "assignee_id": user(0) }),
    },
    BatchCase {
        case: "taken back",
        round_trips: 2,
        kind: "unassigned",
        ticket: |_| json!({ "status": "open" }),
    },
    BatchCase {
        case: "closed",
        round_trips: 2,
        kind: "updated",
        ticket: |_| json!({ "status": "resolved" }),
    },
    BatchCase {
        case: "reopened",
        round_trips: 2,
        kind: "updated",
        ticket: |_| json!({ "status": "open" }),
    },
    BatchCase {
        case: "deleted",
        round_trips: 2,
        kind: "deleted",
        ticket: |_| json!({ "status": "open" }),
    },
];

/// Returns the message of ticket `n` in a batch.
fn batch_message(org: &OrganizationId, case: &BatchCase, step: usize, n: usize) -> String {
    let mut ticket = (case.ticket)(n);
    for (field, value) in [
        ("priority", json!("critical")),
        ("category", json!("networking")),
        ("subcategory", json!("vpn")),
        ("tags", json!(["remote-access", "windows-11"])),
        ("created_at", json!(NOW - 9001)),
        ("due_at", json!(NOW + 9001)),
        ("team_id", json!(team(0))),
    ] {
        ticket[field] = value;
    }
    let event_id =
        Uuid::from_u128(0x0123_4567_89ab_4def_8000_0000_0000_0000 + (step * 100 + n) as u128);
    let at = NOW - 5000 + i64::try_from(step * 100 + n).expect("a few");
    ticket_message(
        org,
        case.kind,
        &event_id.to_string(),
        &format!("TKT-2026-{n:06}"),
        at,
        ticket,
    )
}

/// Eighty tickets of one team with eight members. A batch needs one read of all items and one
/// transaction of 80 + 8 + 1 items, each at most 1 KB. The index costs one more unit for each
/// ticket that enters or leaves it, and two if a later decision moves its entry.
#[tokio::test]
async fn routing_eighty_tickets_matches_the_cost_golden() {
    let mut team_fixture = TeamFixture::of(SkillBased, 0..8);
    for (_, skills) in &mut team_fixture.members {
        skills.extend(["networking", "vpn"]);
    }
    let org = OrgFixture::open(&Stack::with(|_| {}).await, 8, &[team_fixture]).await;
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.recorder())
        .build();
    let mut deps = org.assignment_over(Table::new(
        Client::from_conf(config),
        org.stack.table.as_str(),
    ));
    let (mut lines, mut largest) = (String::new(), 0);
    for (step, batch) in CASES.iter().enumerate() {
        let BatchCase {
            case, round_trips, ..
        } = batch;
        // The duplicate batch repeats the events of the first.
        let step = if step == 1 { 0 } else { step };
        let messages: Vec<_> = (0..80)
            .map(|n| batch_message(&org.id, batch, step, n))
            .collect();
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
        assert_eq!(
            steps.len(),
            *round_trips,
            "round trips of {case}: {steps:?}"
        );
        let is_moved_twice = matches!(*case, "given to the first" | "taken back");
        let moves = 1.0 + f64::from(u8::from(is_moved_twice));
        assert!(
            written <= 2.0 * (80.0 + 8.0 + 1.0) + moves * 80.0,
            "{case}: {written} write units"
        );
        let steps = join_steps(&mut steps);
        writeln!(
            lines,
            "{case:<18} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
        let audit = org.read_table().await;
        audit.assert_exact();
        largest = largest.max(audit.tickets.values().map(size).max().unwrap_or(0));
    }
    writeln!(lines, "the largest ticket takes {largest} bytes").expect("a text can be written to");
    assert_snapshot!(lines, @"
    new                | 2 |   83 |  258 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(89)
    heard of twice     | 1 |   83 |    0 | BatchGetItem(81) + GetItem + Query
    begun              | 2 |   83 |  176 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    given to the first | 2 |   83 |  316 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    taken back         | 2 |   83 |  338 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(89)
    closed             | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    reopened           | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    deleted            | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    the largest ticket takes 975 bytes
    ");
}

/// Returns the events of a scenario in an order in which a batch has at most one event of a ticket.
fn events_of(scenario: &Scenario) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let nth = |event| {
        let event = serde_json::to_value(event).expect("JSON");
        let ticket = counts
            .entry(event["data"]["ticket"]["id"].to_string())
            .or_default();
        *ticket += 1;
        (*ticket, event.to_string())
    };
    let mut events: Vec<_> = scenario.events().map(nth).collect();
    events.sort_by_key(|(nth, _)| *nth);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Measures the cost of a ticket from its first event to its last, by the batch size and the number
/// of teams, for 200 tickets of `muster tickets generate`. Larger batches cost less per ticket,
/// because the changes of a membership and of a load are written once per batch. Each batch has at
/// most one event of a ticket, as under a heavier load.
#[tokio::test]
async fn generated_day_matches_the_cost_golden() {
    const TICKETS: u32 = 200;
    let stack = Stack::with(|_| {}).await;
    let mut lines = String::new();
    for (messages, teams) in [(1, 1), (10, 1), (100, 1), (100, 10)] {
        let team_fixtures: Vec<_> = (0..teams)
            .map(|n| TeamFixture::of(LeastBusy, n * 8..n * 8 + 8))
            .collect();
        let org = OrgFixture::open(&stack, teams * 8, &team_fixtures).await;
        let meter = CostMeter::default();
        let config = invoke::client_config(&org.stack)
            .interceptor(meter.recorder())
            .build();
        let mut deps = org.assignment_over(Table::new(
            Client::from_conf(config),
            org.stack.table.as_str(),
        ));
        // The bytes of a number depend on its digits.
        deps.clock = Arc::new(|| Timestamp::from_millis(NOW * 1000 + 123));
        let scenario = Scenario {
            organization: org.id.clone(),
            contract: None,
            start: Timestamp::from_secs(NOW - 86_400),
            tickets: TICKETS,
            teams: (0..teams).map(team_id).collect(),
            users: Vec::new(),
            seed: 1,
            duplicates: 0,
            shuffle: Duration::ZERO,
        };
        let events = events_of(&scenario);
        for batch in events.chunks(messages) {
            assert_eq!(invoke_assignment(&deps, batch).await, [0; 0]);
        }
        let ObservedCost {
            steps,
            read,
            written,
            ..
        } = meter.take();
        let transactions = steps
            .iter()
            .flatten()
            .filter(|call| call.starts_with("TransactWriteItems"))
            .count();
        let each = |units: f64| units / f64::from(TICKETS);
        writeln!(
            lines,
            "{messages:>3} messages, {teams:>2} teams | {:>4} events | {:>4.1} read | {:>4.1} written | {transactions:>3} transactions",
            events.len(),
            each(read),
            each(written),
        )
        .expect("a text can be written to");
    }
    assert_snapshot!(lines, @"
      1 messages,  1 teams |  776 events | 15.5 read | 20.0 written | 776 transactions
     10 messages,  1 teams |  776 events |  5.0 read | 14.7 written |  78 transactions
    100 messages,  1 teams |  776 events |  3.8 read | 10.5 written |  15 transactions
    100 messages, 10 teams |  778 events |  5.0 read | 14.6 written |  80 transactions
    ");
}

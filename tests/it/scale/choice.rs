//! The selection of a team among many with the same specialization.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures_util::{StreamExt, stream};
use muster_domain::{QueueStrategy::RoundRobin, RingPlace};
use muster_service::store::Table;
use serde_json::json;

use crate::support::{
    Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
    org::{OrgFixture, TeamFixture, team},
    sqs::invoke_assignment,
    table::{Item, text},
};

/// Creates an organization with this many teams for VPNs: the first has a member, the others are
/// copies of the second, which has none.
async fn org_with_teams(stack: &Stack, teams: usize) -> OrgFixture {
    let specialists = |members: &[usize]| TeamFixture {
        specializations: vec!["VPN"],
        ..TeamFixture::of(RoundRobin, members.to_vec())
    };
    let org = OrgFixture::open(stack, 1, &[specialists(&[0]), specialists(&[])]).await;
    let audit = org.read_table().await;
    let original = team(1);
    let items: Vec<&Item> = audit
        .items
        .iter()
        .filter(|((pk, sk), _)| pk.contains(&original) || sk.contains(&original))
        .map(|(_, item)| item)
        .collect();
    assert!(
        items.len() >= 4,
        "a team, its load and two entries of the index: {items:?}"
    );
    let copies = (2..teams).flat_map(|n| items.iter().map(move |item| copy(item, n)));
    let requests: Vec<_> = copies
        .map(|item| {
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("a valid item");
            WriteRequest::builder().put_request(put).build()
        })
        .collect();
    let client = org.stack.dynamodb();
    let write = |requests: &[WriteRequest]| {
        let write = client
            .batch_write_item()
            .request_items(&org.stack.table, requests.to_vec());
        async move {
            let left = write
                .send()
                .await
                .expect("the items are written")
                .unprocessed_items
                .unwrap_or_default();
            assert!(left.is_empty(), "{left:?}");
        }
    };
    stream::iter(requests.chunks(25))
        .map(write)
        .buffer_unordered(8)
        .collect::<()>()
        .await;
    org
}

/// Returns a copy of an item of the second team for another team.
fn copy(item: &Item, n: usize) -> Item {
    let (original, copied) = (team(1), team(n));
    let places = [&original, &copied].map(|team| RingPlace::of(team).to_string());
    let renamed = |value: &AttributeValue| match value {
        AttributeValue::S(text) => AttributeValue::S(
            text.replace(&original, &copied)
                .replace(&format!("#{}#", places[0]), &format!("#{}#", places[1])),
        ),
        other => other.clone(),
    };
    item.iter()
        .map(|(name, value)| (name.clone(), renamed(value)))
        .collect::<HashMap<_, _>>()
}

/// Returns the message of a new ticket about VPNs.
fn ticket(org: &OrgFixture, id: &str) -> String {
    org.ticket_event(
        "created",
        id,
        100,
        json!({ "status": "new", "category": "vpn", "created_at": 1_768_400_000 }),
    )
}

/// Returns the round trips, the read units and the write units of one ticket.
async fn cost(org: &OrgFixture, id: &str) -> (Vec<Vec<String>>, f64, f64) {
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.recorder())
        .build();
    let deps = org.assignment_over(Table::new(
        Client::from_conf(config),
        org.stack.table.as_str(),
    ));
    assert_eq!(invoke_assignment(&deps, &[ticket(org, id)]).await, [0; 0]);
    let ObservedCost {
        mut steps,
        read,
        written,
        ..
    } = meter.take();
    for step in &mut steps {
        step.sort();
    }
    (steps, read, written)
}

/// Finds a ticket id by a condition for its distance on the ring to the first team.
fn id_with(distance: impl Fn(u32) -> bool) -> String {
    let first = RingPlace::of(&team(0));
    let mut ids = (0..100_000).map(|n| format!("INC-{n:06}"));
    ids.find(|id| distance(first.distance_from(RingPlace::of(id))))
        .expect("a matching id")
}

#[tokio::test]
async fn choice_among_1000_teams_costs_as_among_100() {
    let stack = Stack::with(|_| {}).await;
    let (small, large, larger) = tokio::join!(
        org_with_teams(&stack, 100),
        org_with_teams(&stack, 1_000),
        org_with_teams(&stack, 1_300)
    );
    let id = id_with(|distance| distance < u32::MAX / 2_000);
    let expected: Vec<Vec<String>> = [
        &["BatchGetItem(2)"][..],
        &["Query"],
        &["BatchGetItem(100)"],
        &["GetItem", "Query"],
        &["TransactWriteItems(3)"],
    ]
    .map(|step| step.iter().map(|call| (*call).to_owned()).collect())
    .into();
    let (steps, read_of_100, written) = cost(&small, &id).await;
    assert_eq!(steps, expected);
    // The figures of docs/scaling.md, which differ by the length of the organization's id.
    assert!(
        (55.0..=59.0).contains(&read_of_100),
        "{read_of_100} read units among 100 teams"
    );
    for org in [&large, &larger] {
        let (steps, read, written_among_many) = cost(org, &id).await;
        assert_eq!((steps, written_among_many), (expected.clone(), written));
        // The loads cost the same. One page of the index has 1,000 entries of about 100 bytes, at
        // one unit for each 4 KB.
        assert!(
            read <= read_of_100 + 900.0 * 110.0 / 4096.0 + 1.0,
            "{read} read units, {read_of_100} among 100 teams"
        );
    }
    for org in [&small, &large, &larger] {
        let audit = org.read_table().await;
        assert_eq!(
            text(&audit.tickets[&id], "team_id"),
            team(0),
            "the team with a member is among those compared"
        );
    }
}

/// With 1,300 teams, a ticket compares 100 of them: about a thirteenth of the ring.
#[tokio::test]
async fn team_beyond_the_compared_ones_is_not_found() {
    let stack = Stack::with(|_| {}).await;
    let org = org_with_teams(&stack, 1_300).await;
    let (near, far) = (
        id_with(|distance| distance < u32::MAX / 40),
        id_with(|distance| distance > u32::MAX / 2),
    );
    for id in [&near, &far] {
        cost(&org, id).await;
    }
    let audit = org.read_table().await;
    let outcome = |id: &str| {
        (
            text(&audit.tickets[id], "state").to_owned(),
            text(&audit.tickets[id], "team_id") == team(0),
        )
    };
    assert_eq!(outcome(&near), ("assigned".to_owned(), true));
    // The only team with an eligible member is not among the compared ones.
    assert_eq!(outcome(&far), ("waiting".to_owned(), false));
}

/// Each ticket of the batch reads a page of the index.
#[tokio::test]
async fn batch_among_1300_teams_reads_one_page_a_ticket() {
    let stack = Stack::with(|_| {}).await;
    let org = org_with_teams(&stack, 1_300).await;
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.recorder())
        .build();
    let deps = org.assignment_over(Table::new(
        Client::from_conf(config),
        org.stack.table.as_str(),
    ));
    let batch: Vec<_> = (0..10).map(|n| ticket(&org, &format!("T-{n}"))).collect();
    assert_eq!(invoke_assignment(&deps, &batch).await, [0; 0]);
    let steps = meter.take().steps;
    // The tickets, the page of the first ticket, the pages of the others, and at most 100 loads for
    // each.
    assert_eq!(steps[0], ["BatchGetItem(11)"]);
    assert_eq!(steps[1], ["Query"]);
    assert_eq!(steps[2], vec!["Query"; 9]);
    let loads = |call: &String| {
        call.strip_prefix("BatchGetItem(")?
            .strip_suffix(')')?
            .parse::<usize>()
            .ok()
    };
    let read: usize = steps[3]
        .iter()
        .map(|call| loads(call).unwrap_or_else(|| panic!("not a read of loads: {call}")))
        .sum();
    assert!(read <= 1_000, "{read} loads");
    let audit = org.read_exact().await;
    assert_eq!(audit.tickets.len(), 10);
    let teams: std::collections::BTreeSet<_> = audit
        .tickets
        .values()
        .map(|ticket| text(ticket, "team_id"))
        .collect();
    assert_eq!(teams.len(), 10, "every ticket has a team of its own");
}

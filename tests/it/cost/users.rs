//! The cost of user profiles: their writes, and the list by name.

use std::fmt::Write as _;

use aws_sdk_dynamodb::Client;
use insta::assert_snapshot;
use muster_domain::{EventVersion, Timestamp, UserId, UserSnapshot, UserStatus};
use muster_service::store::Table;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::join_steps;
use crate::support::{
    Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
};

/// Writes one profile five times, then lists the organization's users.
#[tokio::test]
async fn writes_of_a_profile_match_the_cost_golden() {
    let stack = Stack::shared();
    let org = stack.organization().await.id;
    let meter = CostMeter::default();
    let config = invoke::client_config(&stack)
        .interceptor(meter.recorder())
        .build();
    let table = Table::new(Client::from_conf(config), stack.table.as_str());
    let store = table.until(Instant::now() + Duration::from_mins(3));
    let id = UserId::new(Uuid::new_v4());
    let mut lines = String::new();
    let mut record = |case: &str| {
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
            "{case:<14} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
    };
    for (n, (case, name, role)) in [
        ("new profile", "Ada", "agent"),
        ("new role", "Ada", "manager"),
        ("new name", "Grace", "manager"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = (version(n), snapshot(id, name, role));
        let now = Timestamp::from_millis(1_736_064_000_000);
        store
            .apply_user_events(&org, id, &[event], now)
            .await
            .expect("the profile is written");
        record(case);
    }
    store
        .erase_user(&org, id, Timestamp::from_millis(1_736_064_000_009))
        .await
        .expect("the user is erased");
    record("erasure");
    store
        .users_by_name(&org, None, 100)
        .await
        .expect("the users can be read");
    record("list of 14");
    assert_snapshot!(lines, @"
    new profile    | 2 |    1 |    2 | GetItem, then PutItem
    new role       | 2 |    1 |    2 | GetItem, then PutItem
    new name       | 2 |    1 |    3 | GetItem, then PutItem
    erasure        | 2 |    1 |    2 | GetItem, then PutItem
    list of 14     | 2 | 14.5 |    0 | Query, then BatchGetItem(14)
    ");
}

fn version(n: usize) -> EventVersion {
    let at = i64::try_from(n).expect("a few");
    EventVersion {
        at: Timestamp::from_millis(1_736_064_000_000 + at),
        time: None,
        event_id: format!("e-{n}"),
    }
}

fn snapshot(id: UserId, name: &str, role: &str) -> UserSnapshot {
    UserSnapshot {
        id,
        name: Some(name.to_owned()),
        email: Some("ada@acme.example".to_owned()),
        role: Some(role.to_owned()),
        avatar_url: None,
        status: Some(UserStatus::Active),
    }
}

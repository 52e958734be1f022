//! Denied access and unreachable services.

use std::time::Duration;

use crate::{
    aws::{Aws, State},
    records::{LONG, assigned, load_record},
};

#[tokio::test]
async fn denied_calls_are_not_retried() {
    let aws = Aws::start(State {
        is_denied: true,
        ..State::default()
    })
    .await;
    assert_eq!(
        aws.handle(&[load_record(0, 0, 1), assigned(2).remove(1)], LONG)
            .await,
        Some("all".to_owned())
    );
    assert_eq!(
        aws.state().denied_calls,
        2,
        "one call to each service, despite the remaining time"
    );
    assert_eq!(
        aws.objects(),
        [],
        "a missing permission does not fail a record"
    );
}

#[tokio::test]
async fn unreachable_bus_fails_the_batch_before_the_deadline() {
    let aws = Aws::unreachable();
    let retried_from = tokio::time::timeout(
        Duration::from_secs(5),
        aws.handle(&assigned(3), Duration::from_secs(2)),
    )
    .await;
    assert_eq!(
        retried_from.expect("the function returns before Lambda stops it"),
        Some("all".to_owned())
    );
}

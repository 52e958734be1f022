//! Jobs: deduplication, and retries of a failed queue.

use std::time::Duration;

use serde_json::json;

use crate::{
    aws::{Aws, State},
    records::{LONG, TEAM, assigned, load_record, sequence_number, ticket, ticket_record},
};

#[tokio::test]
async fn waiting_tickets_of_one_team_start_one_job() {
    let aws = Aws::start(State::default()).await;
    let records = [
        ticket_record(0, "T0", None, ticket(1, None)),
        ticket_record(1, "T1", None, ticket(1, None)),
        load_record(2, 0, 2),
    ];
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(
        aws.jobs(),
        [json!({ "job": "drain_team", "organization_id": "org", "team_id": TEAM, "looks": 0 })]
    );
    assert_eq!(aws.state().destinations, [["jobs", "org"]]);
}

#[tokio::test]
async fn failed_job_is_retried_from_its_first_record() {
    let aws = Aws::start(State {
        queue_is_down: true,
        ..State::default()
    })
    .await;
    let mut records = assigned(2);
    records.push(load_record(2, 0, 1));
    records.push(ticket_record(3, "T3", None, ticket(1, None)));
    assert_eq!(
        aws.handle(&records, Duration::from_secs(3)).await,
        Some(sequence_number(2))
    );
    assert_eq!(aws.published().len(), 3, "the bus receives all events");
}

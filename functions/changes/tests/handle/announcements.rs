//! Announcements: grouping in calls, order and retries.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    aws::{Aws, State},
    records::{LONG, TEAM, USER, assigned, load_record, record, ticket, ticket_record, unreadable},
};

#[tokio::test]
async fn batch_of_changes_is_announced_in_calls_of_ten() {
    let aws = Aws::start(State::default()).await;
    let mut records = assigned(21);
    records.push(ticket_record(21, "T21", None, ticket(1, None)));
    records.push(ticket_record(22, "T22", None, ticket(1, None)));
    assert_eq!(aws.handle(&records, LONG).await, None);

    let calls: Vec<usize> = aws.state().put_calls.iter().map(Vec::len).collect();
    assert_eq!(calls, [10, 10, 3]);
    let published = aws.published();
    assert_eq!(published.len(), 23);
    assert_eq!(
        (&*published[0], &*published[22]),
        ("ticket.assigned tickets/T0", "ticket.waiting tickets/T22")
    );
}

#[tokio::test]
async fn batch_without_relevant_changes_makes_no_call() {
    // A call would fail here, and the function would return a failure.
    let aws = Aws::unreachable();
    let same = ticket(4, Some(USER));
    // The function skips the record of an expired item before it reads the images.
    let mut expired = unreadable(4);
    expired["dynamodb"]["OldImage"] = expired["dynamodb"]["NewImage"].take();
    expired["eventName"] = "REMOVE".into();
    expired["userIdentity"] = json!({ "principalId": "dynamodb.amazonaws.com", "type": "Service" });
    let records = [
        ticket_record(0, "T1", Some(same.clone()), same),
        ticket_record(1, "T2", Some(ticket(1, Some(USER))), ticket(2, Some(USER))),
        load_record(2, 5, 2),
        record(
            3,
            "ORG#org#NAMES",
            "NAME#network operations",
            None,
            Some(json!({ "team_id": { "S": TEAM } })),
        ),
        expired,
    ];
    assert_eq!(aws.handle(&records, Duration::from_secs(2)).await, None);
}

#[tokio::test]
async fn throttled_events_are_retried_without_duplicates() {
    let aws = Aws::start(State {
        throttled_calls: 2,
        rejected_entries: vec![("tickets/T3".to_owned(), "ThrottlingException", 2)],
        ..State::default()
    })
    .await;
    assert_eq!(aws.handle(&assigned(12), LONG).await, None);
    let published = aws.published();
    assert_eq!(published.len(), 12, "{published:?}");
    assert_eq!(published.iter().collect::<HashSet<_>>().len(), 12);
}

#[tokio::test]
async fn events_of_one_item_stay_in_order_despite_failures() {
    let aws = Aws::start(State {
        rejected_entries: vec![("tickets/T1".to_owned(), "InternalFailure", 3)],
        ..State::default()
    })
    .await;
    let records = [
        ticket_record(0, "T1", None, ticket(1, Some(USER))),
        ticket_record(1, "T2", None, ticket(1, Some(USER))),
        ticket_record(2, "T1", Some(ticket(1, Some(USER))), ticket(2, None)),
        ticket_record(3, "T1", Some(ticket(2, None)), ticket(3, Some(USER))),
    ];
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(
        aws.published(),
        [
            "ticket.assigned tickets/T2",
            "ticket.assigned tickets/T1",
            "ticket.unassigned tickets/T1",
            "ticket.waiting tickets/T1",
            "ticket.assigned tickets/T1",
        ]
    );
    let sequences: Vec<Value> = aws
        .state()
        .published
        .iter()
        .map(|event| event["sequence"].clone())
        .collect();
    let of_one_ticket: Vec<&str> = sequences[1..]
        .iter()
        .map(|sequence| sequence.as_str().unwrap())
        .collect();
    assert!(of_one_ticket.is_sorted(), "{of_one_ticket:?}");
    for call in &aws.state().put_calls {
        assert_eq!(
            call.len(),
            call.iter().collect::<HashSet<_>>().len(),
            "a call has two events of one ticket: {call:?}"
        );
    }
}

#[tokio::test]
async fn redelivered_batch_publishes_the_same_events() {
    let aws = Aws::start(State::default()).await;
    let records = assigned(3);
    for _ in 0..2 {
        assert_eq!(aws.handle(&records, LONG).await, None);
    }
    let published = aws.state().published.clone();
    assert_eq!(published[..3], published[3..]);
}

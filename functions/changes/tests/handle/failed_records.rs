//! Permanently failed records, which go to the bucket.

use std::time::Duration;

use serde_json::json;

use crate::{
    aws::{Aws, State},
    records::{
        LONG, USER, assigned, load_record, sequence_number, ticket, ticket_record, unreadable,
    },
};

#[tokio::test]
async fn record_rejected_by_bus_goes_to_bucket_alone() {
    let aws = Aws::start(State {
        rejected_entries: vec![("tickets/T1".to_owned(), "MalformedDetail", usize::MAX)],
        ..State::default()
    })
    .await;
    let mut records = assigned(12);
    records.push(ticket_record(
        12,
        "T1",
        Some(ticket(1, Some(USER))),
        ticket(2, None),
    ));
    // A permanent failure is not retried until the deadline.
    let retried_from =
        tokio::time::timeout(Duration::from_secs(10), aws.handle(&records, LONG)).await;
    assert_eq!(retried_from.unwrap(), None, "no record is left to retry");
    let published = aws.published();
    assert_eq!(published.len(), 11);
    assert!(
        published.iter().all(|event| !event.ends_with("tickets/T1")),
        "{published:?}"
    );
    assert_eq!(aws.jobs().len(), 1, "the queue receives the job");
    let reason = "the bus: MalformedDetail: by script".to_owned();
    let object = |n: usize| {
        (
            format!("changes/{}.json", sequence_number(n)),
            reason.clone(),
            vec![records[n].clone()],
        )
    };
    assert_eq!(aws.objects(), [object(1), object(12)]);
}

#[tokio::test]
async fn call_rejected_as_invalid_fails_one_record_only() {
    let aws = Aws::start(State {
        invalid_subject: Some("tickets/T4"),
        ..State::default()
    })
    .await;
    assert_eq!(aws.handle(&assigned(12), LONG).await, None);
    assert_eq!(aws.published().len(), 11);
    let objects = aws.objects();
    assert_eq!((objects.len(), &objects[0].2[..]), (1, &assigned(12)[4..5]));
    assert!(objects[0].1.contains("ValidationException"), "{objects:?}");
}

#[tokio::test]
async fn record_rejected_by_queue_goes_to_bucket() {
    let aws = Aws::start(State {
        messages_are_invalid: true,
        ..State::default()
    })
    .await;
    let records = [assigned(1).remove(0), load_record(1, 0, 2)];
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(aws.published().len(), 1);
    let key = format!("changes/{}.json", sequence_number(1));
    assert_eq!(
        aws.objects(),
        [(
            key,
            "the queue: by script".to_owned(),
            vec![records[1].clone()]
        )]
    );
}

#[tokio::test]
async fn unreadable_records_go_to_bucket_alone() {
    let aws = Aws::start(State::default()).await;
    let mut records = assigned(2);
    records.push(unreadable(2));
    records.push(ticket_record(3, "T3", None, ticket(1, None)));
    // Lambda sends no such record. It still must not fail the others.
    let odd = json!({ "dynamodb": { "SequenceNumber": "not/a/name", "Keys": 5 } });
    records.push(odd.clone());
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(
        aws.published(),
        [
            "ticket.assigned tickets/T0",
            "ticket.assigned tickets/T1",
            "ticket.waiting tickets/T3"
        ]
    );
    assert_eq!(aws.jobs().len(), 1, "the job of the record after it");
    let objects = aws.objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (&*objects[0].0, &objects[0].2),
        (
            &*format!("changes/{}.json", sequence_number(2)),
            &vec![unreadable(2)]
        )
    );
    assert_eq!(objects[1].2, [odd]);

    assert_eq!(
        aws.handle(&[unreadable(2)], LONG).await,
        None,
        "a batch of one"
    );
    assert_eq!(
        aws.objects().len(),
        2,
        "a redelivered record has the same object"
    );
}

#[tokio::test]
async fn failed_record_is_retried_without_a_bucket() {
    let aws = Aws::start(State {
        bucket_is_down: true,
        ..State::default()
    })
    .await;
    let mut records = assigned(3);
    records[1] = unreadable(1);
    let time = Duration::from_secs(3);
    assert_eq!(aws.handle(&records, time).await, Some(sequence_number(1)));
    assert_eq!(aws.published().len(), 2, "the others do not wait");
    assert_eq!(
        aws.handle(&records[1..], time).await,
        Some("all".to_owned()),
        "no record of this batch is handled"
    );
    aws.state().bucket_is_down = false;
    assert_eq!(aws.handle(&records[1..], time).await, None);
    assert_eq!(aws.objects().len(), 1);
}

//! Sending to the local SQS by the SDK.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    types::{
        MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
        builders::SendMessageBatchRequestEntryBuilder,
    },
};
use muster_cli::{
    emulator,
    local::{DeadLetterView, LocalStack},
};
use serde_json::Value;

use crate::support::local_stack::{contents, handler, records, start, until_empty};

/// Returns a message attribute of type String.
pub fn attribute(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String");
    let attribute = attribute.string_value(value).build();
    attribute.expect("it has a type")
}

/// Returns an entry of a batch.
fn entry(id: usize, body: &str) -> SendMessageBatchRequestEntryBuilder {
    SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(body)
}

/// Returns entries with this body.
fn entries(body: &str, count: usize) -> Vec<SendMessageBatchRequestEntry> {
    (0..count)
        .map(|id| entry(id, body).build().expect("the entry is complete"))
        .collect()
}

pub fn client(stack: &LocalStack) -> Client {
    Client::new(&emulator::sdk_config(&stack.aws_url))
}

async fn send_batch(
    stack: &LocalStack,
    queue: &str,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<SendMessageBatchOutput, SdkError<SendMessageBatchError>> {
    client(stack)
        .send_message_batch()
        .queue_url(stack.queue_url(queue))
        .set_entries(Some(entries))
        .send()
        .await
}

#[tokio::test]
async fn sqs_send_batch_reports_each_entry() {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let log = Arc::clone(&seen);
    let stack = start([(
        "AssignmentFunction",
        handler(move |event| {
            log.lock().unwrap().extend(records(&event).clone());
            Value::Null
        }),
    )])
    .await;
    let entries = vec![
        entry(0, "now")
            .message_attributes("city", attribute("Any City"))
            .build()
            .unwrap(),
        entry(1, "later").delay_seconds(1).build().unwrap(),
        entry(2, "\u{1}").build().unwrap(),
        entry(3, "too late").delay_seconds(901).build().unwrap(),
    ];
    let response = send_batch(&stack, "tickets", entries).await.unwrap();
    let sent: Vec<_> = response
        .successful()
        .iter()
        .map(|entry| (entry.id(), entry.md5_of_message_body()))
        .collect();
    // The digests are those of `md5sum`.
    assert_eq!(
        sent,
        [
            ("0", "97bc592b27a9ada2d9a4bb418ed0ebed"),
            ("1", "c18788c2f274c779da72d9854ea4bfbf")
        ]
    );
    let failed: Vec<_> = response
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.code(), entry.sender_fault()))
        .collect();
    assert_eq!(
        failed,
        [
            ("2", "InvalidMessageContents", true),
            ("3", "InvalidParameterValue", true)
        ]
    );
    assert_eq!(contents(&stack, "tickets").visible, 1, "the delayed one");
    until_empty(&stack, "tickets").await;
    let seen = seen.lock().unwrap().clone();
    assert_event(&seen, &response);
    stack.stop().await.unwrap();
}

/// Asserts that the function received both messages, with the digests of the sender's response.
fn assert_event(seen: &[Value], response: &SendMessageBatchOutput) {
    assert_eq!(
        seen.iter()
            .map(|record| record["body"].as_str().expect("a text"))
            .collect::<Vec<_>>(),
        ["now", "later"]
    );
    assert_eq!(
        seen[0]["messageAttributes"]["city"]["stringValue"],
        "Any City"
    );
    assert_eq!(
        seen[0]["md5OfMessageAttributes"].as_str(),
        response.successful()[0].md5_of_message_attributes()
    );
    assert_eq!(
        seen[0]["eventSourceARN"],
        "arn:aws:sqs:us-east-1:000000000000:tickets"
    );
}

#[tokio::test]
async fn sqs_send_batch_over_a_limit_is_an_error() {
    let stack = start([]).await;
    stack.queues.pause("jobs");
    let large = "x".repeat(256 * 1024 / 10 + 1);
    for (batch, code) in [
        (
            entries("a", 11),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            entries(&large, 10),
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        (Vec::new(), "AWS.SimpleQueueService.EmptyBatchRequest"),
        (
            [entries("a", 1), entries("b", 1)].concat(),
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
    ] {
        assert_eq!(
            send_batch(&stack, "tickets", batch)
                .await
                .unwrap_err()
                .code(),
            Some(code)
        );
    }
    assert_eq!(
        send_batch(&stack, "unknown", entries("a", 1))
            .await
            .unwrap_err()
            .code(),
        Some("AWS.SimpleQueueService.NonExistentQueue")
    );
    assert_eq!(
        send_batch(&stack, "jobs", entries(&large[1..], 10))
            .await
            .unwrap()
            .successful()
            .len(),
        10,
        "just what fits"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_message_attribute_is_the_dead_letter_reason() {
    let stack = start([]).await;
    let sqs = client(&stack);
    sqs.send_message()
        .queue_url(stack.queue_url("tickets-dead-letters"))
        .message_body("poison")
        .message_attributes("reason", attribute("it is not JSON"))
        .send()
        .await
        .unwrap();
    let dead = DeadLetterView {
        body: "poison".to_owned(),
        reason: Some("it is not JSON".to_owned()),
        receives: 0,
    };
    assert_eq!(contents(&stack, "tickets").dead_letters, [dead]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_message_group_that_is_malformed_is_rejected() {
    let stack = start([]).await;
    let sqs = client(&stack);
    let queue = stack.queue_url("tickets-dead-letters");
    let send = |group: &str| {
        sqs.send_message()
            .queue_url(&queue)
            .message_body("a")
            .message_group_id(group)
            .send()
    };
    send("acme").await.unwrap();
    for refused in ["", "two words", "caf\u{e9}", &"x".repeat(129)] {
        assert_eq!(
            send(refused).await.unwrap_err().code(),
            Some("InvalidParameterValue"),
            "{refused:?}"
        );
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_message_group_is_returned_by_receive() {
    let stack = start([]).await;
    let sqs = client(&stack);
    let queue = stack.queue_url("tickets-dead-letters");
    let entry = |id: &str, group: Option<&str>| {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(id);
        entry
            .set_message_group_id(group.map(str::to_owned))
            .build()
            .unwrap()
    };
    let entries = vec![
        entry("a", Some("acme")),
        entry("b", Some("globex")),
        entry("c", None),
        entry("d", Some("\u{1}")),
    ];
    let sent = sqs
        .send_message_batch()
        .queue_url(&queue)
        .set_entries(Some(entries))
        .send()
        .await
        .unwrap();
    let failed: Vec<_> = sent
        .failed()
        .iter()
        .map(|failed| (failed.id(), failed.code()))
        .collect();
    assert_eq!(
        (sent.successful().len(), failed),
        (3, vec![("d", "InvalidParameterValue")])
    );

    let group = MessageSystemAttributeName::MessageGroupId;
    let receive = sqs
        .receive_message()
        .queue_url(&queue)
        .max_number_of_messages(10);
    let received = receive
        .message_system_attribute_names(group.clone())
        .send()
        .await
        .unwrap();
    let groups: Vec<_> = received
        .messages()
        .iter()
        .map(|message| message.attributes()?.get(&group))
        .collect();
    assert_eq!(
        groups,
        [Some(&"acme".to_owned()), Some(&"globex".to_owned()), None]
    );
    stack.stop().await.unwrap();
}

//! Receiving from the local SQS by the SDK.

use aws_sdk_sqs::{
    error::ProvideErrorMetadata,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, QueueAttributeName,
    },
};
use muster_cli::local::{DeadLetterView, LocalStack};
use reqwest::StatusCode;
use serde_json::json;

use super::sqs_send::{attribute, client};
use crate::support::local_stack::{contents, get, start};

/// Sends a dead letter with two attributes, and returns the URL of its queue.
async fn send_poison(stack: &LocalStack) -> String {
    let queue = stack.queue_url("tickets-dead-letters");
    let send = client(stack)
        .send_message()
        .queue_url(&queue)
        .message_body("poison");
    send.message_attributes("reason", attribute("why"))
        .message_attributes("other", attribute("why"))
        .send()
        .await
        .expect("SQS accepts it");
    queue
}

async fn delete(stack: &LocalStack, queue: &str, handle: &str) -> Vec<BatchResultErrorEntry> {
    let entry = DeleteMessageBatchRequestEntry::builder()
        .id("0")
        .receipt_handle(handle)
        .build()
        .expect("SQS accepts it");
    let request = client(stack).delete_message_batch().queue_url(queue);
    request
        .entries(entry)
        .send()
        .await
        .expect("SQS accepts it")
        .failed()
        .to_vec()
}

async fn change_visibility(
    stack: &LocalStack,
    queue: &str,
    handle: &str,
    seconds: i32,
) -> Vec<BatchResultErrorEntry> {
    let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
        .id("0")
        .receipt_handle(handle)
        .visibility_timeout(seconds)
        .build()
        .expect("SQS accepts it");
    let request = client(stack)
        .change_message_visibility_batch()
        .queue_url(queue);
    request
        .entries(entry)
        .send()
        .await
        .expect("SQS accepts it")
        .failed()
        .to_vec()
}

#[tokio::test]
async fn sqs_receive_hides_the_message_for_its_timeout() {
    let stack = start([]).await;
    let (sqs, queue) = (client(&stack), send_poison(&stack).await);
    let receive = || sqs.receive_message().queue_url(&queue);
    let received = receive()
        .message_attribute_names("reason")
        .visibility_timeout(60)
        .send()
        .await
        .unwrap();
    let [message] = received.messages() else {
        panic!("one: {received:?}")
    };
    assert_eq!(
        (message.body(), message.md5_of_body()),
        (Some("poison"), Some("35393c24384b8862798716628f7bc6f4"))
    );
    assert_eq!(
        message
            .message_attributes()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["reason"]
    );
    assert_eq!(
        receive().send().await.unwrap().messages(),
        [],
        "for a minute"
    );
    let dead = DeadLetterView {
        body: "poison".to_owned(),
        reason: Some("why".to_owned()),
        receives: 1,
    };
    assert_eq!(contents(&stack, "tickets").dead_letters, [dead]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_receipt_or_timeout_that_is_invalid_is_an_error() {
    let stack = start([]).await;
    let (sqs, queue) = (client(&stack), send_poison(&stack).await);
    let receive = || sqs.receive_message().queue_url(&queue);
    let received = receive().send().await.unwrap();
    let handle = received.messages()[0].receipt_handle().unwrap();
    assert_eq!(change_visibility(&stack, &queue, handle, 0).await, []);
    let failed = [
        change_visibility(&stack, &queue, handle, 0).await[0]
            .code()
            .to_owned(),
        change_visibility(&stack, &queue, "unknown", 0).await[0]
            .code()
            .to_owned(),
        change_visibility(&stack, &queue, handle, 43_201).await[0]
            .code()
            .to_owned(),
        delete(&stack, &queue, "unknown").await[0].code().to_owned(),
    ];
    let (unknown, gone) = (
        "ReceiptHandleIsInvalid",
        "AWS.SimpleQueueService.MessageNotInflight",
    );
    assert_eq!(failed, [gone, unknown, "InvalidParameterValue", unknown]);
    for request in [
        receive().max_number_of_messages(11),
        receive().visibility_timeout(43_201),
    ] {
        assert_eq!(
            request.send().await.unwrap_err().code(),
            Some("InvalidParameterValue")
        );
    }
    let empty = sqs
        .delete_message_batch()
        .queue_url(&queue)
        .set_entries(Some(Vec::new()))
        .send()
        .await;
    assert_eq!(
        empty.unwrap_err().code(),
        Some("AWS.SimpleQueueService.EmptyBatchRequest")
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_delete_requires_the_latest_receipt() {
    let stack = start([]).await;
    let (sqs, queue) = (client(&stack), send_poison(&stack).await);
    let receive = || sqs.receive_message().queue_url(&queue);
    let first = receive().visibility_timeout(0).send().await.unwrap();
    let handle = first.messages()[0].receipt_handle().unwrap();
    let again = receive().send().await.unwrap();
    assert_eq!(
        delete(&stack, &queue, handle).await,
        [],
        "an older receipt is no failure"
    );
    assert_eq!(
        contents(&stack, "tickets").dead_letters.len(),
        1,
        "and deletes nothing"
    );
    assert_eq!(
        delete(
            &stack,
            &queue,
            again.messages()[0].receipt_handle().unwrap()
        )
        .await,
        []
    );
    assert_eq!(contents(&stack, "tickets").dead_letters, []);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn sqs_redrive_policy_names_the_dead_letter_queue() {
    let stack = start([]).await;
    let (sqs, queue) = (client(&stack), send_poison(&stack).await);
    let tickets = stack.queue_url("tickets");
    let asked = sqs
        .get_queue_attributes()
        .queue_url(&tickets)
        .attribute_names(QueueAttributeName::RedrivePolicy);
    let policy =
        asked.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::RedrivePolicy].clone();
    assert!(
        policy.contains("tickets-dead-letters") && policy.contains("\"maxReceiveCount\":10"),
        "{policy}"
    );
    let sources = sqs
        .list_dead_letter_source_queues()
        .queue_url(&queue)
        .send()
        .await
        .unwrap();
    assert_eq!(sources.queue_urls(), [tickets.as_str()]);
    let located = get(&stack, "/_dev/queues/tickets").await;
    assert_eq!(
        located,
        json!({ "url": tickets, "dead_letters_url": queue })
    );
    let located = get(&stack, "/_dev/queues/long_jobs").await;
    assert_eq!(located["url"], json!(stack.queue_url("long-jobs")));
    let unknown = reqwest::get(format!("{}/_dev/queues/unknown", stack.url))
        .await
        .unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    stack.stop().await.unwrap();
}

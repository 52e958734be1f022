//! The side of the local stack that no HTTP request reaches: queues, the bus, the table's stream,
//! and how they end.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_sqs::{
    error::ProvideErrorMetadata,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
        SendMessageBatchRequestEntry,
    },
};
use futures_util::future::BoxFuture;
use muster_cli::{
    emulator,
    local::{Data, DeadLetterView, Handler, LocalStack, QueueContents, Settings},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::PATIENCE;

/// The visibility timeout of these queues. A busy machine must handle a job, and a test look at a
/// queue, within it.
const VISIBILITY: Duration = Duration::from_millis(400);

/// A handler that only has to look at the event.
pub fn handler(answer: impl Fn(Value) -> Value + Send + Sync + 'static) -> Handler {
    Arc::new(
        move |event, _| -> BoxFuture<'static, anyhow::Result<Value>> {
            let answer = answer(serde_json::from_str(&event).expect("an event is JSON"));
            Box::pin(async move { Ok(answer) })
        },
    )
}

/// A stack in which some functions are exchanged.
pub fn settings<const N: usize>(handlers: [(&str, Handler); N]) -> Settings {
    Settings {
        handlers: handlers
            .into_iter()
            .map(|(id, handler)| (id.to_owned(), handler))
            .collect(),
        visibility_timeout: Some(VISIBILITY),
        batching_window: Some(Duration::ZERO),
        ..Settings::default()
    }
}

async fn start<const N: usize>(handlers: [(&str, Handler); N]) -> LocalStack {
    LocalStack::start(0, Data::Memory, settings(handlers))
        .await
        .expect("a stack starts")
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn contents(stack: &LocalStack, queue: &str) -> QueueContents {
    stack.queues.contents(queue).expect("there is such a queue")
}

pub async fn until_empty(stack: &LocalStack, queue: &str) {
    until(&format!("{queue} empty"), || {
        let QueueContents {
            visible, in_flight, ..
        } = contents(stack, queue);
        visible + in_flight == 0
    })
    .await;
}

async fn send(
    stack: &LocalStack,
    queue: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let url = format!("{}/_dev/queues/{queue}", stack.url);
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await.expect("the stack answers");
    (response.status(), response.json().await.unwrap_or_default())
}

async fn get(stack: &LocalStack, path: &str) -> Value {
    let response = reqwest::get(format!("{}{path}", stack.url))
        .await
        .expect("the stack answers");
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.expect("the answer is JSON")
}

pub fn records(event: &Value) -> &Vec<Value> {
    event["Records"].as_array().expect("records")
}

fn bodies(event: &Value) -> Vec<String> {
    records(event)
        .iter()
        .map(|record| record["body"].as_str().expect("a body").to_owned())
        .collect()
}

#[tokio::test]
async fn a_message_that_fails_comes_again_and_is_dead_after_ten_receives() {
    let seen: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let stack = start([
        (
            "AssignmentFunction",
            handler(move |event| {
                let mut failures = Vec::new();
                for record in records(&event) {
                    let receives = record["attributes"]["ApproximateReceiveCount"]
                        .as_str()
                        .unwrap()
                        .to_owned();
                    let body = record["body"].as_str().unwrap().to_owned();
                    if body == "poison" {
                        failures.push(json!({ "itemIdentifier": record["messageId"] }));
                    }
                    log.lock().unwrap().entry(body).or_default().push(receives);
                }
                json!({ "batchItemFailures": failures })
            }),
        ),
        ("JobsFunction", handler(|_| Value::Null)),
    ])
    .await;
    assert_eq!(
        send(&stack, "tickets", "poison").await,
        (StatusCode::ACCEPTED, json!({ "accepted": 1 }))
    );
    assert_eq!(
        send(&stack, "tickets", r#"[{"n":1},{"n":2}]"#).await.1,
        json!({ "accepted": 2 })
    );
    until("a dead letter", || {
        !contents(&stack, "tickets").dead_letters.is_empty()
    })
    .await;

    let counts = |range: std::ops::RangeInclusive<u32>| {
        range.map(|count| count.to_string()).collect::<Vec<_>>()
    };
    let expected = [
        ("poison", 1..=10),
        (r#"{"n":1}"#, 1..=1),
        (r#"{"n":2}"#, 1..=1),
    ];
    let expected = expected.map(|(body, range)| (body.to_owned(), counts(range)));
    assert_eq!(*seen.lock().unwrap(), BTreeMap::from(expected));
    let dead = DeadLetterView {
        body: "poison".to_owned(),
        reason: None,
        receives: 10,
    };
    assert_eq!(
        contents(&stack, "tickets"),
        QueueContents {
            visible: 0,
            in_flight: 0,
            dead_letters: vec![dead]
        }
    );
    // The demo users' jobs are under way.
    until_empty(&stack, "jobs").await;
    let shown = get(&stack, "/_dev/queues").await;
    let nothing = json!({ "visible": 0, "in_flight": 0, "dead_letters": [] });
    let dead = json!({ "body": "poison", "reason": "received too often", "receives": 10 });
    let tickets = json!({ "visible": 0, "in_flight": 0, "dead_letters": [dead] });
    assert_eq!(
        shown,
        json!({ "tickets": tickets, "users": nothing, "jobs": nothing, "long_jobs": nothing })
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_batch_fails_as_a_whole_when_its_answer_makes_no_sense() {
    let invocations = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&invocations);
    let stack = start([(
        "DirectoryFunction",
        handler(move |event| match count.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("the function's own"),
            1 => json!({ "batchItemFailures": [{ "itemIdentifier": "nobody" }] }),
            2 => json!({ "batchItemFailures": [{}] }),
            3 => json!("done"),
            _ => {
                assert_eq!(bodies(&event).len(), 3, "all of them came again: {event}");
                json!({ "batchItemFailures": [] })
            }
        }),
    )])
    .await;
    send(&stack, "users", "[1, 2, 3]").await;
    until("five invocations", || {
        invocations.load(Ordering::SeqCst) == 5
    })
    .await;
    until_empty(&stack, "users").await;
    assert_eq!(contents(&stack, "users").dead_letters, []);
    stack.stop().await.unwrap();
}

/// A handler that never ends, and how often it was begun.
fn endless() -> (Handler, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let handler: Handler = Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    });
    (handler, begun)
}

#[tokio::test]
async fn consumers_can_be_paused_and_killed() {
    let (endless, begun) = endless();
    let stack = start([("AssignmentFunction", endless)]).await;
    stack.queues.pause("tickets");
    send(&stack, "tickets", r#"{"id": 1}"#).await;
    tokio::time::sleep(VISIBILITY).await;
    assert_eq!(
        (
            contents(&stack, "tickets").visible,
            begun.load(Ordering::SeqCst)
        ),
        (1, 0)
    );

    stack.queues.resume("tickets");
    until("the first", || begun.load(Ordering::SeqCst) == 1).await;
    assert_eq!(contents(&stack, "tickets").visible, 0);
    stack.queues.kill("tickets");
    until("the second", || begun.load(Ordering::SeqCst) == 2).await;
    stack.queues.pause("tickets");
    stack.queues.kill("tickets");
    until("it is visible again", || {
        contents(&stack, "tickets").visible == 1
    })
    .await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_takes_no_longer_than_it_may_and_keeps_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let data = || Data::Directory(folder.path().to_owned());
    let (endless, begun) = endless();
    let stack = LocalStack::start(0, data(), settings([("DirectoryFunction", endless)]))
        .await
        .unwrap();
    stack.queues.pause("tickets");
    send(&stack, "tickets", r#"[{"id": 1}, {"id": 2}]"#).await;
    send(&stack, "users", "unfinished").await;
    until("an invocation", || begun.load(Ordering::SeqCst) == 1).await;
    let stopping = Instant::now();
    stack.stop().await.unwrap();
    assert!(
        stopping.elapsed() < Duration::from_secs(20),
        "{:?}",
        stopping.elapsed()
    );

    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = || {
        let seen = Arc::clone(&seen);
        handler(move |event| {
            seen.lock().unwrap().extend(bodies(&event));
            Value::Null
        })
    };
    let handlers = [("AssignmentFunction", log()), ("DirectoryFunction", log())];
    let stack = LocalStack::start(0, data(), settings(handlers))
        .await
        .unwrap();
    until("all three", || seen.lock().unwrap().len() == 3).await;
    until_empty(&stack, "tickets").await;
    stack.stop().await.unwrap();
    seen.lock().unwrap().sort();
    assert_eq!(
        *seen.lock().unwrap(),
        ["unfinished", r#"{"id": 1}"#, r#"{"id": 2}"#]
    );
}

/// The functions as they are take the events for what they are.
#[tokio::test]
async fn the_functions_take_the_events() {
    let stack = LocalStack::start(0, Data::Memory, Settings::default())
        .await
        .unwrap();
    for queue in ["tickets", "users"] {
        assert_eq!(
            send(&stack, queue, "no JSON at all").await.1,
            json!({ "accepted": 1 })
        );
    }
    let sqs = aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url));
    let job = json!({ "job": "restart_unfinished" }).to_string();
    for queue in ["jobs", "long-jobs"] {
        sqs.send_message()
            .queue_url(stack.queue_url(queue))
            .message_body(&job)
            .send()
            .await
            .unwrap();
    }
    for queue in ["tickets", "users", "jobs", "long-jobs"] {
        until_empty(&stack, queue).await;
    }
    let [dead] = &contents(&stack, "tickets").dead_letters[..] else {
        panic!("one dead letter")
    };
    assert_eq!((dead.body.as_str(), dead.receives), ("no JSON at all", 0));
    assert!(dead.reason.is_some(), "the function's own");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_queue_is_fed_with_what_was_written() {
    let stack = start([]).await;
    stack.queues.pause("tickets");
    for (body, accepted) in [
        (" {\"a\": 1.50}\n", 1),
        ("[]", 0),
        ("[1, \"b\", [2]]", 3),
        ("{broken", 1),
        ("\u{e9}", 1),
    ] {
        assert_eq!(
            send(&stack, "tickets", body).await,
            (StatusCode::ACCEPTED, json!({ "accepted": accepted })),
            "{body}"
        );
    }
    assert_eq!(contents(&stack, "tickets").visible, 6);
    let large = format!("[\"small\", \"{}\"]", "x".repeat(256 * 1024));
    for refused in [String::new(), "\0".to_owned(), large] {
        let (status, answer) = send(&stack, "tickets", refused).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["message"].is_string());
    }
    assert_eq!(
        contents(&stack, "tickets").visible,
        6,
        "nothing of what is refused goes in"
    );
    for queue in ["jobs", "tickets-dead-letters", "nobody"] {
        assert_eq!(
            send(&stack, queue, "{}").await.0,
            StatusCode::NOT_FOUND,
            "{queue}"
        );
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_sdk_sends_and_is_refused_as_sqs_would() {
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
    let sqs = aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url));
    let attribute = |value: &str| {
        MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .expect("it has a type")
    };
    let entry = |id: usize, body: &str| {
        SendMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .message_body(body)
    };
    let send = |queue: &str, entries: Vec<SendMessageBatchRequestEntry>| {
        sqs.send_message_batch()
            .queue_url(stack.queue_url(queue))
            .set_entries(Some(entries))
            .send()
    };

    let entries = vec![
        entry(0, "now")
            .message_attributes("city", attribute("Any City"))
            .build()
            .unwrap(),
        entry(1, "later").delay_seconds(1).build().unwrap(),
        entry(2, "\u{1}").build().unwrap(),
        entry(3, "too late").delay_seconds(901).build().unwrap(),
    ];
    let answer = send("tickets", entries).await.unwrap();
    let sent: Vec<_> = answer
        .successful()
        .iter()
        .map(|entry| (entry.id(), entry.md5_of_message_body()))
        .collect();
    // What `md5sum` says of the texts.
    assert_eq!(
        sent,
        [
            ("0", "97bc592b27a9ada2d9a4bb418ed0ebed"),
            ("1", "c18788c2f274c779da72d9854ea4bfbf")
        ]
    );
    let failed: Vec<_> = answer
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
    assert_eq!(
        seen.iter()
            .map(|record| record["body"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["now", "later"]
    );
    assert_eq!(
        seen[0]["messageAttributes"]["city"]["stringValue"],
        "Any City"
    );
    assert_eq!(
        seen[0]["md5OfMessageAttributes"].as_str(),
        answer.successful()[0].md5_of_message_attributes()
    );
    assert_eq!(
        seen[0]["eventSourceARN"],
        "arn:aws:sqs:us-east-1:000000000000:tickets"
    );

    let ten = |body: &str, count: usize| {
        (0..count)
            .map(|id| entry(id, body).build().unwrap())
            .collect::<Vec<_>>()
    };
    let large = "x".repeat(256 * 1024 / 10 + 1);
    for (entries, code) in [
        (
            ten("a", 11),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            ten(&large, 10),
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        (Vec::new(), "AWS.SimpleQueueService.EmptyBatchRequest"),
        (
            [ten("a", 1), ten("b", 1)].concat(),
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
    ] {
        assert_eq!(
            send("tickets", entries).await.unwrap_err().code(),
            Some(code)
        );
    }
    assert_eq!(
        send("nobody", ten("a", 1)).await.unwrap_err().code(),
        Some("AWS.SimpleQueueService.NonExistentQueue")
    );
    assert_eq!(
        send("jobs", ten(&large[1..], 10))
            .await
            .unwrap()
            .successful()
            .len(),
        10,
        "just what fits"
    );

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
async fn the_sdk_receives_and_is_refused_as_sqs_would() {
    let stack = start([]).await;
    let sqs = aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url));
    let queue = stack.queue_url("tickets-dead-letters");
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("why")
        .build()
        .unwrap();
    let send = sqs.send_message().queue_url(&queue).message_body("poison");
    send.message_attributes("reason", attribute.clone())
        .message_attributes("other", attribute)
        .send()
        .await
        .unwrap();

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

    let change = |handle: &str, seconds: i32| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id("0")
            .receipt_handle(handle);
        let entry = entry.visibility_timeout(seconds).build().unwrap();
        sqs.change_message_visibility_batch()
            .queue_url(&queue)
            .entries(entry)
            .send()
    };
    let delete = |handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder()
            .id("0")
            .receipt_handle(handle)
            .build()
            .unwrap();
        sqs.delete_message_batch()
            .queue_url(&queue)
            .entries(entry)
            .send()
    };
    let handle = message.receipt_handle().unwrap();
    assert_eq!(change(handle, 0).await.unwrap().failed(), []);
    let failed = [
        change(handle, 0).await.unwrap().failed()[0]
            .code()
            .to_owned(),
        change("nobody's", 0).await.unwrap().failed()[0]
            .code()
            .to_owned(),
        change(handle, 43_201).await.unwrap().failed()[0]
            .code()
            .to_owned(),
        delete("nobody's").await.unwrap().failed()[0]
            .code()
            .to_owned(),
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

    let again = receive().send().await.unwrap();
    assert_eq!(
        delete(handle).await.unwrap().failed(),
        [],
        "an older receipt is no failure"
    );
    assert_eq!(
        contents(&stack, "tickets").dead_letters.len(),
        1,
        "and deletes nothing"
    );
    assert_eq!(
        delete(again.messages()[0].receipt_handle().unwrap())
            .await
            .unwrap()
            .failed(),
        []
    );
    assert_eq!(contents(&stack, "tickets").dead_letters, []);

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
    let nobody = reqwest::get(format!("{}/_dev/queues/nobody", stack.url))
        .await
        .unwrap();
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn message_group_is_kept_and_returned() {
    let stack = start([]).await;
    let sqs = aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url));
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
        (2, vec![("d", "InvalidParameterValue")])
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

/// One organization's backlog on a queue, and one message of another behind it.
#[tokio::test]
async fn quiet_group_is_delivered_before_a_noisy_backlog() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let handler: Handler = Arc::new(move |event, _| {
        let event: Value = serde_json::from_str(&event).expect("an event is JSON");
        let groups = records(&event)
            .iter()
            .map(|record| record["attributes"]["MessageGroupId"].clone());
        log.lock()
            .expect("no test panics with it")
            .extend(groups.map(|group| group.as_str().unwrap().to_owned()));
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(Value::Null)
        })
    });
    let settings = Settings {
        visibility_timeout: None,
        ..settings([("DirectoryFunction", handler)])
    };
    let stack = LocalStack::start(0, Data::Memory, settings).await.unwrap();
    stack.queues.pause("users");
    let of = |organization: &str| json!({ "data": { "organization_id": organization } });
    let backlog: Vec<_> = (0..2_000).map(|_| of("noisy")).collect();
    send(&stack, "users", json!(backlog).to_string()).await;
    stack.queues.resume("users");
    until("busy consumers", || seen.lock().unwrap().len() >= 30).await;
    send(&stack, "users", of("quiet").to_string()).await;
    until_empty(&stack, "users").await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let before = seen
        .iter()
        .position(|group| group == "quiet")
        .expect("it is delivered");
    assert!(
        seen.len() == 2_001 && before < 1_900,
        "{before} of {}",
        seen.len()
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_announced_is_shown_in_order() {
    let stack = start([("ChangesFunction", handler(|_| Value::Null))]).await;
    let bus = aws_sdk_eventbridge::Client::new(&emulator::sdk_config(&stack.aws_url));
    let entry = |detail: Value| {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
        entry
            .source("muster")
            .detail_type("team.created")
            .event_bus_name("muster")
            .detail(detail.to_string())
            .build()
    };
    assert_eq!(
        get(&stack, "/_dev/events").await,
        json!({ "events": [], "next": 0 })
    );
    let put = bus
        .put_events()
        .entries(entry(json!({"id": "a"})))
        .entries(entry(json!(7)))
        .send()
        .await
        .unwrap();
    assert_eq!(put.failed_entry_count(), 1);
    assert_eq!(put.entries()[1].error_code(), Some("MalformedDetail"));
    bus.put_events()
        .entries(entry(json!({"id": "b"})))
        .send()
        .await
        .unwrap();
    assert_eq!(
        get(&stack, "/_dev/events?after=0").await,
        json!({ "events": [{"id": "a"}, {"id": "b"}], "next": 2 })
    );
    assert_eq!(
        get(&stack, "/_dev/events?after=1").await,
        json!({ "events": [{"id": "b"}], "next": 2 })
    );
    assert_eq!(
        get(&stack, "/_dev/events?after=2").await,
        json!({ "events": [], "next": 2 })
    );
    let bad = reqwest::get(format!("{}/_dev/events?after=x", stack.url))
        .await
        .unwrap();
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    stack.stop().await.unwrap();
}

/// Creates a team over HTTP, by its name, and once if it is asked for twice.
pub async fn create_team(stack: &LocalStack, name: &str) -> StatusCode {
    let key = &stack.organizations[0].keys.itsm.admin;
    let request = reqwest::Client::new()
        .post(format!("{}/v1/teams", stack.url))
        .bearer_auth(key);
    request
        .header("idempotency-key", name)
        .json(&json!({ "name": name }))
        .send()
        .await
        .expect("the stack answers")
        .status()
}

/// A stack over a folder whose stream goes through `answer`, and the names of the teams that came,
/// in order.
async fn streaming(
    folder: &Path,
    answer: impl Fn(&[Value]) -> Value + Send + Sync + 'static,
) -> (LocalStack, Arc<Mutex<Vec<String>>>) {
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&names);
    let changes = handler(move |event| {
        let records = records(&event);
        assert!(records.len() <= 100);
        for record in records {
            assert!(
                record["eventSourceARN"]
                    .as_str()
                    .is_some_and(|arn| arn.contains("stream")),
                "{record}"
            );
            let change = &record["dynamodb"];
            assert!(
                change["Keys"]["pk"]["S"]
                    .as_str()
                    .is_some_and(|pk| pk.starts_with("ORG#")),
                "{record}"
            );
            assert_ne!(change.get("OldImage"), change.get("NewImage"), "{record}");
            let kind = change["Keys"]["sk"]["S"].as_str().unwrap_or_default();
            assert_ne!(kind, "IDEM", "{record}");
            if kind.starts_with("TEAM#") {
                log.lock().expect("no test panics with it").push(
                    change["NewImage"]["name"]["S"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
        }
        answer(records)
    });
    let settings = settings([("ChangesFunction", changes)]);
    let stack = LocalStack::start(0, Data::Directory(folder.to_owned()), settings)
        .await
        .expect("a stack starts");
    (stack, names)
}

#[tokio::test]
async fn the_stream_goes_on_from_the_first_record_that_failed_and_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let failures = AtomicUsize::new(0);
    let (stack, names) = streaming(folder.path(), move |records| {
        let is_b = |record: &&Value| record["dynamodb"]["NewImage"]["name"]["S"] == "B";
        match (records.iter().find(is_b), failures.load(Ordering::SeqCst)) {
            (Some(_), 0) => {
                failures.fetch_add(1, Ordering::SeqCst);
                panic!("the function's own")
            }
            (Some(record), 1..5) => {
                failures.fetch_add(1, Ordering::SeqCst);
                json!({ "batchItemFailures": [{ "itemIdentifier": record["dynamodb"]["SequenceNumber"] }] })
            }
            _ => Value::Null,
        }
    })
    .await;
    for name in ["A", "B", "C"] {
        assert_eq!(create_team(&stack, name).await, StatusCode::CREATED);
    }
    until("the last", || {
        let names = names.lock().unwrap();
        names.iter().filter(|name| *name == "B").count() == 6
            && names.last().is_some_and(|name| name == "C")
    })
    .await;
    stack.stop().await.unwrap();

    let (stack, names) = streaming(folder.path(), |_| Value::Null).await;
    assert_eq!(create_team(&stack, "D").await, StatusCode::CREATED);
    until("the next", || !names.lock().unwrap().is_empty()).await;
    assert_eq!(*names.lock().unwrap(), ["D"]);
    stack.stop().await.unwrap();
}

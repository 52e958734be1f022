//! The event source mappings of queues.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use muster_cli::{
    emulator,
    local::{Data, DeadLetterView, Handler, LocalStack, QueueContents, Settings},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::local_stack::{
    VISIBILITY, bodies, contents, get, handler, records, send, settings, start, until, until_empty,
};

#[tokio::test]
async fn failed_message_is_dead_after_10_receives() {
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
    assert_shown(&stack).await;
    stack.stop().await.unwrap();
}

/// Asserts that the stack's own route shows the dead letter.
async fn assert_shown(stack: &LocalStack) {
    // The jobs of the demo users may still run.
    until_empty(stack, "jobs").await;
    let shown = get(stack, "/_dev/queues").await;
    let nothing = json!({ "visible": 0, "in_flight": 0, "dead_letters": [] });
    let dead = json!({ "body": "poison", "reason": "received too often", "receives": 10 });
    let tickets = json!({ "visible": 0, "in_flight": 0, "dead_letters": [dead] });
    assert_eq!(
        shown,
        json!({ "tickets": tickets, "users": nothing, "jobs": nothing, "long_jobs": nothing })
    );
}

#[tokio::test]
async fn malformed_batch_response_fails_all_messages() {
    let invocations = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&invocations);
    let stack = start([(
        "DirectoryFunction",
        handler(move |event| match count.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("the function's own"),
            1 => json!({ "batchItemFailures": [{ "itemIdentifier": "unknown" }] }),
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

/// Returns a handler that never ends, and the number of its invocations.
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
async fn consumers_can_be_paused_and_aborted() {
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
async fn stop_is_bounded_and_saves_messages() {
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

/// The deployed functions parse the events of the emulated sources.
#[tokio::test]
async fn functions_parse_the_emulated_events() {
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
async fn posted_body_is_queued_unchanged() {
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
        let (status, response) = send(&stack, "tickets", refused).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(response["message"].is_string());
    }
    assert_eq!(
        contents(&stack, "tickets").visible,
        6,
        "nothing of what is refused goes in"
    );
    for queue in ["jobs", "tickets-dead-letters", "unknown"] {
        assert_eq!(
            send(&stack, queue, "{}").await.0,
            StatusCode::NOT_FOUND,
            "{queue}"
        );
    }
    stack.stop().await.unwrap();
}

/// The queue has a backlog of one organization, and one message of another behind it.
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

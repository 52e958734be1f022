//! The event source mapping of the table's stream.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use muster_cli::local::{Data, LocalStack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::local_stack::{create_team, handler, records, settings, until};

/// Starts a stack over a folder with a changes function, and returns the names of the teams in its
/// records, in order.
async fn streaming(
    folder: &Path,
    respond: impl Fn(&[Value]) -> Value + Send + Sync + 'static,
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
        respond(records)
    });
    let settings = settings([("ChangesFunction", changes)]);
    let stack = LocalStack::start(0, Data::Directory(folder.to_owned()), settings)
        .await
        .expect("a stack starts");
    (stack, names)
}

#[tokio::test]
async fn stream_resumes_at_the_first_failed_record() {
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

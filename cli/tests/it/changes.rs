//! Failed records of the table's stream: discarded by age, and replayed by `muster changes
//! redrive`.

use std::{
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use muster_changes::failed::FailedRecord;
use muster_cli::{
    emulator,
    local::{Data, LocalStack, Settings},
};
use muster_domain::Timestamp;
use serde_json::{Value, json, value::RawValue};

use crate::support::{
    assert_fails,
    local_stack::{create_team, handler, records, settings, until},
    muster, run, stderr, stdout,
};

/// Runs the command on a stack of this process.
async fn redrive<const N: usize>(stack: &LocalStack, arguments: [&str; N]) -> Output {
    let command = muster(
        ["changes", "redrive", "--from", &stack.url]
            .into_iter()
            .chain(arguments),
    );
    tokio::task::spawn_blocking(move || run(command))
        .await
        .expect("it does not panic")
}

/// Starts a stack with a changes function that only records, and returns the records.
async fn recording() -> (LocalStack, Arc<Mutex<Vec<Value>>>) {
    let recorded: Arc<Mutex<Vec<Value>>> = Arc::default();
    let log = Arc::clone(&recorded);
    let recorder = handler(move |event| {
        log.lock()
            .expect("no test panics with it")
            .extend(records(&event).clone());
        Value::Null
    });
    let stack = LocalStack::start(0, Data::Memory, settings([("ChangesFunction", recorder)])).await;
    (stack.expect("a stack starts"), recorded)
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("JSON")
}

fn announced(stack: &LocalStack) -> Vec<String> {
    let (events, _) = stack.events.after(0);
    let events = events
        .iter()
        .map(|event| serde_json::from_str::<Value>(event.get()).expect("an event is JSON"));
    events
        .map(|event| event["type"].as_str().expect("a type").to_owned())
        .collect()
}

/// Puts an object into the bucket of a stack, as the function and Lambda do.
async fn put(stack: &LocalStack, key: &str, body: String) {
    let bucket = muster_service::aws::s3::Bucket::new(
        &emulator::sdk_config(&stack.aws_url),
        "failed-records",
    );
    let soon = tokio::time::Instant::now() + Duration::from_secs(20);
    let bucket = bucket.expect("the configuration is complete");
    bucket
        .put(key, body.into_bytes(), soon)
        .await
        .expect("the bucket takes it");
}

/// Creates a team, and returns its stream record.
async fn team_record(stack: &LocalStack, recorded: &Mutex<Vec<Value>>) -> Value {
    assert_eq!(
        create_team(stack, "Network").await,
        reqwest::StatusCode::CREATED
    );
    let is_team = |record: &Value| {
        let sk = record["dynamodb"]["Keys"]["sk"]["S"]
            .as_str()
            .unwrap_or_default();
        sk.starts_with("TEAM#")
    };
    let recorded = || recorded.lock().expect("no test panics with it");
    until("the team's record", || recorded().iter().any(is_team)).await;
    let record = recorded().iter().find(|record| is_team(record)).cloned();
    record.expect("it was found")
}

#[tokio::test]
async fn changes_redrive_replays_both_kinds_of_object() {
    let (stack, recorded) = recording().await;
    let record = team_record(&stack, &recorded).await;
    assert_eq!(announced(&stack), [""; 0]);
    let of_function = FailedRecord::new(&raw(&record), Some("7"), "by the test", Timestamp::now());
    put(&stack, &of_function.key, of_function.body).await;
    let payload = json!({ "Records": [record, record] }).to_string();
    let context = json!({ "condition": "RecordAgeExceeded" });
    put(
        &stack,
        "aws/lambda/f/s/t",
        json!({ "requestContext": context, "payload": payload }).to_string(),
    )
    .await;

    let shown = redrive(&stack, ["--dry-run"]).await;
    assert!(shown.status.success(), "{}", stderr(&shown));
    let lines: Vec<_> = stdout(&shown).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("aws/lambda/f/s/t  ORG#")
            && lines[0].ends_with("and 1 more: RecordAgeExceeded")
    );
    assert!(lines[1].starts_with("changes/7.json  ORG#") && lines[1].ends_with(": by the test"));
    let shown = redrive(&stack, ["--dry-run", "--json", "--prefix", "changes/"]).await;
    let shown: Value = serde_json::from_str(&stdout(&shown)).expect("one line of JSON");
    assert_eq!(
        shown,
        json!({ "key": "changes/7.json", "reason": "by the test", "records": [record] })
    );
    assert_eq!(
        (announced(&stack).len(), stack.failed_records.keys().len()),
        (0, 2),
        "nothing was done"
    );

    let replayed = redrive(&stack, ["--limit", "1"]).await;
    assert_eq!(
        stdout(&replayed),
        "Replayed 2 records of 1 objects from failed-records.\n",
        "{}",
        stderr(&replayed)
    );
    assert_eq!(stack.failed_records.keys(), ["changes/7.json"]);
    let replayed = redrive(&stack, ["--json"]).await;
    let summary: Value = serde_json::from_str(&stdout(&replayed)).expect("a JSON object");
    assert_eq!(
        summary,
        json!({ "bucket": "failed-records", "objects": 1, "records": 1, "objects_left": 0 }),
        "{}",
        stderr(&replayed)
    );
    assert_eq!(stack.failed_records.keys(), [""; 0]);
    assert_eq!(announced(&stack), ["team.created"; 3]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn changes_redrive_leaves_objects_that_still_fail() {
    let (stack, recorded) = recording().await;
    let record = team_record(&stack, &recorded).await;
    let mut unreadable = record.clone();
    unreadable["dynamodb"]["NewImage"] = json!({});
    let payload = json!({ "Records": [record, unreadable] });
    put(
        &stack,
        "changes/1.json",
        json!({ "reason": "by the test", "payload": payload }).to_string(),
    )
    .await;
    put(&stack, "changes/2.json", "no JSON".to_owned()).await;
    put(
        &stack,
        "changes/3.json",
        json!({ "payload": { "Records": [record] } }).to_string(),
    )
    .await;

    let output = redrive(&stack, []).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output),
        "Replayed 1 records of 1 objects from failed-records.\n"
    );
    let errors: Vec<_> = stderr(&output).lines().map(str::to_owned).collect();
    assert!(
        errors[0].starts_with("changes/1.json: 1 of 2 records fail, ORG#"),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("changes/2.json: not an object of failed records"),
        "{errors:?}"
    );
    assert!(
        errors[2].starts_with("error: 2 objects are left"),
        "{errors:?}"
    );
    assert_eq!(
        stack.failed_records.keys(),
        ["changes/1.json", "changes/2.json"]
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn changes_redrive_without_a_bus_names_the_fix() {
    let run = |arguments: &[&str]| {
        let mut command = muster(["changes", "redrive"].iter().chain(arguments));
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "k")
            .env("AWS_SECRET_ACCESS_KEY", "s");
        command
            .env_remove("EVENT_BUS_NAME")
            .env_remove("JOBS_QUEUE_URL")
            .env_remove("LONG_JOBS_QUEUE_URL");
        run(command)
    };
    let outputs = tokio::task::spawn_blocking(move || {
        let no_bus = ["--from", "failed"];
        let no_jobs = ["--from", "failed", "--bus", "b"];
        let no_long_jobs = [
            "--from",
            "failed",
            "--bus",
            "b",
            "--jobs",
            "http://127.0.0.1:1/000000000000/jobs",
        ];
        [
            run(&["--from", "http://127.0.0.1:1"]),
            run(&no_bus),
            run(&no_jobs),
            run(&no_long_jobs),
        ]
    });
    let [no_stack, no_bus, no_jobs, no_long_jobs] = outputs.await.expect("it does not panic");
    assert_fails(&no_stack, &["http://127.0.0.1:1", "muster dev", "--from"]);
    assert_fails(&no_bus, &["--bus", "EventBusName"]);
    assert_fails(&no_jobs, &["urgent", "--jobs", "JobsQueueUrl"]);
    assert_fails(&no_long_jobs, &["long", "--long-jobs", "LongJobsQueueUrl"]);
}

/// The emulated mapping retries by the record's age, not by the number of attempts.
#[tokio::test]
async fn stream_record_that_expires_moves_to_the_bucket() {
    let age = Duration::from_secs(4);
    let (is_down, attempts) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(0)));
    let (down, counted) = (Arc::clone(&is_down), Arc::clone(&attempts));
    let fails = handler(move |event| {
        *counted.lock().expect("no test panics with it") += 1;
        if !down.load(Ordering::SeqCst) {
            return Value::Null;
        }
        json!({ "batchItemFailures": [{ "itemIdentifier": records(&event)[0]["dynamodb"]["SequenceNumber"] }] })
    });
    let settings = Settings {
        max_record_age: Some(age),
        ..settings([("ChangesFunction", fails)])
    };
    let stack = LocalStack::start(0, Data::Memory, settings)
        .await
        .expect("a stack starts");
    let begun = Instant::now();
    assert_eq!(
        create_team(&stack, "Network").await,
        reqwest::StatusCode::CREATED
    );
    let given_up = || {
        stack
            .failed_records
            .keys()
            .iter()
            .filter_map(|key| stack.failed_records.text(key))
            .collect::<String>()
    };
    until("the team's record given up", || {
        given_up().contains("queue_strategy")
    })
    .await;
    // The engine's timestamps have whole seconds.
    assert!(
        begun.elapsed() + Duration::from_secs(1) >= age,
        "{:?}",
        begun.elapsed()
    );
    assert!(*attempts.lock().unwrap() > 2);

    is_down.store(false, Ordering::SeqCst);
    let key = stack.failed_records.keys().remove(0);
    assert!(key.starts_with("aws/lambda/ChangesFunction/"), "{key}");
    let output = redrive(&stack, []).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(announced(&stack), ["team.created"]);
    stack.stop().await.unwrap();
}

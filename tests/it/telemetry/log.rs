//! The log lines of failures.

use std::{sync::mpsc, thread, time::Duration};

use lambda_runtime::LambdaEvent;
use muster_changes::Deps;
use muster_cli::{
    emulator,
    local::{Data, LocalStack, Settings},
};
use muster_domain::OrganizationId;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
    telemetry,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{log_capture::LogCapture, sqs::context};

/// A closure that changes the metrics can log.
#[test]
fn logging_within_a_record_does_not_deadlock() {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || {
        let capture = LogCapture::to("teams", "info", None);
        let logged = async {
            telemetry::set_organization(&OrganizationId::parse("acme").expect("the id is valid"));
            telemetry::record(|measured| {
                tracing::warn!("logged within the record");
                measured.retries += 1;
            });
        };
        Runtime::new()
            .expect("the runtime starts")
            .block_on(capture.invoke(false, logged));
        sender.send(capture.lines()).expect("the test waits");
    });
    let (log, metrics) = done
        .recv_timeout(Duration::from_mins(1))
        .expect("the function ends");
    assert_eq!(
        (&log[0]["message"], &log[0]["organization"]),
        (&json!("logged within the record"), &json!("acme"))
    );
    assert_eq!(
        (&metrics[0]["Retries"], &metrics[0]["organization"]),
        (&json!(1), &json!("acme"))
    );
}

/// Returns the job queues at these URLs.
fn job_queues(sqs: &aws_sdk_sqs::Client, url: impl Fn(&str) -> String) -> JobQueues {
    let queue = |name| Queue::new(sqs.clone(), url(name));
    JobQueues {
        urgent: queue("jobs"),
        long: queue("long-jobs"),
    }
}

/// A batch with one unreadable stream record, while EventBridge, SQS and S3 are unreachable.
#[tokio::test]
async fn stream_retry_is_logged_with_its_causes() {
    let aws = emulator::sdk_config("http://127.0.0.1:1");
    let deps = Deps {
        bus: Bus::new(aws_sdk_eventbridge::Client::new(&aws), "muster"),
        jobs: job_queues(&aws_sdk_sqs::Client::new(&aws), |name| {
            format!("http://127.0.0.1:1/000000000000/{name}")
        }),
        failed_records: Bucket::new(&aws, "failed").expect("the configuration is complete"),
    };
    let capture = LogCapture::to("changes", "info", None);
    let mut event: Value =
        serde_json::from_str(include_str!("../../../events/changes/team-created.json"))
            .expect("an event is JSON");
    let records = event["Records"].as_array_mut().expect("a list");
    let pk = records[0]["dynamodb"]["Keys"]["pk"]["S"]
        .as_str()
        .expect("a partition key");
    let organization = pk.strip_prefix("ORG#").expect("a team's item").to_owned();
    let mut unreadable = records[0].clone();
    unreadable["dynamodb"]["NewImage"] = json!({});
    records.push(unreadable);
    let event = serde_json::from_value(event).expect("the function accepts the event");
    let context = context(Duration::from_secs(2));
    let (request_id, response) = capture
        .invoke(
            false,
            muster_changes::handle(LambdaEvent::new(event, context), &deps),
        )
        .await;
    assert!(response.is_err(), "{response:?}");
    let [line] = <[Value; 1]>::try_from(capture.lines().0).expect("one line");
    let logged = ["level", "message", "requestId"].map(|field| line[field].as_str());
    assert_eq!(
        logged,
        [
            "ERROR",
            "stream batch failed; retrying from this record",
            &request_id
        ]
        .map(Some)
    );
    assert_eq!(
        line["organization"], organization,
        "of the first record that is retried"
    );
    let error = line["error"].as_str().expect("a cause");
    for cause in [
        "no image) could not be written to the bucket: ",
        "1 announcements could not be published: ",
        "1 messages could not be sent: ",
    ] {
        assert!(error.contains(cause), "{error}");
    }
}

/// An unreadable stream record is stored in the bucket of failed records.
#[tokio::test]
async fn record_set_aside_is_logged_and_counted() {
    let stack = LocalStack::start(0, Data::Memory, Settings::default())
        .await
        .expect("the stack starts");
    let aws = emulator::sdk_config(&stack.aws_url);
    let deps = Deps {
        bus: Bus::new(aws_sdk_eventbridge::Client::new(&aws), "muster"),
        jobs: job_queues(&aws_sdk_sqs::Client::new(&aws), |name| {
            stack.queue_url(name)
        }),
        failed_records: Bucket::new(&aws, "failed-records").expect("the configuration is complete"),
    };
    let mut event: Value =
        serde_json::from_str(include_str!("../../../events/changes/team-created.json"))
            .expect("an event is JSON");
    event["Records"][0]["dynamodb"]["NewImage"] = json!({});
    let event = serde_json::from_value(event).expect("the function accepts the event");
    let capture = LogCapture::to("changes", "info", None);
    let handled = muster_changes::handle(
        LambdaEvent::new(event, context(Duration::from_secs(20))),
        &deps,
    );
    let (_, response) = capture.invoke(false, handled).await;
    assert!(response.is_ok(), "{response:?}");
    let (log, metrics) = capture.lines();
    let [line] = <[Value; 1]>::try_from(log).expect("one line");
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("ERROR"), &json!("record set aside"))
    );
    assert_eq!(
        stack.failed_records.keys(),
        [line["object"].as_str().expect("a key")]
    );
    assert_eq!(metrics[0]["FailedRecords"], 1, "{metrics:?}");
    stack.stop().await.expect("the stack stops");
}

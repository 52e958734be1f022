//! Batches in the form in which SQS invokes the functions, and a stub of SQS that records the
//! messages of the functions.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_sdk_sqs::config::{
    BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents,
    http::{HttpRequest, HttpResponse},
    retry::RetryConfig,
};
use aws_smithy_runtime_api::{
    client::http::{
        HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    http::StatusCode,
};
use lambda_runtime::{Context, LambdaEvent};
use muster_domain::Timestamp;
use muster_service::{aws::sqs_send::Queue, jobs::JobQueues};
use serde_json::{Value, json};

/// The default time of an invocation.
pub const LONG: Duration = Duration::from_mins(1);

/// A message that a function sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The last part of the queue's URL.
    pub queue: String,
    pub body: String,
    pub group: Option<String>,
    pub delay: Duration,
    pub attributes: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct RecorderState {
    sent: Vec<Sent>,
    /// The number of further messages that the stub accepts, if limited.
    capacity: Option<usize>,
}

/// A stub of SQS that records messages, between the SDK client and the network.
#[derive(Debug, Clone, Default)]
pub struct SqsRecorder(Arc<Mutex<RecorderState>>);

impl SqsRecorder {
    fn state(&self) -> MutexGuard<'_, RecorderState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the client of a single queue.
    pub fn queue(&self) -> Queue {
        self.queue_of("queue")
    }

    /// Returns the clients of the job queues, `jobs` and `long-jobs`.
    pub fn job_queues(&self) -> JobQueues {
        JobQueues {
            urgent: self.queue_of("jobs"),
            long: self.queue_of("long-jobs"),
        }
    }

    fn queue_of(&self, name: &str) -> Queue {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url("http://sqs.example")
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone())
            .build();
        Queue::new(
            aws_sdk_sqs::Client::from_conf(config),
            format!("http://sqs.example/000000000000/{name}"),
        )
    }

    /// Returns the messages since the last call, and clears the record.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state().sent)
    }

    /// Limits the number of further messages that the stub accepts; `None` removes the limit.
    pub fn set_capacity(&self, messages: Option<usize>) {
        self.state().capacity = messages;
    }
}

impl HttpClient for SqsRecorder {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SqsRecorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        assert_eq!(
            request.headers().get("x-amz-target"),
            Some("AmazonSQS.SendMessageBatch")
        );
        let body: Value =
            serde_json::from_slice(request.body().bytes().expect("the body is in memory"))
                .expect("the SDK writes JSON");
        let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
        let mut state = self.state();
        for entry in body["Entries"].as_array().expect("a batch has entries") {
            if state.capacity == Some(0) {
                rejected.push(
                    json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }),
                );
                continue;
            }
            state.capacity = state.capacity.map(|capacity| capacity - 1);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let attributes = entry["MessageAttributes"].as_object().into_iter().flatten();
            state.sent.push(Sent {
                queue: text(&body["QueueUrl"])
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                body: text(&entry["MessageBody"]),
                group: entry["MessageGroupId"].as_str().map(str::to_owned),
                delay: Duration::from_secs(entry["DelaySeconds"].as_u64().unwrap_or_default()),
                attributes: attributes
                    .map(|(name, value)| (name.clone(), text(&value["StringValue"])))
                    .collect(),
            });
            accepted.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }));
        }
        let response = json!({ "Successful": accepted, "Failed": rejected }).to_string();
        let status = StatusCode::try_from(200).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, response.into())))
    }
}

/// Returns an SQS event with these bodies. The position of a message is its id.
fn sqs_event(bodies: &[String]) -> Value {
    let record = |(position, body): (usize, &String)| {
        json!({
            "messageId": position.to_string(),
            "receiptHandle": "AQEB",
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1736064000000" },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
            "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// Returns the context of an invocation with this much time.
pub fn context(time: Duration) -> Context {
    let mut context = Context::default();
    context.deadline =
        u64::try_from(Timestamp::now().plus(time).millis()).expect("the time is positive");
    context
}

/// Returns the positions of the messages that failed.
fn failed<E: Debug>(response: Result<SqsBatchResponse, E>) -> Vec<usize> {
    let response = response.expect("the batch has a response");
    let failures = response.batch_item_failures.iter();
    failures
        .map(|failure| {
            failure
                .item_identifier
                .parse()
                .expect("the position of a message")
        })
        .collect()
}

/// Invokes the assignment function with a batch and this much time. Returns the positions of the
/// messages that failed.
pub async fn invoke_assignment_within(
    deps: &muster_assignment::Deps,
    bodies: &[String],
    time: Duration,
) -> Vec<usize> {
    let payload = serde_json::from_value(sqs_event(bodies)).expect("a valid SQS event");
    failed(muster_assignment::handle(LambdaEvent::new(payload, context(time)), deps).await)
}

/// Invokes the assignment function with the default time.
pub async fn invoke_assignment(deps: &muster_assignment::Deps, bodies: &[String]) -> Vec<usize> {
    invoke_assignment_within(deps, bodies, LONG).await
}

/// Invokes the directory function with a batch and this much time. Returns the positions of the
/// messages that failed.
pub async fn invoke_directory_within(
    deps: &muster_directory::Deps,
    bodies: &[String],
    time: Duration,
) -> Vec<usize> {
    let payload = serde_json::from_value(sqs_event(bodies)).expect("a valid SQS event");
    failed(muster_directory::handle(LambdaEvent::new(payload, context(time)), deps).await)
}

/// Invokes the jobs function with this much time. Returns the positions of the messages that
/// failed.
pub async fn invoke_jobs_within(
    deps: &muster_jobs::Deps,
    jobs: &[String],
    time: Duration,
) -> Vec<usize> {
    failed(muster_jobs::handle(LambdaEvent::new(sqs_event(jobs), context(time)), deps).await)
}

/// Performs jobs and the jobs that they send to either queue until none is left. Delays take no
/// time: the clock of the functions advances by them.
pub async fn run_jobs(deps: &muster_jobs::Deps, recorder: &SqsRecorder, jobs: Vec<String>) {
    let (mut jobs, mut waited) = (jobs, Duration::ZERO);
    // A job is requeued while the index lags behind the table. The engine has no lag, so the loop
    // ends.
    for _ in 0..1000 {
        let sent = recorder.take();
        waited += sent.iter().map(|sent| sent.delay).max().unwrap_or_default();
        jobs.extend(sent.into_iter().map(|sent| sent.body));
        if jobs.is_empty() {
            return;
        }
        let (clock, waited) = (Arc::clone(&deps.clock), waited);
        let deps = muster_jobs::Deps {
            clock: Arc::new(move || clock().plus(waited)),
            ..deps.clone()
        };
        let batch: Vec<_> = jobs.drain(..jobs.len().min(10)).collect();
        let failed = invoke_jobs_within(&deps, &batch, LONG).await;
        jobs.extend(failed.into_iter().map(|position| batch[position].clone()));
    }
    panic!("the jobs do not end: {jobs:?}");
}

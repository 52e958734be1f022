//! Batches as the queues hand them to the functions, and a queue that keeps what the functions
//! send.

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
use muster_service::{aws::queue::Queue, jobs::JobQueues};
use serde_json::{Value, json};

/// How long a function has, unless a test says otherwise.
pub const LONG: Duration = Duration::from_mins(1);

/// What a function sent.
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
struct State {
    sent: Vec<Sent>,
    /// How many further messages are taken, where there is an end.
    room: Option<usize>,
}

/// A queue that keeps what it is sent, in place of SQS: between the SDK's client and the network.
#[derive(Debug, Clone, Default)]
pub struct SqsRecorder(Arc<Mutex<State>>);

impl SqsRecorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, as a function sends to it.
    pub fn queue(&self) -> Queue {
        self.queue_of("queue")
    }

    /// The job queues, `jobs` and `long-jobs`, as functions send to them.
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

    /// What was sent since this was last asked.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state().sent)
    }

    /// Takes so many further messages, or all.
    pub fn set_capacity(&self, messages: Option<usize>) {
        self.state().room = messages;
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
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        let mut state = self.state();
        for entry in body["Entries"].as_array().expect("a batch has entries") {
            if state.room == Some(0) {
                refused.push(
                    json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }),
                );
                continue;
            }
            state.room = state.room.map(|room| room - 1);
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
            taken.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }));
        }
        let response = json!({ "Successful": taken, "Failed": refused }).to_string();
        let status = StatusCode::try_from(200).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, response.into())))
    }
}

/// An event of SQS with these bodies, whose messages are called by their positions.
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

/// What Lambda says of an invocation that has so long.
pub fn context(time: Duration) -> Context {
    let mut context = Context::default();
    context.deadline =
        u64::try_from(Timestamp::now().plus(time).millis()).expect("a time of today");
    context
}

/// The positions of the messages that come again.
fn failed<E: Debug>(response: Result<SqsBatchResponse, E>) -> Vec<usize> {
    let response = response.expect("a batch is no error");
    let failures = response.batch_item_failures.iter();
    failures
        .map(|failure| {
            failure
                .item_identifier
                .parse()
                .expect("one of the messages")
        })
        .collect()
}

/// Hands a batch to the ticket queue's function, which has so long. Gives the positions of what
/// comes again.
pub async fn invoke_assignment_within(
    deps: &muster_assignment::Deps,
    bodies: &[String],
    time: Duration,
) -> Vec<usize> {
    let payload = serde_json::from_value(sqs_event(bodies)).expect("the event is as SQS writes it");
    failed(muster_assignment::handle(LambdaEvent::new(payload, context(time)), deps).await)
}

/// The same, with time enough.
pub async fn invoke_assignment(deps: &muster_assignment::Deps, bodies: &[String]) -> Vec<usize> {
    invoke_assignment_within(deps, bodies, LONG).await
}

/// Hands a batch to the user queue's function, which has so long. Gives the positions of what comes
/// again.
pub async fn invoke_directory_within(
    deps: &muster_directory::Deps,
    bodies: &[String],
    time: Duration,
) -> Vec<usize> {
    let payload = serde_json::from_value(sqs_event(bodies)).expect("the event is as SQS writes it");
    failed(muster_directory::handle(LambdaEvent::new(payload, context(time)), deps).await)
}

/// Hands jobs to the function of the job queues, which has so long. Gives the positions of what
/// comes again.
pub async fn invoke_jobs_within(
    deps: &muster_jobs::Deps,
    jobs: &[String],
    time: Duration,
) -> Vec<usize> {
    failed(muster_jobs::handle(LambdaEvent::new(sqs_event(jobs), context(time)), deps).await)
}

/// Performs jobs and the jobs that they send to either queue until none is left. Delays pass at
/// once: the functions' clock moves by them.
pub async fn run_jobs(deps: &muster_jobs::Deps, recorder: &SqsRecorder, jobs: Vec<String>) {
    let (mut jobs, mut waited) = (jobs, Duration::ZERO);
    // What an index shows late is looked at again and again; none here does.
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
    panic!("jobs without an end: {jobs:?}");
}

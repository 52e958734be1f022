//! Local stand-ins for EventBridge, SQS and S3. Their faults are scripted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_eventbridge::config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_smithy_http_client::Builder;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use lambda_runtime::{Context, LambdaEvent};
use muster_changes::{Deps, StreamEvent, failed::Failed, handle};
use muster_domain::Timestamp;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The calls that the services received, the accepted input, and the faults to produce.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fault")]
pub struct State {
    /// The subjects of the entries of each `PutEvents` call, accepted or not.
    pub put_calls: Vec<Vec<String>>,
    /// The accepted events of the bus, in order.
    pub published: Vec<Value>,
    /// The accepted jobs, in order.
    pub jobs: Vec<Value>,
    /// The queue and the message group of each job.
    pub destinations: Vec<[String; 2]>,
    /// The number of `PutEvents` calls that are still to be throttled.
    pub throttled_calls: usize,
    /// Entries to reject: the subject, the error code, and the remaining number of rejections.
    pub rejected_entries: Vec<(String, &'static str, usize)>,
    /// The queues respond 503.
    pub queue_is_down: bool,
    /// The bus and the queues deny access.
    pub is_denied: bool,
    /// The number of denied calls.
    pub denied_calls: usize,
    /// The subject for which the bus rejects a whole call as invalid.
    pub invalid_subject: Option<&'static str>,
    /// The queues reject each message as invalid.
    pub messages_are_invalid: bool,
    /// The bucket responds 503.
    pub bucket_is_down: bool,
    /// The objects of the bucket, by key.
    pub objects: BTreeMap<String, Bytes>,
}

/// A bus, two queues and a bucket, served on one local port.
#[derive(Clone)]
pub struct Aws {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Aws {
    /// Starts the services with the faults of a state.
    pub async fn start(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let aws = Self { url, state };
        let serving = aws.clone();
        let app = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
                let Some(target) = headers.get("x-amz-target") else {
                    assert_eq!(method, Method::PUT);
                    assert!(
                        headers["authorization"]
                            .to_str()
                            .unwrap()
                            .starts_with("AWS4-HMAC-SHA256 Credential=test/")
                    );
                    assert_eq!(headers["x-amz-content-sha256"].len(), 64);
                    return serving.state().put_object(uri.path(), body);
                };
                let body: Value = serde_json::from_slice(&body).unwrap();
                match target.to_str().unwrap() {
                    "AWSEvents.PutEvents" => serving.state().put_events(&body),
                    "AmazonSQS.SendMessageBatch" => serving.state().send_message_batch(&body),
                    other => panic!("{other} is not called"),
                }
            },
        );
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        aws
    }

    /// Returns services to which no connection succeeds.
    pub fn unreachable() -> Self {
        Self {
            url: "http://127.0.0.1:1".to_owned(),
            state: Arc::default(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deps(&self) -> Deps {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .retry_config(RetryConfig::disabled())
            .http_client(Builder::new().build_http())
            .build();
        let sqs = aws_sdk_sqs::Client::new(&config);
        let queue =
            |name: &str| Queue::new(sqs.clone(), format!("{}/000000000000/{name}", self.url));
        Deps {
            bus: Bus::new(aws_sdk_eventbridge::Client::new(&config), "muster"),
            jobs: JobQueues {
                urgent: queue("jobs"),
                long: queue("long-jobs"),
            },
            failed_records: Bucket::new(&config, "failed").unwrap(),
        }
    }

    /// Returns the objects of the bucket: the key, the reason, and the records.
    pub fn objects(&self) -> Vec<(String, String, Vec<Value>)> {
        let state = self.state();
        let objects = state.objects.iter().map(|(key, body)| {
            let Failed { reason, records } = Failed::parse(body).unwrap();
            (
                key.clone(),
                reason,
                records
                    .iter()
                    .map(|record| serde_json::from_str(record.get()).unwrap())
                    .collect(),
            )
        });
        objects.collect()
    }

    /// Invokes the function with a batch of records. Returns the sequence number from which Lambda
    /// retries the batch, or `"all"` if the invocation fails.
    pub async fn handle(&self, records: &[Value], time: Duration) -> Option<String> {
        let payload: StreamEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        let mut context = Context::default();
        context.deadline = u64::try_from(Timestamp::now().plus(time).millis()).unwrap();
        let Ok(response) = handle(LambdaEvent::new(payload, context), &self.deps()).await else {
            return Some("all".to_owned());
        };
        let response = serde_json::to_value(response).unwrap();
        let failures = response["batchItemFailures"].as_array().unwrap();
        assert!(
            failures.len() <= 1,
            "Lambda needs only the first: {failures:?}"
        );
        failures
            .first()
            .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
    }

    /// Returns the type and subject of each accepted event, in order.
    pub fn published(&self) -> Vec<String> {
        let summary = |event: &Value| {
            format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["subject"].as_str().unwrap()
            )
        };
        self.state().published.iter().map(summary).collect()
    }

    /// Returns the accepted jobs, in order.
    pub fn jobs(&self) -> Vec<Value> {
        self.state().jobs.clone()
    }
}

impl State {
    fn put_object(&mut self, path: &str, body: Bytes) -> Response {
        if self.bucket_is_down {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "<Error><Code>SlowDown</Code></Error>",
            )
                .into_response();
        }
        self.objects
            .insert(path.strip_prefix("/failed/").unwrap().to_owned(), body);
        StatusCode::OK.into_response()
    }

    fn put_events(&mut self, body: &Value) -> Response {
        let entries = body["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10);
        let events: Vec<Value> = entries
            .iter()
            .map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap())
            .collect();
        let subjects: Vec<String> = events
            .iter()
            .map(|event| event["subject"].as_str().unwrap().to_owned())
            .collect();
        self.put_calls.push(subjects.clone());
        if self.is_denied {
            return self.deny();
        }
        if self.throttled_calls > 0 {
            self.throttled_calls -= 1;
            let body = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
            return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        if self
            .invalid_subject
            .is_some_and(|invalid| subjects.iter().any(|subject| subject == invalid))
        {
            let body = json!({ "__type": "ValidationException", "message": "by script" });
            return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        let mut results = Vec::new();
        for ((entry, event), subject) in entries.iter().zip(events).zip(subjects) {
            assert_eq!(entry["EventBusName"], "muster");
            assert_eq!(entry["Source"], "muster");
            assert_eq!(entry["DetailType"], event["type"]);
            let rejection = self
                .rejected_entries
                .iter_mut()
                .find(|(rejected, _, times)| subject == *rejected && *times > 0);
            results.push(if let Some((_, code, times)) = rejection {
                *times -= 1;
                json!({ "ErrorCode": code, "ErrorMessage": "by script" })
            } else {
                self.published.push(event);
                json!({ "EventId": "11111111-1111-1111-1111-111111111111" })
            });
        }
        let failed = results
            .iter()
            .filter(|result| result["ErrorCode"].is_string())
            .count();
        json!({ "FailedEntryCount": failed, "Entries": results })
            .to_string()
            .into_response()
    }

    fn deny(&mut self) -> Response {
        self.denied_calls += 1;
        let body = json!({ "__type": "AccessDeniedException", "message": "not authorized" });
        (StatusCode::BAD_REQUEST, body.to_string()).into_response()
    }

    fn send_message_batch(&mut self, body: &Value) -> Response {
        let entries = body["Entries"].as_array().unwrap();
        assert!((1..=10).contains(&entries.len()));
        if self.is_denied {
            return self.deny();
        }
        if self.queue_is_down {
            return (StatusCode::SERVICE_UNAVAILABLE, "{}").into_response();
        }
        if self.messages_are_invalid {
            let failed = entries.iter().map(|entry| {
                json!({ "Id": entry["Id"], "Code": "InvalidMessageContents", "Message": "by script", "SenderFault": true })
            });
            return json!({ "Successful": [], "Failed": failed.collect::<Vec<_>>() })
                .to_string()
                .into_response();
        }
        let mut accepted = Vec::new();
        let queue = body["QueueUrl"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        for entry in entries {
            self.destinations
                .push([queue, entry["MessageGroupId"].as_str().unwrap()].map(str::to_owned));
            self.jobs
                .push(serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap());
            accepted.push(
                json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d41d8cd98f00b204e9800998ecf8427e" }),
            );
        }
        json!({ "Successful": accepted, "Failed": [] })
            .to_string()
            .into_response()
    }
}

//! The function as Lambda calls it: the stream's event in, over HTTP to a bus, a queue and a bucket
//! that fail by script, the response out.

#![expect(
    clippy::unwrap_used,
    reason = "what a test's own helpers unwrap fails the test"
)]

use std::{
    collections::{BTreeMap, HashSet},
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
use muster_changes::{Deps, Event, failed::Failed, handle};
use muster_domain::Timestamp;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the bus and the queue have seen and taken, and how they fail.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct State {
    /// The subjects of each call's entries, taken or not.
    put: Vec<Vec<String>>,
    /// The CloudEvents that the bus took, in order.
    announced: Vec<Value>,
    /// The jobs that the queue took, in order.
    jobs: Vec<Value>,
    /// The queue and the message group of each job.
    sent_to: Vec<[String; 2]>,
    /// How many calls to the bus are throttled as a whole.
    throttled_calls: usize,
    /// Entries about these are refused with this code, for so many times.
    refused: Vec<(String, &'static str, usize)>,
    /// Whether the queue refuses everything for the moment.
    queue_is_down: bool,
    /// Whether this function may do nothing at all, and how often it tried.
    is_denied: bool,
    denied_calls: usize,
    /// A call with an entry about this is refused as a whole, as invalid.
    invalid_call: Option<&'static str>,
    /// The queue refuses every message as invalid.
    messages_are_invalid: bool,
    /// The bucket refuses everything for the moment.
    bucket_is_down: bool,
    /// The objects of the bucket, by key.
    objects: BTreeMap<String, Bytes>,
}

/// A bus, a queue and a bucket on a port of their own.
#[derive(Clone)]
struct Aws {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Aws {
    async fn start(state: State) -> Self {
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

    fn state(&self) -> MutexGuard<'_, State> {
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

    /// The objects of the bucket: the key, the reason, and the records.
    fn objects(&self) -> Vec<(String, String, Vec<Value>)> {
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

    /// Hands a batch of records to the function, and gives the sequence number from which they have
    /// to come again; `"all"` where it fails.
    async fn handle(&self, records: &[Value], time: Duration) -> Option<String> {
        let payload: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let mut context = Context::default();
        context.deadline = u64::try_from(Timestamp::now().plus(time).millis()).unwrap();
        let Ok(response) = handle(LambdaEvent::new(payload, context), &self.deps()).await else {
            return Some("all".to_owned());
        };
        let answer = serde_json::to_value(response).unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap();
        assert!(failures.len() <= 1, "the first is enough: {failures:?}");
        failures
            .first()
            .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
    }

    fn announced(&self) -> Vec<String> {
        let said = |event: &Value| {
            format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["subject"].as_str().unwrap()
            )
        };
        self.state().announced.iter().map(said).collect()
    }

    fn jobs(&self) -> Vec<Value> {
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
        self.put.push(subjects.clone());
        if self.is_denied {
            return self.deny();
        }
        if self.throttled_calls > 0 {
            self.throttled_calls -= 1;
            let body = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
            return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        if self
            .invalid_call
            .is_some_and(|about| subjects.iter().any(|subject| subject == about))
        {
            let body = json!({ "__type": "ValidationException", "message": "by script" });
            return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        let mut results = Vec::new();
        for ((entry, event), subject) in entries.iter().zip(events).zip(subjects) {
            assert_eq!(entry["EventBusName"], "muster");
            assert_eq!(entry["Source"], "muster");
            assert_eq!(entry["DetailType"], event["type"]);
            let refused = self
                .refused
                .iter_mut()
                .find(|(about, _, times)| subject == *about && *times > 0);
            results.push(if let Some((_, code, times)) = refused {
                *times -= 1;
                json!({ "ErrorCode": code, "ErrorMessage": "by script" })
            } else {
                self.announced.push(event);
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
        let mut taken = Vec::new();
        let queue = body["QueueUrl"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        for entry in entries {
            self.sent_to
                .push([queue, entry["MessageGroupId"].as_str().unwrap()].map(str::to_owned));
            self.jobs
                .push(serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap());
            taken.push(
                json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d41d8cd98f00b204e9800998ecf8427e" }),
            );
        }
        json!({ "Successful": taken, "Failed": [] })
            .to_string()
            .into_response()
    }
}

const TEAM: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const USER: &str = "f6e5d4c3-b2a1-0987-fedc-ba9876543210";
/// Far longer than any of this takes.
const LONG: Duration = Duration::from_secs(30);

/// A record of the stream, as Lambda writes it.
fn record(n: usize, pk: &str, sk: &str, old: Option<Value>, new: Option<Value>) -> Value {
    let with_keys = |mut image: Value| {
        image["pk"] = json!({ "S": pk });
        image["sk"] = json!({ "S": sk });
        image
    };
    let event_name = match (&old, &new) {
        (None, _) => "INSERT",
        (_, Some(_)) => "MODIFY",
        (_, None) => "REMOVE",
    };
    let mut change = json!({
        "ApproximateCreationDateTime": 1_736_064_000,
        "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
        "SequenceNumber": sequence_number(n),
        "SizeBytes": 400,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    if let Some(old) = old {
        change["OldImage"] = with_keys(old);
    }
    if let Some(new) = new {
        change["NewImage"] = with_keys(new);
    }
    json!({
        "eventID": format!("{n:032x}"),
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/muster/stream/2025-01-05T00:00:00.000",
    })
}

fn sequence_number(n: usize) -> String {
    format!("{n:021}")
}

/// A ticket's image: assigned to somebody, or waiting with the team.
fn ticket(rev: usize, assignee: Option<&str>) -> Value {
    let mut image = json!({
        "rev": { "N": rev.to_string() },
        "version": { "S": "1736064000000#e1" },
        "status": { "S": "open" },
        "priority": { "S": "high" },
        "topics": { "L": [{ "S": "vpn" }] },
        "created_at": { "N": "1736064000000" },
        "team_id": { "S": TEAM },
        "state": { "S": if assignee.is_some() { "assigned" } else { "waiting" } },
        "decision": { "M": {
            "reason": { "S": if assignee.is_some() { "strategy" } else { "nobody_eligible" } },
            "considered": { "N": "0" },
            "eligible": { "N": "0" },
            "candidates": { "L": [] },
            "decided_at": { "N": "1736064000123" },
        } },
    });
    if let Some(assignee) = assignee {
        image["assignee_id"] = json!({ "S": assignee });
    }
    image
}

fn ticket_record(n: usize, id: &str, old: Option<Value>, new: Value) -> Value {
    record(n, &format!("ORG#org#TICKET#{id}"), "TICKET", old, Some(new))
}

/// So many new tickets, `T0` and on, each assigned.
fn assigned(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| ticket_record(n, &format!("T{n}"), None, ticket(1, Some(USER))))
        .collect()
}

fn load_record(n: usize, waiting_before: u32, waiting: u32) -> Value {
    let load = |waiting: u32| {
        json!({
            "turn": { "N": "0" },
            "open_tickets": { "N": "3" },
            "waiting_tickets": { "N": waiting.to_string() },
            "sla_met": { "N": "0" },
            "sla_due": { "N": "0" },
            "eligible": { "N": "0" },
        })
    };
    record(
        n,
        &format!("ORG#org#TEAM#{TEAM}"),
        "LOAD",
        Some(load(waiting_before)),
        Some(load(waiting)),
    )
}

fn unreadable(n: usize) -> Value {
    ticket_record(n, "BAD", None, json!({ "rev": { "S": "not a number" } }))
}

#[tokio::test]
async fn what_happened_is_announced_in_few_calls_and_starts_each_job_once() {
    let aws = Aws::start(State::default()).await;
    let mut records = assigned(21);
    records.push(ticket_record(21, "T21", None, ticket(1, None)));
    records.push(ticket_record(22, "T22", None, ticket(1, None)));
    records.push(load_record(23, 0, 2));
    assert_eq!(aws.handle(&records, LONG).await, None);

    let calls: Vec<usize> = aws.state().put.iter().map(Vec::len).collect();
    assert_eq!(calls, [10, 10, 3]);
    let announced = aws.announced();
    assert_eq!(announced.len(), 23);
    assert_eq!(
        (&*announced[0], &*announced[22]),
        ("ticket.assigned tickets/T0", "ticket.waiting tickets/T22")
    );
    assert_eq!(
        aws.jobs(),
        [json!({ "job": "drain_team", "organization_id": "org", "team_id": TEAM, "looks": 0 })]
    );
    assert_eq!(aws.state().sent_to, [["jobs", "org"]]);
}

#[tokio::test]
async fn a_batch_with_nothing_to_say_makes_no_call() {
    // Nobody listens here: a call would fail, and the batch come again.
    let aws = Aws {
        url: "http://127.0.0.1:1".to_owned(),
        state: Arc::default(),
    };
    let same = ticket(4, Some(USER));
    // What has expired is not even read.
    let mut expired = unreadable(4);
    expired["dynamodb"]["OldImage"] = expired["dynamodb"]["NewImage"].take();
    expired["eventName"] = "REMOVE".into();
    expired["userIdentity"] = json!({ "principalId": "dynamodb.amazonaws.com", "type": "Service" });
    let records = [
        ticket_record(0, "T1", Some(same.clone()), same),
        ticket_record(1, "T2", Some(ticket(1, Some(USER))), ticket(2, Some(USER))),
        load_record(2, 5, 2),
        record(
            3,
            "ORG#org#NAMES",
            "NAME#network operations",
            None,
            Some(json!({ "team_id": { "S": TEAM } })),
        ),
        expired,
    ];
    assert_eq!(aws.handle(&records, Duration::from_secs(2)).await, None);
}

#[tokio::test]
async fn throttling_passes_and_nothing_taken_is_sent_again() {
    let aws = Aws::start(State {
        throttled_calls: 2,
        refused: vec![("tickets/T3".to_owned(), "ThrottlingException", 2)],
        ..State::default()
    })
    .await;
    assert_eq!(aws.handle(&assigned(12), LONG).await, None);
    let announced = aws.announced();
    assert_eq!(announced.len(), 12, "{announced:?}");
    assert_eq!(announced.iter().collect::<HashSet<_>>().len(), 12);
}

#[tokio::test]
async fn what_happened_to_one_record_arrives_in_order_whatever_fails() {
    let aws = Aws::start(State {
        refused: vec![("tickets/T1".to_owned(), "InternalFailure", 3)],
        ..State::default()
    })
    .await;
    let records = [
        ticket_record(0, "T1", None, ticket(1, Some(USER))),
        ticket_record(1, "T2", None, ticket(1, Some(USER))),
        ticket_record(2, "T1", Some(ticket(1, Some(USER))), ticket(2, None)),
        ticket_record(3, "T1", Some(ticket(2, None)), ticket(3, Some(USER))),
    ];
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(
        aws.announced(),
        [
            "ticket.assigned tickets/T2",
            "ticket.assigned tickets/T1",
            "ticket.unassigned tickets/T1",
            "ticket.waiting tickets/T1",
            "ticket.assigned tickets/T1",
        ]
    );
    let sequences: Vec<Value> = aws
        .state()
        .announced
        .iter()
        .map(|event| event["sequence"].clone())
        .collect();
    let about_one: Vec<&str> = sequences[1..]
        .iter()
        .map(|sequence| sequence.as_str().unwrap())
        .collect();
    assert!(about_one.is_sorted(), "{about_one:?}");
    for put in &aws.state().put {
        assert_eq!(
            put.len(),
            put.iter().collect::<HashSet<_>>().len(),
            "two about one record in one call: {put:?}"
        );
    }
}

#[tokio::test]
async fn record_refused_by_bus_goes_to_bucket_alone() {
    let aws = Aws::start(State {
        refused: vec![("tickets/T1".to_owned(), "MalformedDetail", usize::MAX)],
        ..State::default()
    })
    .await;
    let mut records = assigned(12);
    records.push(ticket_record(
        12,
        "T1",
        Some(ticket(1, Some(USER))),
        ticket(2, None),
    ));
    // It does not wait for the deadline: another attempt would change nothing.
    let answered = tokio::time::timeout(Duration::from_secs(10), aws.handle(&records, LONG)).await;
    assert_eq!(answered.unwrap(), None, "nothing is left to retry");
    let announced = aws.announced();
    assert_eq!(announced.len(), 11);
    assert!(
        announced.iter().all(|said| !said.ends_with("tickets/T1")),
        "{announced:?}"
    );
    assert_eq!(aws.jobs().len(), 1, "the queue has nothing to do with it");
    let reason = "the bus: MalformedDetail: by script".to_owned();
    let object = |n: usize| {
        (
            format!("changes/{}.json", sequence_number(n)),
            reason.clone(),
            vec![records[n].clone()],
        )
    };
    assert_eq!(aws.objects(), [object(1), object(12)]);
}

#[tokio::test]
async fn call_refused_as_invalid_fails_one_record_only() {
    let aws = Aws::start(State {
        invalid_call: Some("tickets/T4"),
        ..State::default()
    })
    .await;
    assert_eq!(aws.handle(&assigned(12), LONG).await, None);
    assert_eq!(aws.announced().len(), 11);
    let objects = aws.objects();
    assert_eq!((objects.len(), &objects[0].2[..]), (1, &assigned(12)[4..5]));
    assert!(objects[0].1.contains("ValidationException"), "{objects:?}");
}

#[tokio::test]
async fn record_refused_by_queue_goes_to_bucket() {
    let aws = Aws::start(State {
        messages_are_invalid: true,
        ..State::default()
    })
    .await;
    let records = [assigned(1).remove(0), load_record(1, 0, 2)];
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(aws.announced().len(), 1);
    let key = format!("changes/{}.json", sequence_number(1));
    assert_eq!(
        aws.objects(),
        [(
            key,
            "the queue: by script".to_owned(),
            vec![records[1].clone()]
        )]
    );
}

#[tokio::test]
async fn unreadable_records_go_to_bucket_and_others_go_on() {
    let aws = Aws::start(State::default()).await;
    let mut records = assigned(2);
    records.push(unreadable(2));
    records.push(ticket_record(3, "T3", None, ticket(1, None)));
    // Not even the event's own form: Lambda has no such record, but none may fail the others.
    let odd = json!({ "dynamodb": { "SequenceNumber": "not/a/name", "Keys": 5 } });
    records.push(odd.clone());
    assert_eq!(aws.handle(&records, LONG).await, None);
    assert_eq!(
        aws.announced(),
        [
            "ticket.assigned tickets/T0",
            "ticket.assigned tickets/T1",
            "ticket.waiting tickets/T3"
        ]
    );
    assert_eq!(aws.jobs().len(), 1, "of the record behind it");
    let objects = aws.objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (&*objects[0].0, &objects[0].2),
        (
            &*format!("changes/{}.json", sequence_number(2)),
            &vec![unreadable(2)]
        )
    );
    assert_eq!(objects[1].2, [odd]);

    assert_eq!(aws.handle(&[unreadable(2)], LONG).await, None, "alone too");
    assert_eq!(
        aws.objects().len(),
        2,
        "a record that is delivered again has the same object"
    );
}

#[tokio::test]
async fn record_that_cannot_be_set_aside_is_retried() {
    let aws = Aws::start(State {
        bucket_is_down: true,
        ..State::default()
    })
    .await;
    let mut records = assigned(3);
    records[1] = unreadable(1);
    let time = Duration::from_secs(3);
    assert_eq!(aws.handle(&records, time).await, Some(sequence_number(1)));
    assert_eq!(aws.announced().len(), 2, "the others do not wait");
    assert_eq!(
        aws.handle(&records[1..], time).await,
        Some("all".to_owned()),
        "nothing of this batch is handled"
    );
    aws.state().bucket_is_down = false;
    assert_eq!(aws.handle(&records[1..], time).await, None);
    assert_eq!(aws.objects().len(), 1);
}

#[tokio::test]
async fn jobs_that_cannot_be_started_come_again_with_the_first_record_that_wants_them() {
    let aws = Aws::start(State {
        queue_is_down: true,
        ..State::default()
    })
    .await;
    let mut records = assigned(2);
    records.push(load_record(2, 0, 1));
    records.push(ticket_record(3, "T3", None, ticket(1, None)));
    assert_eq!(
        aws.handle(&records, Duration::from_secs(3)).await,
        Some(sequence_number(2))
    );
    assert_eq!(
        aws.announced().len(),
        3,
        "the bus has nothing to do with it"
    );
}

#[tokio::test]
async fn what_is_denied_is_not_asked_for_again_and_again() {
    let aws = Aws::start(State {
        is_denied: true,
        ..State::default()
    })
    .await;
    assert_eq!(
        aws.handle(&[load_record(0, 0, 1), assigned(2).remove(1)], LONG)
            .await,
        Some("all".to_owned())
    );
    assert_eq!(
        aws.state().denied_calls,
        2,
        "once each, though there was time for more"
    );
    assert_eq!(
        aws.objects(),
        [],
        "a missing permission is no fault of a record"
    );
}

#[tokio::test]
async fn a_bus_that_is_away_is_given_up_in_time() {
    let aws = Aws {
        url: "http://127.0.0.1:1".to_owned(),
        state: Arc::default(),
    };
    let answered = tokio::time::timeout(
        Duration::from_secs(5),
        aws.handle(&assigned(3), Duration::from_secs(2)),
    )
    .await;
    assert_eq!(
        answered.expect("before the function is stopped"),
        Some("all".to_owned())
    );
}

#[tokio::test]
async fn a_batch_that_comes_again_says_the_same() {
    let aws = Aws::start(State::default()).await;
    let records = assigned(3);
    for _ in 0..2 {
        assert_eq!(aws.handle(&records, LONG).await, None);
    }
    let announced = aws.state().announced.clone();
    assert_eq!(announced[..3], announced[3..]);
}

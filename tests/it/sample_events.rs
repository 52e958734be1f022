//! The files in `events/`: all kinds of event that the template declares, each as AWS sends it.
//! `tests/events/responses.json` has the expected response of the function: the status of an HTTP
//! response, or else the response itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt::Debug,
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use lambda_http::{Body, Response};
use lambda_runtime::{Context, LambdaEvent};
use muster_cli::{
    emulator,
    local::{Data, LocalStack, Settings},
    sam::Template,
};
use muster_domain::Timestamp;
use muster_jobs::Pace;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    http::Deps,
    jobs::JobQueues,
    store::Table,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const RESPONSES: &str = include_str!("../events/responses.json");

/// The events by function and name, such as `teams/list-itsm`.
fn events() -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut events = BTreeMap::new();
    for folder in fs::read_dir(&root).expect("the folder exists") {
        let folder = folder.expect("the folder can be read").path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).expect("the folder can be read") {
            let file = file.expect("the folder can be read").path();
            let name = file
                .strip_prefix(&root)
                .expect("the folder is below the root")
                .with_extension("");
            let name = name.to_str().expect("a name in UTF-8").to_owned();
            let event = serde_json::from_slice(&fs::read(&file).expect("the file can be read"));
            events.insert(
                name.clone(),
                event.unwrap_or_else(|error| panic!("{name}: {error}")),
            );
        }
    }
    events
}

fn function_of(name: &str) -> &str {
    name.split_once('/').expect("a function's folder").0
}

/// Returns the source of an event: a route, a queue, the stream, or a schedule by its input.
fn sender(event: &Value) -> String {
    let Some(records) = event["Records"].as_array() else {
        return event["routeKey"]
            .as_str()
            .map_or_else(|| event.to_string(), str::to_owned);
    };
    let record = &records[0];
    match record["eventSource"].as_str() {
        // The name of a deployed resource has the stack's name, the logical id and a random part.
        Some("aws:sqs") => {
            let name = record["eventSourceARN"]
                .as_str()
                .and_then(|arn| arn.rsplit(':').next());
            name.and_then(|name| name.split('-').nth(1))
                .expect("the name of a stack's queue")
                .to_owned()
        }
        Some("aws:dynamodb") => "the stream".to_owned(),
        other => panic!("unknown event source: {other:?}"),
    }
}

#[test]
fn event_files_cover_every_declared_event_source() {
    let template = Template::load().expect("the template is valid");
    let routes = template.routes.iter().map(|route| {
        let key = route.key.as_ref().map_or_else(
            || "$default".to_owned(),
            |(method, path)| format!("{method} {path}"),
        );
        (&route.function, key)
    });
    let queues = template
        .queue_mappings
        .iter()
        .map(|mapping| (&mapping.function, mapping.queue.clone()));
    let streams = template
        .stream_mappings
        .iter()
        .map(|mapping| (&mapping.function, "the stream".to_owned()));
    let schedules = template
        .schedules
        .iter()
        .map(|schedule| (&schedule.function, schedule.input.to_string()));
    let declared: BTreeSet<_> = routes
        .chain(queues)
        .chain(streams)
        .chain(schedules)
        .map(|(function, sender)| (function.trim_end_matches("Function").to_lowercase(), sender))
        .collect();

    let events = events();
    let there: BTreeSet<_> = events
        .iter()
        .map(|(name, event)| (function_of(name).to_owned(), sender(event)))
        .collect();
    assert_eq!(there, declared);

    let filters = &template.stream_mappings[0].filters;
    for (name, event) in events
        .iter()
        .filter(|(_, event)| sender(event) == "the stream")
    {
        for record in event["Records"].as_array().into_iter().flatten() {
            assert!(
                filters.iter().any(|filter| filter.matches(record)),
                "{name} has a record that the filter drops: {record}"
            );
        }
    }
}

/// Returns an event as the function's input, with the default time.
fn lambda<T: DeserializeOwned>(event: &Value) -> LambdaEvent<T> {
    let mut context = Context::default();
    context.deadline = u64::try_from(Timestamp::now().plus(Duration::from_secs(30)).millis())
        .expect("the time is positive");
    LambdaEvent::new(
        T::deserialize(event).expect("the function accepts the event"),
        context,
    )
}

/// Returns the status of an HTTP response.
fn status(response: Result<Response<Body>, Infallible>) -> Value {
    let Ok(response) = response;
    json!(response.status().as_u16())
}

/// Returns any other response as JSON.
fn batch<E: Debug>(response: Result<impl Serialize, E>) -> Value {
    json!(response.expect("the batch is handled"))
}

/// The dependencies of every function, over one stack.
struct Functions {
    http: Deps,
    assignment: muster_assignment::Deps,
    directory: muster_directory::Deps,
    changes: muster_changes::Deps,
    jobs: muster_jobs::Deps,
}

impl Functions {
    fn of(stack: &LocalStack) -> Self {
        let aws = emulator::sdk_config(&stack.aws_url);
        let queue = |name: &str| Queue::new(aws_sdk_sqs::Client::new(&aws), stack.queue_url(name));
        let table = Table::new(emulator::client(&stack.dynamodb_url), stack.table.as_str());
        let http = Deps::new(table.clone());
        let assignment = muster_assignment::Deps {
            table: table.clone(),
            dead_letters: queue("tickets-dead-letters"),
            clock: Arc::new(Timestamp::now),
        };
        let directory = muster_directory::Deps {
            table: table.clone(),
            dead_letters: queue("users-dead-letters"),
            clock: Arc::new(Timestamp::now),
        };
        let job_queues = JobQueues {
            urgent: queue("jobs"),
            long: queue("long-jobs"),
        };
        let changes = muster_changes::Deps {
            bus: Bus::new(aws_sdk_eventbridge::Client::new(&aws), "muster"),
            jobs: job_queues.clone(),
            failed_records: Bucket::new(&aws, "failed-records")
                .expect("the configuration is complete"),
        };
        let jobs = muster_jobs::Deps {
            table,
            jobs: job_queues,
            clock: Arc::new(Timestamp::now),
            pace: Pace::default(),
        };
        Self {
            http,
            assignment,
            directory,
            changes,
            jobs,
        }
    }

    /// Invokes a function with an event, and returns the part of the response that is compared.
    async fn invoke(&self, function: &str, event: &Value) -> Value {
        let request = || {
            muster_service::lambda::request(&event.to_string()).expect("an event of the gateway")
        };
        match function {
            "teams" => status(Box::pin(muster_teams::handle(request(), &self.http)).await),
            "members" => status(Box::pin(muster_members::handle(request(), &self.http)).await),
            "workload" => status(Box::pin(muster_workload::handle(request(), &self.http)).await),
            "docs" => status(Ok(muster_docs::handle(request()))),
            "assignment" => {
                batch(Box::pin(muster_assignment::handle(lambda(event), &self.assignment)).await)
            }
            "directory" => {
                batch(Box::pin(muster_directory::handle(lambda(event), &self.directory)).await)
            }
            "changes" => {
                batch(Box::pin(muster_changes::handle(lambda(event), &self.changes)).await)
            }
            "jobs" => batch(Box::pin(muster_jobs::handle(lambda(event), &self.jobs)).await),
            unknown => panic!("unknown function: {unknown}"),
        }
    }
}

/// Asserts that no example is a poison message.
fn assert_no_dead_letters(stack: &LocalStack) {
    for queue in ["tickets", "users"] {
        let dead_letters = stack
            .queues
            .contents(queue)
            .expect("the queue exists")
            .dead_letters;
        assert_eq!(dead_letters, [], "no example is a poison message");
    }
}

/// Asserts that the files of the changes function have the names of their announcements.
fn assert_named_by_announcement(stack: &LocalStack, events: &BTreeMap<String, Value>) {
    // The name of each file is its announcement. The files have a time of their own; the
    // announcements of the other events have the current time.
    let (announced, _) = stack.events.after(0);
    let announced = announced
        .iter()
        .map(|event| serde_json::from_str(event.get()).expect("an event is JSON"));
    let of_the_files: BTreeSet<String> = announced
        .filter(|event: &Value| {
            event["time"]
                .as_str()
                .is_some_and(|time| time.starts_with("2025-01-05"))
        })
        .map(|event| {
            format!(
                "changes/{}",
                event["type"].as_str().expect("a type").replace('.', "-")
            )
        })
        .collect();
    let named = events
        .keys()
        .filter(|name| function_of(name) == "changes" && *name != "changes/user-updated");
    assert_eq!(of_the_files, named.cloned().collect());
}

#[tokio::test]
async fn every_event_file_gets_its_expected_response() {
    let stack = LocalStack::start(0, Data::Samples, Settings::default())
        .await
        .expect("the stack starts");
    let functions = Functions::of(&stack);
    let mut responses = BTreeMap::new();
    let events = events();
    for (name, event) in &events {
        let response = functions.invoke(function_of(name), event).await;
        responses.insert(name.clone(), response);
    }
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(RESPONSES).expect("names and responses");
    assert_eq!(responses, expected);

    assert_eq!(
        stack.failed_records.keys(),
        [""; 0],
        "every record of the examples is readable"
    );
    assert_no_dead_letters(&stack);
    assert_named_by_announcement(&stack, &events);
    stack.stop().await.expect("the stack stops");
}

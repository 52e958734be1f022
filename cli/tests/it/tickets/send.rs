//! `muster tickets send`, with queues of this process.

use std::{
    collections::HashSet,
    io::Write,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::generate;
use crate::dev::signal;
use crate::support::{PATIENCE, assert_fails, file, lines, muster, run, stderr, stdout, wait};

/// A fake queue on its own port.
struct FakeQueue {
    url: String,
    accepted: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl FakeQueue {
    fn new<S: Clone + Send + Sync + 'static>(
        router: Router<S>,
        state: impl FnOnce(AcceptedEvents) -> S,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let accepted = AcceptedEvents::default();
        let router = router.with_state(state(accepted.clone()));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            accepted,
            _runtime: runtime,
        }
    }

    /// Serves the local stack's queue, which accepts this many calls and then fails.
    fn local_stack(calls: usize) -> Self {
        let router = Router::new()
            .route("/_dev/queues", get(|| async { "{}" }))
            .route("/_dev/queues/tickets", post(accept_as_the_local_stack));
        Self::new(router, |accepted| (accepted, Arc::new(Mutex::new(calls))))
    }

    /// Serves the operations of SQS that are called.
    fn sqs() -> Self {
        Self::new(Router::new().route("/", post(accept_as_sqs)), |accepted| {
            accepted
        })
    }

    fn accepted(&self) -> Vec<String> {
        let mut accepted = self.accepted.lock().expect("no panic").clone();
        accepted.sort_unstable();
        accepted
    }
}

type AcceptedEvents = Arc<Mutex<Vec<String>>>;

async fn accept_as_the_local_stack(
    State((accepted, calls)): State<(AcceptedEvents, Arc<Mutex<usize>>)>,
    body: String,
) -> (StatusCode, String) {
    let mut calls = calls.lock().expect("no panic");
    let Some(left) = calls.checked_sub(1) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "out of order".to_owned());
    };
    *calls = left;
    let events: Vec<Box<serde_json::value::RawValue>> =
        serde_json::from_str(&body).expect("an array");
    accepted
        .lock()
        .expect("no panic")
        .extend(events.iter().map(|event| event.get().to_owned()));
    (
        StatusCode::ACCEPTED,
        json!({ "accepted": events.len() }).to_string(),
    )
}

async fn accept_as_sqs(
    State(accepted): State<AcceptedEvents>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    if !body["QueueUrl"]
        .as_str()
        .is_some_and(|url| url.ends_with("/000000000000/tickets"))
    {
        let error = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist." });
        return (StatusCode::BAD_REQUEST, error.to_string());
    }
    let response = match headers["x-amz-target"].to_str().expect("text") {
        // A user who may send may lack the permission to read attributes.
        "AmazonSQS.GetQueueAttributes" => {
            let error = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": "no" });
            return (StatusCode::BAD_REQUEST, error.to_string());
        }
        "AmazonSQS.SendMessageBatch" => {
            let Value::Array(entries) = body["Entries"].take() else {
                panic!("entries")
            };
            assert!(entries.len() <= 10);
            for entry in &entries {
                let event: Value =
                    serde_json::from_str(entry["MessageBody"].as_str().expect("a body"))
                        .expect("JSON");
                assert_eq!(
                    entry["MessageGroupId"], event["data"]["organization_id"],
                    "{entry}"
                );
            }
            let bodies = entries
                .iter()
                .map(|entry| entry["MessageBody"].as_str().expect("a body").to_owned());
            accepted.lock().expect("no panic").extend(bodies);
            let sent = entries.iter().map(
                |entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }),
            );
            json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] })
        }
        other => panic!("{other}"),
    };
    (StatusCode::OK, response.to_string())
}

fn send(file: &str, to: &str) -> Output {
    run(muster(["tickets", "send", file, "--to", to]))
}

#[test]
fn send_delivers_every_event_unchanged() {
    let (local, sqs) = (FakeQueue::local_stack(usize::MAX), FakeQueue::sqs());
    let day = stdout(&generate(&[
        "--organization",
        "o",
        "--tickets",
        "300",
        "--duplicates",
        "10",
    ]));
    let mut expected: Vec<_> = day.lines().map(str::to_owned).collect();
    expected.sort_unstable();
    let (_folder, path) = file(&day);
    for (queue, to) in [
        (&local, local.url.clone()),
        (&sqs, format!("{}/000000000000/tickets", sqs.url)),
    ] {
        let output = send(&path, &to);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(
            queue.accepted() == expected,
            "{to}: {} of {} events",
            queue.accepted().len(),
            expected.len()
        );
        let summary = stdout(&output);
        assert!(
            summary.starts_with(&format!("Sent {} events to {to} in ", expected.len())),
            "{summary}"
        );
        assert!(
            summary.ends_with(" a second.\n") && summary.lines().count() == 1,
            "{summary}"
        );
        // Without a terminal there is no progress bar.
        assert_eq!(stderr(&output), "");
    }
}

/// Returns events of one ticket at these times.
fn events_at(times: &[&str]) -> String {
    let event = |(number, time): (usize, &&str)| {
        let data = json!({ "organization_id": "o", "ticket": { "id": "T-1", "status": "open" } });
        let event = json!({
            "specversion": "1.0", "id": number.to_string(), "type": "ticket.updated", "time": time, "data": data,
        });
        format!("{event}\n")
    };
    times.iter().enumerate().map(event).collect()
}

#[test]
fn replay_sends_events_in_the_order_of_their_times() {
    let queue = FakeQueue::local_stack(usize::MAX);
    let (_folder, path) = file(events_at(&[
        "2026-03-02T09:30:00Z",
        "2026-03-02T09:00:00Z",
        "2026-03-02T09:10:00Z",
    ]));
    let replay = ["tickets", "send", &path, "--to", &queue.url, "--json"];
    let output = run(muster(replay.iter().chain(&["--speed", "3600"])));
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    let printed: Value = serde_json::from_str(&stdout(&output)).expect("a JSON object");
    assert_eq!(
        (&printed["sent"], &printed["tickets"]),
        (&json!(3), &Value::Null)
    );
    // Half an hour at this speed.
    assert!(
        printed["seconds"].as_f64().expect("a number") >= 0.5,
        "{printed}"
    );
    let sent = queue.accepted.lock().expect("no panic").clone();
    let id = |event: &String| serde_json::from_str::<Value>(event).expect("JSON")["id"].take();
    assert_eq!(sent.iter().map(id).collect::<Vec<_>>(), ["1", "2", "0"]);
}

#[test]
fn interrupted_replay_says_how_many_events_were_sent() {
    let queue = FakeQueue::local_stack(usize::MAX);
    let (_folder, path) = file(events_at(&["2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z"]));
    let mut command = muster(["tickets", "send", &path, "--to", &queue.url, "--speed", "1"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let deadline = std::time::Instant::now() + PATIENCE;
    while queue.accepted().is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "the first event is late"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "INT");
    wait(&mut child);
    let output = child.wait_with_output().expect("it ended");
    assert_fails(
        &output,
        &[
            "interrupted: 1 of 2 events were sent",
            "send the file again",
        ],
    );
}

#[test]
fn send_reports_lines_that_are_not_json() {
    let queue = FakeQueue::local_stack(usize::MAX);
    let long = format!("{:?}", "x".repeat(300_000));
    let (_folder, path) = file(format!(
        "\u{feff}{{\"a\":1}}\r\n\n{{\"a\"\n  \t\n[1]\nnot json\n{long}\n\"last\""
    ));
    let output = send(&path, &queue.url);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        queue.accepted(),
        ["\"last\"", "[1]", "{\"a\":1}"],
        "whatever is JSON is sent, and read by the function"
    );
    assert!(
        stdout(&output).starts_with("Sent 3 events "),
        "{}",
        stdout(&output)
    );
    let printed = stderr(&output);
    let printed: Vec<_> = printed.lines().collect();
    assert_eq!(printed.len(), 4, "{printed:?}");
    assert!(
        printed[0].starts_with(&format!("{path}:3: not JSON: ")) && !printed[0].contains("line 1"),
        "{printed:?}"
    );
    assert!(
        printed[1].starts_with(&format!("{path}:6: not JSON: ")),
        "{printed:?}"
    );
    assert!(
        printed[2].starts_with(&format!("{path}:7: longer than 256 KiB")),
        "{printed:?}"
    );
    assert!(
        printed[3].starts_with("error: lines left out: 3"),
        "{printed:?}"
    );

    let (_folder, nothing) = file("\n\n");
    let output = send(&nothing, &queue.url);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    assert!(stdout(&output).starts_with("Sent 0 events "));
}

#[test]
fn send_from_standard_input_does_not_wait() {
    let queue = FakeQueue::local_stack(usize::MAX);
    let mut command = muster(["tickets", "send", "-", "--to", &queue.url]);
    let (mut child, mut printed) = lines(command.stdin(Stdio::piped()).stderr(Stdio::null()));
    let mut stdin = child.stdin.take().expect("a pipe");
    for count in 1..=2 {
        stdin.write_all(b"{\"a\":1}\n").expect("it reads");
        let deadline = std::time::Instant::now() + PATIENCE;
        while queue.accepted().len() < count {
            assert!(std::time::Instant::now() < deadline, "a line is held back");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    stdin.write_all(b"oops").expect("it reads");
    drop(stdin);
    assert!(
        printed
            .next()
            .expect("a summary")
            .starts_with("Sent 2 events ")
    );
    assert_eq!(wait(&mut child).code(), Some(1));
}

#[test]
fn send_to_a_missing_queue_fails() {
    let (_folder, path) = file("{}");
    // No service uses port 1, and it is not among the ports that a system assigns.
    assert_fails(
        &send(&path, "http://127.0.0.1:1"),
        &[
            "http://127.0.0.1:1",
            "no server listens",
            "muster dev",
            "--to",
        ],
    );
    assert_fails(
        &send(&path, "http://127.0.0.1:1/000000000000/tickets"),
        &["SQS does not respond"],
    );
    let other = FakeQueue::new(Router::<()>::new(), |_| ());
    assert_fails(
        &send(&path, &other.url),
        &[&other.url, "404", "not a local stack", "muster dev"],
    );
    let sqs = FakeQueue::sqs();
    assert_fails(
        &send(&path, &format!("{}/000000000000/tockets", sqs.url)),
        &["there is no queue", "tockets", ": QueueDoesNotExist: The"],
    );
    assert_fails(
        &send(&path, &format!("{}/000000000000/tickets.fifo", sqs.url)),
        &["FIFO", "tickets.fifo"],
    );
    assert_fails(
        &send("/no/such/file.jsonl", "http://127.0.0.1:1"),
        &["/no/such/file.jsonl"],
    );
    assert_fails(
        &send("/", &FakeQueue::local_stack(1).url),
        &["cannot read /"],
    );
}

#[test]
fn send_without_credentials_names_the_fix() {
    let (folder, path) = file("{}");
    let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/tickets";
    let mut command: Command = muster(["tickets", "send", &path, "--to", queue]);
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", folder.path());
    let output = run(command);
    assert_eq!(
        (output.status.code(), stdout(&output)),
        (Some(1), String::new())
    );
    assert!(
        stderr(&output).starts_with("error: there are no AWS credentials: configure"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("start `muster dev`, and leave out --to"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn send_stops_at_the_first_failure() {
    let queue = FakeQueue::local_stack(2);
    let text: String = (1..=50_000)
        .flat_map(|number| [json!({ "line": number }).to_string(), "\n".to_owned()])
        .collect();
    let (_folder, path) = file(&text);
    let output = send(&path, &queue.url);
    let accepted = queue.accepted();
    assert!(
        !accepted.is_empty() && accepted.len() <= 200,
        "{}",
        accepted.len()
    );
    assert!(
        stdout(&output).starts_with(&format!("Sent {} events ", accepted.len())),
        "{}",
        stdout(&output)
    );
    assert_fails(
        &output,
        &[
            "stopped at line",
            &path,
            "503",
            "out of order",
            "send the file again",
        ],
    );

    let numbers: HashSet<u64> = accepted.iter().map(|event| number(event)).collect();
    let error = stderr(&output);
    let line: u64 = error
        .split("stopped at line ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .expect("a line");
    assert!(
        (1..line).all(|before| numbers.contains(&before)),
        "all before line {line} are sent"
    );
}

fn number(event: &str) -> u64 {
    let event: Value = serde_json::from_str(event).expect("JSON");
    event["line"].as_u64().expect("a number")
}

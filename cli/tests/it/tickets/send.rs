//! `muster tickets` as somebody runs it: a day that is made up, and sent to queues that this test
//! plays.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
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

use crate::support::{assert_fails, lines, muster, run, stderr, stdout, wait};

/// The options of the golden day: every one of them.
const GOLDEN: [&str; 20] = [
    "--organization",
    "org_demo",
    "--tickets",
    "5",
    "--seed",
    "7",
    "--start",
    "2026-03-02T00:00:00Z",
    "--teams",
    "01a20024-2dce-7152-bc84-89f71c4ce334,team_01a20024-2dce-7152-bc84-89f71c4ce335",
    "--users",
    "10000000-0000-4000-8000-000000000001,usr_10000000-0000-4000-8000-000000000002",
    "--contract",
    "mixed",
    "--duplicates",
    "20",
    "--shuffle",
    "60",
    "--output",
    "-",
];

fn generate(arguments: &[&str]) -> Output {
    run(muster([&["tickets", "generate"][..], arguments].concat()))
}

fn events(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn the_same_options_write_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("day.jsonl");
    let mut options = GOLDEN;
    options[19] = path.to_str().expect("a path of UTF-8");
    let output = generate(&options);
    assert_eq!(
        (output.status.code(), stdout(&output), stderr(&output)),
        (Some(0), String::new(), String::new())
    );
    let written = fs::read_to_string(&path).expect("it is written");
    assert_eq!(written, include_str!("goldens/day.jsonl"));
    assert_eq!(stdout(&generate(&GOLDEN)), written);
    assert_eq!(stdout(&generate(&GOLDEN[..18])), written);
}

#[test]
fn a_day_is_over_unless_somebody_says_when_it_begins() {
    let output = generate(&[
        "--organization",
        "o",
        "--tickets",
        "50",
        "--contract",
        "itsm",
    ]);
    let now = muster_domain::Timestamp::now().secs();
    for event in events(&output) {
        let ticket = &event["data"]["ticket"];
        assert_eq!(event["data"]["organization_id"], "o");
        assert!(
            (now - 86_400 - 60..=now).contains(&ticket["updated_at"].as_i64().expect("seconds")),
            "{event}"
        );
        assert_eq!(ticket.get("assigned_team_id"), Some(&Value::Null));
    }
    assert_eq!(stderr(&output), "");

    let output = generate(&[
        "--organization",
        "o",
        "--tickets",
        "5",
        "--start",
        "2999-01-01T00:00:00+01:00",
    ]);
    for event in events(&output) {
        let time = event["time"].as_str().expect("a text");
        assert!(
            ("2998-12-31T23:00:00Z".."2999-01-01T23:00:00Z").contains(&time),
            "{time}"
        );
    }
    assert!(
        stderr(&output).contains("2999-01-01T23:00:00Z")
            && stderr(&output).contains("ahead of the clock")
    );
}

#[test]
fn whoever_reads_a_day_may_stop() {
    let mut command = muster([
        "tickets",
        "generate",
        "--organization",
        "o",
        "--tickets",
        "5000",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(stderr(&child.wait_with_output().expect("it ended")), "");
}

#[test]
fn what_cannot_be_written_is_said() {
    let output = generate(&[
        "--organization",
        "o",
        "--output",
        "/no/such/folder/day.jsonl",
    ]);
    assert_fails(&output, &["/no/such/folder/day.jsonl"]);
}

#[test]
fn senseless_options_are_refused() {
    let generate = ["tickets", "generate", "--organization", "o"];
    for (option, value) in [
        ("--tickets", "-1"),
        ("--tickets", "many"),
        ("--seed", "x"),
        ("--start", "yesterday"),
        ("--start", "2026-13-01T00:00:00Z"),
        ("--teams", "usr_10000000-0000-4000-8000-000000000001"),
        ("--teams", ""),
        ("--users", "alice"),
        ("--contract", "both"),
        ("--duplicates", "101"),
        ("--shuffle", "86401"),
    ] {
        let output = run(muster([&generate[..], &[option, value]].concat()));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{option} {value}: {}",
            stderr(&output)
        );
    }
    for arguments in [
        vec!["tickets"],
        vec!["tickets", "generate"],
        vec!["tickets", "send"],
        vec!["tickets", "send", "x.jsonl", "--to", "tickets"],
        vec![
            "tickets",
            "send",
            "x.jsonl",
            "--to",
            "https://127.0.0.1:3000",
        ],
    ] {
        assert_eq!(
            run(muster(&arguments)).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn help_says_what_matters() {
    for (command, words) in [
        (
            vec!["tickets"],
            &["check", "send", "generate", "redrive"][..],
        ),
        (
            vec!["tickets", "check"],
            &[
                "FILE.jsonl",
                "standard input",
                "--queue",
                "users",
                "--json",
                "dead letter",
                "assigned_to",
                "exit code",
            ],
        ),
        (
            vec!["tickets", "send"],
            &[
                "FILE.jsonl",
                "standard input",
                "--to",
                "http://127.0.0.1:3000",
                "SQS",
                "by number",
                "exit code",
            ],
        ),
        (
            vec!["tickets", "generate"],
            &[
                "--seed",
                "--start",
                "24 hours ago",
                "--teams",
                "--users",
                "--contract",
                "--duplicates",
                "--shuffle",
                "UTC",
            ],
        ),
        (
            vec!["tickets", "redrive"],
            &[
                "--from",
                "--to",
                "--reason",
                "--limit",
                "--dry-run",
                "--json",
                "SQS",
                "muster dev",
                "of users or of jobs",
                "interrupted",
                "changes nothing",
                "5 minutes",
                "exit code",
            ],
        ),
    ] {
        let output = run(muster(command.iter().chain([&"--help"])));
        for word in words {
            assert!(
                stdout(&output).contains(word),
                "{command:?} --help does not say {word:?}:\n{}",
                stdout(&output)
            );
        }
    }
}

/// A queue that this test plays, on a port of its own.
struct Played {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Played {
    fn new<S: Clone + Send + Sync + 'static>(
        router: Router<S>,
        state: impl FnOnce(Taken) -> S,
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
        let taken = Taken::default();
        let router = router.with_state(state(taken.clone()));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            taken,
            _runtime: runtime,
        }
    }

    /// The local stack's queue, which takes this many calls and fails from then on.
    fn local_stack(calls: usize) -> Self {
        let router = Router::new()
            .route("/_dev/queues", get(|| async { "{}" }))
            .route("/_dev/queues/tickets", post(take_as_the_local_stack));
        Self::new(router, |taken| (taken, Arc::new(Mutex::new(calls))))
    }

    /// SQS, as far as it is called.
    fn sqs() -> Self {
        Self::new(Router::new().route("/", post(take_as_sqs)), |taken| taken)
    }

    fn taken(&self) -> Vec<String> {
        let mut taken = self.taken.lock().expect("no panic").clone();
        taken.sort_unstable();
        taken
    }
}

type Taken = Arc<Mutex<Vec<String>>>;

async fn take_as_the_local_stack(
    State((taken, calls)): State<(Taken, Arc<Mutex<usize>>)>,
    body: String,
) -> (StatusCode, String) {
    let mut calls = calls.lock().expect("no panic");
    let Some(left) = calls.checked_sub(1) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "out of order".to_owned());
    };
    *calls = left;
    let events: Vec<Box<serde_json::value::RawValue>> =
        serde_json::from_str(&body).expect("an array");
    taken
        .lock()
        .expect("no panic")
        .extend(events.iter().map(|event| event.get().to_owned()));
    (
        StatusCode::ACCEPTED,
        json!({ "accepted": events.len() }).to_string(),
    )
}

async fn take_as_sqs(
    State(taken): State<Taken>,
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
    let answer = match headers["x-amz-target"].to_str().expect("text") {
        // Whoever sends need not be one who may ask.
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
            taken.lock().expect("no panic").extend(bodies);
            let sent = entries.iter().map(
                |entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }),
            );
            json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] })
        }
        other => panic!("{other}"),
    };
    (StatusCode::OK, answer.to_string())
}

fn send(file: &str, to: &str) -> Output {
    run(muster(["tickets", "send", file, "--to", to]))
}

/// A file of lines, in a folder that goes with the first of the two.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("events.jsonl");
    fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path of UTF-8").to_owned();
    (folder, path)
}

fn check(arguments: &[&str]) -> Output {
    run(muster([&["tickets", "check"][..], arguments].concat()))
}

#[test]
fn check_reports_every_fault_with_its_line() {
    let good = r#"{"specversion":"1.0","id":"e-1","type":"ticket.created","data":{"organization_id":"o","ticket":{"id":1,"status":"Open","updated_at":"2026-03-02 09:00:00Z"}}}"#;
    let bad = good
        .replace("Open", "To Do")
        .replace("09:00:00Z", "09:00")
        .replace("}}}", r#","assigned_to":"ann"}}}"#);
    let (_folder, path) = file(&format!("{good}\n\n{bad}\nnot json\n"));
    let output = check(&[&path]);
    assert_eq!(output.status.code(), Some(1));
    let found = stdout(&output);
    let found: Vec<_> = found.lines().collect();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(
        found[0].starts_with(&format!("{path}:3: data.ticket.updated_at: must be a time")),
        "{found:?}"
    );
    assert!(
        found[1].starts_with(&format!("{path}:3: data.ticket.status: must be one of")),
        "{found:?}"
    );
    assert!(
        found[2].starts_with(&format!(
            "{path}:3: warning: data.ticket.assigned_to: is not read"
        )),
        "{found:?}"
    );
    assert!(
        found[3].starts_with(&format!("{path}:4: not JSON: ")),
        "{found:?}"
    );
    assert_eq!(
        found[4],
        "Checked 3 events: 2 with faults, 1 with warnings."
    );
    assert!(
        stderr(&output).starts_with("error: events with faults: 2"),
        "{}",
        stderr(&output)
    );

    let output = check(&["--json", &path]);
    assert_eq!(output.status.code(), Some(1));
    let found: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(
        found.iter().map(|found| &found["line"]).collect::<Vec<_>>(),
        [&json!(3), &json!(4)]
    );
    assert_eq!(
        (
            &found[0]["event"],
            found[0]["faults"].as_array().map(Vec::len)
        ),
        (&json!("e-1"), Some(2))
    );
    assert_eq!(found[1]["event"], Value::Null);
}

#[test]
fn check_of_standard_input_sends_nothing_and_succeeds() {
    let status = r#"{"specversion":"1.0","id":"e-1","type":"ticket.updated","time":"2026-03-02T09:00:00Z","data":{"organization_id":"o","ticket":{"id":"T-1","state":"open"}}}"#;
    let user = r#"{"specversion":"1.0","id":"e-2","type":"user.deactivated","time":"2026-03-02T09:00:00Z","data":{"organization_id":"o","user":{"id":"10000000-0000-4000-8000-000000000001"}}}"#;
    for (options, line, expected) in [
        (
            &[][..],
            status,
            "standard input:1: warning: data.ticket.state: is not read, the field is named status\n\
             standard input: warning: no event has data.ticket.status, and a ticket without a status counts as new\n\
             Checked 1 event: 0 with faults, 1 with warnings.\n",
        ),
        (
            &["--queue", "users"],
            user,
            "Checked 1 event: 0 with faults, 0 with warnings.\n",
        ),
    ] {
        let mut command = muster([&["tickets", "check", "-"][..], options].concat());
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().expect("it starts");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(line.as_bytes())
            .expect("it reads");
        assert_eq!(wait(&mut child).code(), Some(0));
        let output = child.wait_with_output().expect("it ended");
        assert_eq!(
            (stdout(&output), stderr(&output)),
            (expected.to_owned(), String::new())
        );
    }
    assert_eq!(check(&["/no/such/file.jsonl"]).status.code(), Some(1));
}

#[test]
fn generated_day_has_no_findings() {
    let (_folder, path) = file(&stdout(&generate(&[
        "--organization",
        "o",
        "--tickets",
        "300",
    ])));
    let output = check(&[&path]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&output).ends_with(" events: 0 with faults, 0 with warnings.\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(stdout(&check(&["--json", &path])), "");
}

#[test]
fn a_day_arrives_whole_and_as_it_was_written() {
    let (local, sqs) = (Played::local_stack(usize::MAX), Played::sqs());
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
            queue.taken() == expected,
            "{to}: {} of {} events",
            queue.taken().len(),
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
        // No bar where nobody sees one.
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn a_line_that_is_not_json_is_left_out_and_named() {
    let queue = Played::local_stack(usize::MAX);
    let long = format!("{:?}", "x".repeat(300_000));
    let (_folder, path) = file(&format!(
        "\u{feff}{{\"a\":1}}\r\n\n{{\"a\"\n  \t\n[1]\nnot json\n{long}\n\"last\""
    ));
    let output = send(&path, &queue.url);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        queue.taken(),
        ["\"last\"", "[1]", "{\"a\":1}"],
        "whatever is JSON is sent, and read by the function"
    );
    assert!(
        stdout(&output).starts_with("Sent 3 events "),
        "{}",
        stdout(&output)
    );
    let said = stderr(&output);
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said[0].starts_with(&format!("{path}:3: not JSON: ")) && !said[0].contains("line 1"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with(&format!("{path}:6: not JSON: ")),
        "{said:?}"
    );
    assert!(
        said[2].starts_with(&format!("{path}:7: longer than 256 KiB")),
        "{said:?}"
    );
    assert!(said[3].starts_with("error: lines left out: 3"), "{said:?}");

    let (_folder, nothing) = file("\n\n");
    let output = send(&nothing, &queue.url);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    assert!(stdout(&output).starts_with("Sent 0 events "));
}

#[test]
fn standard_input_is_sent_as_it_comes() {
    let queue = Played::local_stack(usize::MAX);
    let mut command = muster(["tickets", "send", "-", "--to", &queue.url]);
    let (mut child, mut said) = lines(command.stdin(Stdio::piped()).stderr(Stdio::null()));
    let mut stdin = child.stdin.take().expect("a pipe");
    for count in 1..=2 {
        stdin.write_all(b"{\"a\":1}\n").expect("it reads");
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        while queue.taken().len() < count {
            assert!(std::time::Instant::now() < deadline, "a line is held back");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    stdin.write_all(b"oops").expect("it reads");
    drop(stdin);
    assert!(
        said.next()
            .expect("a summary")
            .starts_with("Sent 2 events ")
    );
    assert_eq!(wait(&mut child).code(), Some(1));
}

#[test]
fn a_queue_that_is_not_there_is_said_to_be_missing() {
    let (_folder, path) = file("{}");
    // Nobody has listened on this port for decades, and no free one is taken from it.
    assert_fails(
        &send(&path, "http://127.0.0.1:1"),
        &["http://127.0.0.1:1", "nobody listens", "muster dev", "--to"],
    );
    assert_fails(
        &send(&path, "http://127.0.0.1:1/000000000000/tickets"),
        &["check that SQS answers"],
    );
    let other = Played::new(Router::<()>::new(), |_| ());
    assert_fails(
        &send(&path, &other.url),
        &[&other.url, "404", "no local stack", "muster dev"],
    );
    let sqs = Played::sqs();
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
        &send("/", &Played::local_stack(1).url),
        &["could not read /"],
    );
}

#[test]
fn credentials_are_asked_for_before_anything_is_sent() {
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
        stderr(&output).starts_with("error: configure AWS credentials"),
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
fn a_queue_that_fails_stops_everything() {
    let queue = Played::local_stack(2);
    let text: String = (1..=50_000)
        .flat_map(|number| [json!({ "line": number }).to_string(), "\n".to_owned()])
        .collect();
    let (_folder, path) = file(&text);
    let output = send(&path, &queue.url);
    let taken = queue.taken();
    assert!(!taken.is_empty() && taken.len() <= 200, "{}", taken.len());
    assert!(
        stdout(&output).starts_with(&format!("Sent {} events ", taken.len())),
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
            "send it again",
        ],
    );

    let numbers: HashSet<u64> = taken.iter().map(|event| number(event)).collect();
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

//! Outputs that cannot be written: a closed pipe and a full disk, for every command.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Command, Output, Stdio},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use crate::{
    jwks::jwk,
    support::{Dev, assert_fails, first_line, muster, run, stderr, stdout, wait},
};

/// Returns the write end of a pipe with a closed read end.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    drop(reader);
    writer.into()
}

/// A device without free space.
#[cfg(target_os = "linux")]
fn full_disk() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has a full device")
        .into()
}

/// Runs a command with this standard output, and returns its exit code and standard error.
fn run_to(mut command: Command, stdout: Stdio) -> Output {
    let mut child = command
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    wait(&mut child);
    child.wait_with_output().expect("it ended")
}

/// Returns every command that prints, except `keys create` and `dev`. Each succeeds also if it runs
/// again.
fn printing(dev: &Dev, folder: &Path) -> Vec<Command> {
    let file = |name: &str, content: String| {
        let path = folder.join(name);
        fs::write(&path, content).expect("a file can be written");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let user = json!({ "id": "10000000-0000-4000-8000-000000000001", "name": "Alex", "email": "alex@acme.example" });
    let users = file("users.jsonl", user.to_string());
    let events = file("events.jsonl", "{}".to_owned());
    let jwks = file("jwks.json", json!({ "keys": [jwk("a", 2048)] }).to_string());
    let (organization, url) = (dev.text("/organization_id"), dev.text("/url"));
    let key = &dev.text("/other_organization/keys/itsm/read_only");

    let on_table: &[&[&str]] = &[
        &["table", "create", "--table", "mine"],
        &["keys", "list", "--organization", organization],
        &["keys", "list", "--organization", organization, "--json"],
        &[
            "keys",
            "revoke",
            "--organization",
            "org_other",
            "--yes",
            key,
        ],
        &["jwks", "set", "--organization", organization, &jwks],
        &["jwks", "show", "--organization", organization],
        &["jwks", "show", "--organization", organization, "--json"],
        &["jwks", "remove", "--yes", "--organization", organization],
        &["users", "import", "--organization", organization, &users],
    ];
    let event = json!({
        "specversion": "1.0", "id": "e-1", "type": "ticket.created", "time": "2026-03-02T09:00:00Z",
        "data": { "organization_id": organization, "ticket": { "id": "T-1", "status": "new" } },
    });
    let good = file("good.jsonl", event.to_string());
    let others: &[&[&str]] = &[
        &["tickets", "check", &good],
        &["tickets", "send", &events, "--to", url],
        &[
            "tickets",
            "generate",
            "--organization",
            organization,
            "--tickets",
            "1",
        ],
        &[
            "tickets",
            "redrive",
            "--from",
            url,
            "--reason",
            "no letter has this reason",
        ],
        &["openapi", "itsm"],
        &["--version"],
        &["--help"],
        &["keys", "create", "--help"],
    ];
    let on_table = on_table
        .iter()
        .map(|arguments| [arguments, &["--endpoint-url", dev.dynamodb_url()][..]].concat());
    on_table
        .chain(others.iter().map(|arguments| arguments.to_vec()))
        .map(muster)
        .collect()
}

#[test]
fn closed_pipe_ends_every_command_quietly() {
    let (dev, folder) = (Dev::in_memory(), tempfile::tempdir().expect("a folder"));
    for command in printing(&dev, folder.path()) {
        let name = format!("{command:?}");
        let output = run_to(command, closed_pipe());
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{name}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_fails_every_command() {
    let (dev, folder) = (Dev::in_memory(), tempfile::tempdir().expect("a folder"));
    for command in printing(&dev, folder.path()) {
        eprintln!("{command:?}");
        assert_fails(
            &run_to(command, full_disk()),
            &["cannot write to standard output", "No space left"],
        );
    }
    let day = muster([
        "tickets",
        "generate",
        "--organization",
        "o",
        "--output",
        "/dev/full",
    ]);
    assert_fails(&run(day), &["cannot write to /dev/full", "No space left"]);
}

#[test]
fn closed_pipe_does_not_hide_a_failure() {
    let (dev, folder) = (Dev::in_memory(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("lines.jsonl");
    fs::write(&file, "no JSON").expect("a file can be written");
    let file = file.to_str().expect("a path in UTF-8");
    let import = [
        "users",
        "import",
        "--organization",
        "o",
        file,
        "--endpoint-url",
        dev.dynamodb_url(),
    ];
    for command in [
        &import[..],
        &["tickets", "send", file, "--to", dev.text("/url")],
    ] {
        let output = run_to(muster(command), closed_pipe());
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(
            stderr(&output).contains(":1: not "),
            "{command:?}: {}",
            stderr(&output)
        );
    }
    let output = run_to(muster(["tickets", "check", file]), closed_pipe());
    assert_fails(&output, &["events with faults: 1"]);
}

/// The arguments of `keys create` and of `keys list` for the same organization.
fn keys_of<'a>(endpoint: &'a str, organization: &'a str) -> [Vec<&'a str>; 2] {
    let target = ["--organization", organization, "--endpoint-url", endpoint];
    [
        &["keys", "create", "--kind", "itsm"][..],
        &["keys", "list", "--json"],
    ]
    .map(|verb| [verb, &target[..]].concat())
}

#[test]
fn key_that_cannot_be_printed_is_deleted() {
    let dev = Dev::in_memory();
    #[cfg(target_os = "linux")]
    let outputs = [closed_pipe as fn() -> Stdio, full_disk];
    #[cfg(not(target_os = "linux"))]
    let outputs = [closed_pipe as fn() -> Stdio];
    let [create, list] = keys_of(dev.dynamodb_url(), "org_unprinted");
    for output in outputs {
        for json in [None, Some("--json")] {
            let created = run_to(muster(create.iter().copied().chain(json)), output());
            assert_fails(
                &created,
                &["cannot write to standard output", "the key is deleted"],
            );
            let listed = run(muster(&list));
            assert_eq!(
                (listed.status.code(), stdout(&listed)),
                (Some(0), String::new())
            );
        }
    }
    // The same command with an output that accepts the secret creates one key.
    assert_eq!(run(muster(&create)).status.code(), Some(0));
    assert_eq!(stdout(&run(muster(&list))).lines().count(), 1);
}

/// Forwards calls to DynamoDB, but refuses to delete items.
async fn without_deletion(State(to): State<String>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().expect("text").to_owned();
    if target.ends_with(".DeleteItem") {
        let kind = "com.amazon.coral.service#AccessDeniedException";
        return (
            StatusCode::BAD_REQUEST,
            json!({ "__type": kind, "message": "not for you" }).to_string(),
        )
            .into_response();
    }
    let mut request = reqwest::Client::new().post(to).body(body);
    for (name, value) in &headers {
        if name != "host" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let response = request.send().await.expect("the engine responds");
    (response.status(), response.bytes().await.expect("a body")).into_response()
}

#[tokio::test]
async fn key_that_cannot_be_deleted_is_named() {
    let dev = Dev::in_memory();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new()
        .route("/", post(without_deletion))
        .with_state(dev.dynamodb_url().to_owned());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let created = tokio::task::spawn_blocking(move || {
        let [create, _] = keys_of(&url, "org_kept");
        run_to(muster(create), closed_pipe())
    });
    let created = created.await.expect("it does not panic");
    assert_fails(
        &created,
        &[
            "could not be deleted",
            "muster keys revoke --organization org_kept ",
            "not for you",
        ],
    );

    let [_, list] = keys_of(dev.dynamodb_url(), "org_kept");
    let listed = stdout(&run(muster(list)));
    let listed: Value = serde_json::from_str(&listed).expect("one key");
    assert!(
        stderr(&created).contains(listed["id"].as_str().expect("an id")),
        "{}",
        stderr(&created)
    );
}

#[test]
fn dev_with_an_unwritable_greeting_ends() {
    let dev = || muster(["dev", "--in-memory", "--empty", "--port", "0"]);
    let output = run_to(dev(), closed_pipe());
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    #[cfg(target_os = "linux")]
    assert_fails(
        &run_to(dev(), full_disk()),
        &["cannot write to standard output", "No space left"],
    );
}

#[tokio::test]
async fn dev_with_a_closed_standard_error_serves() {
    let mut command = muster(["dev", "--json", "--in-memory", "--empty", "--port", "0"]);
    // Every request is logged at this level.
    command.env("RUST_LOG", "trace").stderr(closed_pipe());
    let (child, line) = first_line(&mut command);
    let dev = Dev {
        child,
        description: serde_json::from_str(&line).expect("the first line is JSON"),
    };
    assert_eq!(
        dev.list(dev.text("/keys/itsm/admin")).await.0,
        StatusCode::OK
    );
}

#[test]
fn notes_to_a_closed_standard_error_are_dropped() {
    let dev = Dev::in_memory();
    let [create, _] = keys_of(dev.dynamodb_url(), "org_quiet");
    let mut command = muster(create);
    let created = command.stderr(closed_pipe()).output().expect("it runs");
    assert_eq!(
        (created.status.code(), stdout(&created).lines().count()),
        (Some(0), 1)
    );

    let mut command = muster([
        "keys",
        "revoke",
        "--yes",
        "--organization",
        "o",
        "0",
        "--endpoint-url",
        dev.dynamodb_url(),
    ]);
    let failed = command.stderr(closed_pipe()).output().expect("it runs");
    assert_eq!(failed.status.code(), Some(1));
}

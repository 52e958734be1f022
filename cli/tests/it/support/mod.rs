//! Shared code: running the program, and calling its local stack.

mod commands;
pub mod local_stack;

pub use commands::{at, file, json_lines, on, succeeds};

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Output, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::Value;

/// Longer than any command takes, retries of an unreachable table included.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Returns the path of a new runtime directory. It has no file of a running stack, so that a
/// command finds neither the stack of another test nor one of the developer.
pub fn runtime_folder() -> PathBuf {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "runtime-{}-{}",
        process::id(),
        FOLDERS.fetch_add(1, Ordering::Relaxed)
    );
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Returns the program, without variables of the environment that select a table or a local stack.
pub fn muster<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "TABLE_NAME",
        "RUST_LOG",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "MUSTER_URL",
        "VISUAL",
        "EDITOR",
    ] {
        command.env_remove(name);
    }
    command.env("MUSTER_RUNTIME_DIR", runtime_folder());
    command
}

/// Runs a command to its end.
pub fn run(command: Command) -> Output {
    run_within(command, PATIENCE)
}

/// Runs a command to its end, within a time.
pub fn run_within(mut command: Command, patience: Duration) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes)
                .expect("the output can be read");
            bytes
        })
    };
    let stdout = read(Box::new(child.stdout.take().expect("it is piped")));
    let stderr = read(Box::new(child.stderr.take().expect("it is piped")));
    let status = wait_within(&mut child, patience);
    let text = |thread: thread::JoinHandle<Vec<u8>>| thread.join().expect("reading does not panic");
    Output {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// Waits for a child to end. A child that does not end is killed, and the test fails.
pub fn wait(child: &mut Child) -> ExitStatus {
    wait_within(child, PATIENCE)
}

fn wait_within(child: &mut Child, patience: Duration) -> ExitStatus {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if Instant::now() >= deadline {
            child.kill().expect("a child can be killed");
            panic!("the program did not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Tells whether there is a curl for documented commands. The gate requires one.
pub fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "install curl");
    if !found {
        eprintln!("left out: there is no curl on this machine");
    }
    found
}

/// Returns the standard output of a command.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the program writes UTF-8")
}

/// Returns the standard error of a command.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the program writes UTF-8")
}

/// Asserts that a command failed with one clear line that has all of these words.
#[track_caller]
pub fn assert_fails(output: &Output, words: &[&str]) {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("error: "), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(
        !error.contains("panicked") && !error.contains("RUST_BACKTRACE"),
        "{error}"
    );
}

/// A running `muster dev --json`. It is killed when it is dropped.
pub struct Dev {
    pub child: Child,
    /// Its output.
    pub description: Value,
}

impl Dev {
    /// Starts a stack without the demo data on free ports with more arguments, and waits until it
    /// is ready.
    pub fn start<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Self {
        let empty = [OsString::from("--empty")].into_iter();
        Self::with_demo(empty.chain(arguments.into_iter().map(|it| it.as_ref().to_owned())))
    }

    /// Starts a stack like [`start`](Self::start), but with the demo data.
    pub fn with_demo<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Self {
        let mut command = muster(["dev", "--json", "--port", "0"]);
        let (child, line) = first_line(command.args(arguments));
        let description = serde_json::from_str(&line).expect("the first line is JSON");
        Self { child, description }
    }

    pub fn in_memory() -> Self {
        Self::start(["--in-memory"])
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.description
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} is a text"))
    }

    pub fn dynamodb_url(&self) -> &str {
        self.text("/dynamodb_url")
    }

    /// Lists the teams with a token.
    pub async fn list(&self, token: &str) -> (StatusCode, Value) {
        let request = Client::new()
            .get(format!("{}/v1/teams", self.text("/url")))
            .bearer_auth(token);
        response(request).await
    }

    /// Sends a POST request.
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Client::new()
            .post(format!("{}{path}", self.text("/url")))
            .bearer_auth(token);
        response(request.json(body)).await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn response(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("the stack responds");
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

/// Starts a command and waits for its first line.
pub fn first_line(command: &mut Command) -> (Child, String) {
    let (child, mut lines) = lines(command);
    let line = lines.next().expect("a line");
    (child, line)
}

/// Starts a command and returns its lines as they arrive, each within bounded time.
pub fn lines(command: &mut Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines() {
            if sender
                .send(line.expect("the program writes UTF-8"))
                .is_err()
            {
                return;
            }
        }
    });
    (
        child,
        std::iter::from_fn(move || receiver.recv_timeout(PATIENCE).ok()),
    )
}

//! A function as a process, as on Lambda: it polls the runtime API for events, and its output is
//! its log.

use std::{
    collections::VecDeque,
    env,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lambda_http::{Request, service_fn};
use muster_domain::Timestamp;
use muster_service::{
    http, lambda,
    telemetry::{self, Telemetry},
};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    process::{Child, Command},
    sync::Notify,
};

use crate::support::{
    Stack,
    log_capture::{XrayDaemon, lines},
    unknown_key,
};

/// The request id, the trace header and the event of an invocation.
type RuntimeEvent = (&'static str, String, String);

/// The secret access key of the function.
const SECRET: &str = "never-to-be-logged";

/// A fake of the Lambda runtime API.
#[derive(Default)]
struct Api {
    events: Mutex<VecDeque<RuntimeEvent>>,
    /// The request id, kind (`response` or `error`) and body of each result.
    responses: Mutex<Vec<(String, String, Value)>>,
    /// Notified when no event is left.
    is_done: Notify,
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let event = api
        .events
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    let Some((id, trace, event)) = event else {
        api.is_done.notify_one();
        return std::future::pending().await;
    };
    let deadline = Timestamp::now()
        .plus(Duration::from_secs(10))
        .millis()
        .to_string();
    let headers = [
        ("lambda-runtime-aws-request-id", id.to_owned()),
        ("lambda-runtime-deadline-ms", deadline),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:teams".to_owned(),
        ),
        ("lambda-runtime-trace-id", trace),
    ];
    (headers, event).into_response()
}

async fn answered(
    State(api): State<Arc<Api>>,
    Path((id, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    api.responses
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((id, kind, body));
    StatusCode::ACCEPTED
}

fn event(token: &str, path: &str) -> String {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "authorization": format!("Bearer {token}"), "host": "api.example" },
        "requestContext": {
            "http": { "method": "GET", "path": path, "sourceIp": "127.0.0.1" },
            "requestId": "gateway",
            "stage": "$default",
        },
        "isBase64Encoded": false,
    })
    .to_string()
}

/// The standard output, the standard error and the results of a process.
struct Ran {
    output: String,
    errors: String,
    responses: Vec<(String, String, Value)>,
}

/// Starts this test binary as the function, with this runtime API and these variables.
fn start_function(stack: &Stack, address: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(env::current_exe().expect("the path of the test binary"))
        .args([
            "--exact",
            "telemetry::process::process_output_is_json_lines_per_invocation",
        ])
        .args(["--nocapture", "--test-threads=2"])
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address),
            ("AWS_LAMBDA_FUNCTION_NAME", "teams"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL_DYNAMODB", &stack.dynamodb_url),
            ("TABLE_NAME", &stack.table),
            ("STACK_NAME", "helpdesk"),
        ])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the test binary starts")
}

/// Runs the function with these events and environment variables in a child process, which is this
/// test binary.
async fn run(
    stack: &Stack,
    events: impl IntoIterator<Item = RuntimeEvent>,
    variables: &[(&str, &str)],
) -> Ran {
    let api = Arc::new(Api::default());
    api.events
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(events);
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("some port is free");
    let address = listener
        .local_addr()
        .expect("the socket is bound")
        .to_string();
    let app = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answered))
        .with_state(Arc::clone(&api));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let mut function = start_function(stack, &address, variables);
    // The output is read concurrently, because a full pipe would block the function.
    let (mut stdout, mut stderr) = (
        function.stdout.take().expect("piped"),
        function.stderr.take().expect("piped"),
    );
    let reading = tokio::spawn(async move {
        let (mut output, mut errors) = (String::new(), String::new());
        let read = tokio::join!(
            stdout.read_to_string(&mut output),
            stderr.read_to_string(&mut errors)
        );
        assert!(
            matches!(read, (Ok(_), Ok(_))),
            "the output is not text: {read:?}"
        );
        (output, errors)
    });
    tokio::time::timeout(Duration::from_mins(1), api.is_done.notified())
        .await
        .expect("all events have a result");
    function.kill().await.expect("the function was running");
    serving.abort();
    let (output, errors) = reading.await.expect("the reader does not panic");
    let responses =
        std::mem::take(&mut *api.responses.lock().unwrap_or_else(PoisonError::into_inner));
    Ran {
        output,
        errors,
        responses,
    }
}

/// Returns the trace id of the invocation `n`.
fn trace_id(n: usize) -> String {
    format!("1-5759e988-{n:024x}")
}

/// Returns the trace header of the invocation `n`.
fn trace_header(n: usize, sampled: u8) -> String {
    format!(
        "Root={};Parent=53995c3f42cd8ad8;Sampled={sampled}",
        trace_id(n)
    )
}

/// Returns the events of an invocation of each kind.
fn events_of_each_kind(token: &str, stray: &str) -> [RuntimeEvent; 6] {
    [
        ("good", trace_header(1, 0), event(token, "/v1/teams")),
        ("sampled", trace_header(2, 1), event(token, "/v1/teams")),
        ("stray", trace_header(3, 0), event(stray, "/v1/teams")),
        ("panics", trace_header(4, 0), event(token, "/panic")),
        (
            "strange",
            trace_header(5, 0),
            json!({ "token": token }).to_string(),
        ),
        ("again", trace_header(6, 0), event(token, "/v1/teams")),
    ]
}

/// Asserts that each invocation with a response has one metric line.
fn assert_metrics(metrics: &[Value], output: &str) {
    let logged: Vec<_> = metrics
        .iter()
        .map(|line| (line["requestId"].as_str(), line["status"].as_u64()))
        .collect();
    let expected = [
        ("good", Some(200)),
        ("sampled", Some(200)),
        ("stray", Some(401)),
        ("again", Some(200)),
    ];
    assert_eq!(
        logged,
        expected.map(|(id, status)| (Some(id), status)),
        "{output}"
    );
    let cold: Vec<_> = metrics
        .iter()
        .map(|line| line.get("ColdStart").is_some())
        .collect();
    assert_eq!(cold, [true, false, false, false]);
    assert!(
        metrics
            .iter()
            .all(|line| line["Stack"] == "helpdesk" && line["Function"] == "teams"),
        "{output}"
    );
}

/// Asserts that each failed invocation has one log line with its request id and trace id.
fn assert_log(log: &[Value], output: &str) {
    let logged: Vec<_> = log
        .iter()
        .map(|line| (line["requestId"].as_str(), line["traceId"].as_str()))
        .collect();
    let (fourth, fifth) = (trace_id(4), trace_id(5));
    assert_eq!(
        logged,
        [
            (Some("panics"), Some(&*fourth)),
            (Some("strange"), Some(&*fifth))
        ],
        "{output}"
    );
    assert_eq!(log[0]["message"], "panicked");
    assert!(
        log[0]["location"]
            .as_str()
            .is_some_and(|location| location.contains("process.rs")),
        "{output}"
    );
}

/// Asserts the kinds of the results.
fn assert_results(responses: &[(String, String, Value)]) {
    let kinds: Vec<_> = responses
        .iter()
        .map(|(id, kind, _)| (id.as_str(), kind.as_str()))
        .collect();
    let ok = ["good", "sampled", "stray"].map(|id| (id, "response"));
    assert_eq!(
        kinds,
        [
            &ok[..],
            &[
                ("panics", "error"),
                ("strange", "error"),
                ("again", "response")
            ]
        ]
        .concat()
    );
}

/// This test starts its own binary as the function.
#[tokio::test]
async fn process_output_is_json_lines_per_invocation() {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return be_a_function().await;
    }
    let stack = Stack::shared();
    let org = stack.organization().await;
    let (token, stray) = (
        org.itsm.token(),
        unknown_key(muster_domain::KeyKind::TtLive),
    );
    let events = events_of_each_kind(token, &stray);
    let xray = XrayDaemon::listen();
    let Ran {
        output,
        errors,
        responses,
    } = run(
        &stack,
        events,
        &[("AWS_XRAY_DAEMON_ADDRESS", &xray.address())],
    )
    .await;

    for secret in [token, &stray, SECRET] {
        assert!(
            !output.contains(secret) && !errors.contains(secret),
            "{output}{errors}"
        );
    }
    assert_eq!(errors, "");
    // Lines of the test harness are ignored.
    let output: String = output
        .split_inclusive('\n')
        .filter(|line| line.starts_with('{'))
        .collect();
    let (log, metrics) = lines(&output);
    assert_metrics(&metrics, &output);
    assert_log(&log, &output);
    assert_results(&responses);

    let call = xray.next();
    assert_eq!(call["trace_id"], trace_id(2));
    assert_eq!(
        (&call["name"], &call["aws"]["table_name"]),
        (&json!("DynamoDB"), &json!(stack.table))
    );
}

/// Only a process runs the Lambda runtime and the SDK, which log the most.
#[tokio::test]
async fn log_level_of_lambda_never_writes_a_credential() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let stray = unknown_key(muster_domain::KeyKind::TtLive);
    for level in ["TRACE", "DEBUG"] {
        let events = [
            ("good", String::new(), event(org.itsm.token(), "/v1/teams")),
            ("stray", String::new(), event(&stray, "/v1/teams")),
            (
                "strange",
                String::new(),
                json!({ "token": stray }).to_string(),
            ),
        ];
        let Ran {
            output,
            errors,
            responses,
        } = run(&stack, events, &[("AWS_LAMBDA_LOG_LEVEL", level)]).await;
        assert_eq!(responses.len(), 3);
        for logged in ["called", "lambda_runtime", "aws_smithy_runtime"] {
            assert!(
                output.contains(logged),
                "the log at {level} has no {logged}: {output}"
            );
        }
        for secret in [org.itsm.token(), &stray, SECRET, "Signature="] {
            assert!(
                !output.contains(secret) && !errors.contains(secret),
                "the log at {level} contains {secret}"
            );
        }
    }
}

/// Removes the lines that Lambda removes at the log level `level`.
///
/// AWS, "Log-level filtering": a line without a level, or without an RFC 3339 timestamp, counts as
/// INFO. <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>
fn filtered(output: &str, level: &str) -> String {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let severity = |level: &str| LEVELS.iter().position(|known| *known == level);
    let passes = |line: &&str| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let is_dated = line["timestamp"]
            .as_str()
            .is_some_and(|at| at.contains('T') && at.ends_with('Z'));
        let own = line["level"]
            .as_str()
            .filter(|_| is_dated)
            .and_then(severity);
        own.or(severity("INFO")) >= severity(level)
    };
    output
        .split_inclusive('\n')
        .filter(|line| line.starts_with('{'))
        .filter(passes)
        .collect()
}

#[tokio::test]
async fn metrics_pass_the_filter_of_every_log_level() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let stray = unknown_key(muster_domain::KeyKind::TtLive);
    for level in ["INFO", "WARN", "ERROR", "FATAL"] {
        let events = [("good", org.itsm.token()), ("stray", &stray)]
            .map(|(id, token)| (id, String::new(), event(token, "/v1/teams")));
        let Ran { output, .. } = run(&stack, events, &[("AWS_LAMBDA_LOG_LEVEL", level)]).await;
        let (_, metrics) = lines(&filtered(&output, level));
        let logged: Vec<_> = metrics.iter().map(|line| line["status"].as_u64()).collect();
        assert_eq!(logged, [Some(200), Some(401)], "{level}: {output}");
        assert!(
            metrics.iter().all(|line| line["Version"] == "$LATEST"),
            "{output}"
        );
    }
}

/// Runs the teams function, which panics on `/panic` while it records metrics, with the request in
/// its message.
async fn be_a_function() {
    let telemetry = Telemetry::start("teams");
    let deps = http::init().await.expect("the environment is complete");
    let handle = async |request: Request| {
        telemetry::record(|_| assert!(request.uri().path() != "/panic", "{:?}", request.headers()));
        muster_teams::handle(request, &deps).await
    };
    lambda::run(telemetry, service_fn(handle))
        .await
        .expect("the runtime API responds");
}

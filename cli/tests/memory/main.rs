//! The memory that the function needs for a list of 20,000 teams. The test has its own program,
//! because it counts all allocations. The engine runs in another process.

#[path = "../../../tests/it/support/raw_table.rs"]
mod raw_table;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lambda_http::{Body, Context, RequestExt};
use muster_cli::emulator;
use muster_domain::Timestamp;
use muster_service::{http::Deps, store::Table};
use peak_alloc::PeakAlloc;
use raw_table::RawTable;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATIONS: PeakAlloc = PeakAlloc;

const TEAMS: usize = 20_000;
const MAX_BYTES: usize = 40 * 1024 * 1024;

/// A running `muster dev`. It is killed when it is dropped.
struct Dev(Child, Value);

impl Dev {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command
            .args(["dev", "--in-memory", "--empty", "--json", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the program writes a line");
        Self(
            child,
            serde_json::from_str(&line).expect("the line is JSON"),
        )
    }

    fn text(&self, pointer: &str) -> &str {
        self.1
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} is a text"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Calls the teams function in this process, and returns the status and the body.
async fn call(
    deps: &Deps,
    token: &str,
    method: &str,
    query: &str,
    body: Option<&Value>,
) -> (u16, String) {
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/teams",
        "rawQueryString": query,
        "headers": { "authorization": format!("Bearer {token}"), "host": "api.example" },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "api.example",
            "domainPrefix": "api",
            "http": { "method": method, "path": "/v1/teams", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "tests" },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "05/Jan/2025:08:00:00 +0000",
            "timeEpoch": 1_736_064_000_000_i64,
        },
        "body": body.map(Value::to_string),
        "isBase64Encoded": false,
    });
    let mut context = Context::default();
    context.deadline = u64::try_from(Timestamp::now().plus(Duration::from_secs(30)).millis())
        .expect("a time of today");
    let request = muster_service::lambda::request(&event.to_string())
        .expect("an event")
        .with_lambda_context(context);
    let Ok(response) = muster_teams::handle(request, deps).await;
    let (parts, body) = response.into_parts();
    let Body::Text(text) = body else {
        panic!("not a text: {body:?}")
    };
    (parts.status.as_u16(), text)
}

#[tokio::test]
async fn page_of_20_000_teams_takes_below_40_mb() {
    let dev = Dev::start();
    let (url, table, org) = (
        dev.text("/dynamodb_url"),
        dev.text("/table"),
        dev.text("/organization_id"),
    );
    let token = dev.text("/keys/itsm/admin").to_owned();
    let deps = Deps::new(Table::new(emulator::client(url), table));
    let (status, created) =
        call(&deps, &token, "POST", "", Some(&json!({ "name": "First" }))).await;
    assert_eq!(status, 201, "{created}");
    let created: Value = serde_json::from_str(&created).expect("a body is JSON");
    let first = created["data"]["id"]
        .as_str()
        .and_then(|id| id.strip_prefix("team_"))
        .expect("an id");
    let raw = RawTable {
        client: emulator::client(url),
        table: table.to_owned(),
    };
    raw.put_teams(
        org,
        first,
        (1..TEAMS).map(|n| format!("Team {:05} of 20,000", n * 7_919 % TEAMS)),
    )
    .await;
    drop(raw);

    for query in [
        "search=777",
        "sortBy=name&page=500",
        "page=500",
        "sortBy=updatedAt",
    ] {
        let before = ALLOCATIONS.current_usage();
        ALLOCATIONS.reset_peak_usage();
        let (status, page) = call(&deps, &token, "GET", &format!("limit=20&{query}"), None).await;
        let allocated = ALLOCATIONS.peak_usage() - before;
        assert_eq!(
            (status, page.matches("\"queue_strategy\"").count()),
            (200, 20),
            "{query}: {page}"
        );
        assert!(allocated > 1024, "nothing is counted");
        assert!(allocated <= MAX_BYTES, "{query}: {allocated} bytes");
    }
}

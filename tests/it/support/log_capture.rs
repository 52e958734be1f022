//! Captures the log, the metrics and the X-Ray segments of functions.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use lambda_http::{
    Context,
    tracing::subscriber::{EnvFilter, fmt, util::SubscriberInitExt as _},
};
use muster_service::telemetry::{Daemon, Deployment, JsonLines, Telemetry};
use serde_json::Value;
use tracing::{Dispatch, dispatcher::DefaultGuard, subscriber::NoSubscriber};
use uuid::Uuid;

/// The trace id of every invocation.
pub const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
/// The segment id of the function.
pub const PARENT: &str = "53995c3f42cd8ad8";

/// A second dispatcher beside that of a capture.
///
/// With one dispatcher, tracing asks that of the current thread alone whether a new event is of
/// interest, and stores the result for all threads. A backend thread without a subscriber could so
/// disable an event for the capture.
static SECOND_DISPATCHER: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// The captured output, in order.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl Written {
    fn push(&self, text: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Captures the output of an instance of a function, on the thread of the test.
pub struct LogCapture {
    written: Written,
    telemetry: Arc<Telemetry>,
    _guard: DefaultGuard,
}

impl LogCapture {
    /// Starts to capture a function of the stack `test`, from this level on.
    pub fn to(function: &'static str, level: &str, daemon: Option<Daemon>) -> Self {
        let written = Written::default();
        let (lines, metrics) = (written.clone(), written.clone());
        LazyLock::force(&SECOND_DISPATCHER);
        let guard = fmt()
            .event_format(JsonLines)
            .with_env_filter(EnvFilter::new(level))
            .with_writer(move || lines.clone())
            .set_default();
        let write_metrics = move |line: &str| metrics.push(&format!("{line}\n"));
        let deployment = Deployment {
            stack: "test".to_owned(),
            version: "7".to_owned(),
            level: "INFO",
        };
        let telemetry = Telemetry::new(function, Some(deployment), daemon, write_metrics);
        Self {
            written,
            telemetry,
            _guard: guard,
        }
    }

    /// Runs a future as an invocation, which is traced or not. Returns its request id and its
    /// result.
    pub async fn invoke<F: Future>(&self, is_sampled: bool, run: F) -> (String, F::Output) {
        let mut context = Context::default();
        context.request_id = Uuid::new_v4().to_string();
        context.xray_trace_id = Some(format!(
            "Root={ROOT};Parent={PARENT};Sampled={}",
            u8::from(is_sampled)
        ));
        (
            context.request_id.clone(),
            self.telemetry.invocation(&context).observe(run).await,
        )
    }

    /// Takes the output since the last call.
    pub fn text(&self) -> String {
        std::mem::take(
            &mut *self
                .written
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Takes the output as the lines of the log and the lines of metrics.
    pub fn lines(&self) -> (Vec<Value>, Vec<Value>) {
        lines(&self.text())
    }
}

/// Splits the output into the lines of the log and of metrics, and asserts the format of each.
pub fn lines(text: &str) -> (Vec<Value>, Vec<Value>) {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    let (metrics, log): (Vec<Value>, Vec<Value>) =
        lines.partition(|line: &Value| line.get("_aws").is_some());
    for line in &log {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{field} of {line}");
        }
    }
    metrics.iter().for_each(assert_embedded);
    (log, metrics)
}

/// Asserts that a line complies with the CloudWatch embedded metric format.
fn assert_embedded(line: &Value) {
    assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    let members: BTreeSet<&String> = line.as_object().expect("an object").keys().collect();
    let directives = line["_aws"]["CloudWatchMetrics"]
        .as_array()
        .expect("a list");
    assert!(!directives.is_empty(), "{line}");
    let mut names = BTreeSet::new();
    for directive in directives {
        let namespace = directive["Namespace"].as_str().expect("a text");
        assert!((1..=1024).contains(&namespace.len()), "{line}");
        let sets = directive["Dimensions"].as_array().expect("a list");
        assert!(!sets.is_empty(), "{line}");
        for set in sets {
            let set = set.as_array().expect("a list");
            assert!(set.len() <= 30, "{line}");
            for dimension in set {
                let value = line[dimension.as_str().expect("a name")]
                    .as_str()
                    .expect("a dimension's value is a text");
                assert!(
                    (1..=1024).contains(&value.len()) && value.is_ascii(),
                    "{dimension} of {line}"
                );
            }
        }
        let metrics = directive["Metrics"].as_array().expect("a list");
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            let name = metric["Name"].as_str().expect("a name");
            assert!(
                members.contains(&name.to_owned()) && line[name].is_number(),
                "{name} of {line}"
            );
            assert!(
                ["Count", "Milliseconds"].contains(&metric["Unit"].as_str().expect("a unit")),
                "{line}"
            );
            assert!(names.insert(name), "{name} is counted twice: {line}");
        }
    }
    assert!(line.to_string().len() < 256 * 1024, "{line}");
}

/// A fake of the X-Ray daemon.
pub struct XrayDaemon(UdpSocket);

impl XrayDaemon {
    pub fn listen() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time");
        Self(socket)
    }

    pub fn address(&self) -> String {
        self.0
            .local_addr()
            .expect("the socket is bound")
            .to_string()
    }

    /// Receives the next subsegment.
    pub fn next(&self) -> Value {
        let mut datagram = [0; 8 * 1024];
        let length = self.0.recv(&mut datagram).expect("a datagram arrives");
        let text = std::str::from_utf8(&datagram[..length]).expect("the datagram is text");
        let (header, document) = text.split_once('\n').expect("a header and a document");
        assert_eq!(header, r#"{"format": "json", "version": 1}"#);
        serde_json::from_str(document).expect("the document is JSON")
    }

    /// Returns `true` if no datagram is left. Local datagrams arrive immediately.
    pub fn is_silent(&self) -> bool {
        self.0.set_nonblocking(true).expect("a socket can");
        let silent = self.0.recv(&mut [0]).is_err();
        self.0.set_nonblocking(false).expect("a socket can");
        silent
    }
}

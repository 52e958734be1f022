//! Scripted faults of DynamoDB, injected between the SDK client and the engine.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        HttpClient, RuntimeComponents, SharedHttpClient,
        http::{HttpRequest, HttpResponse},
    },
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        result::ConnectorError,
    },
    http::StatusCode,
};
use futures_util::future::BoxFuture;
use muster_service::telemetry::Calls;
use serde_json::{Value, json};

use super::{Stack, invoke};

/// The message of every scripted error. It must not reach a client.
pub const INTERNALS: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/muster";

/// Code that runs before a call.
pub type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A fault of a call.
#[derive(Clone)]
pub enum InjectedFault {
    /// Responds with this status and exception without making the call.
    Respond(u16, &'static str),
    /// Cancels a transaction with this reason for its first item.
    Canceled(&'static str),
    /// Closes the connection before the call is made.
    ConnectionClosed,
    /// Refuses the connection.
    ConnectionRefused,
    /// Neither makes the call nor responds.
    NoResponse,
    /// Makes the call, and replaces the response by a 500.
    ResponseReplaced,
    /// Makes the call, and closes the connection before the response.
    ResponseDropped,
    /// Makes the call, and sends only a part of the response.
    ResponseTruncated,
    /// Returns every key of a batch as unprocessed.
    Unprocessed,
    /// Returns no items for a query, as an index that lags behind the table.
    StaleIndex,
    /// Runs other code before the call.
    RunFirst(Hook),
}

impl fmt::Debug for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(status, exception) => write!(f, "{status} {exception}"),
            Self::Canceled(reason) => write!(f, "canceled: {reason}"),
            Self::ConnectionClosed => f.write_str("dropped"),
            Self::ConnectionRefused => f.write_str("refused"),
            Self::NoResponse => f.write_str("silence"),
            Self::ResponseReplaced => f.write_str("response replaced by an error"),
            Self::ResponseDropped => f.write_str("response dropped"),
            Self::ResponseTruncated => f.write_str("response truncated"),
            Self::Unprocessed => f.write_str("keys unprocessed"),
            Self::StaleIndex => f.write_str("lagging"),
            Self::RunFirst(_) => f.write_str("after other code"),
        }
    }
}

/// A fault and the calls that it applies to.
#[derive(Debug)]
struct FaultRule {
    operations: &'static [&'static str],
    /// The number of matching calls before the first fault.
    skipped: usize,
    /// The number of calls that fail.
    times: usize,
    fault: InjectedFault,
}

#[derive(Debug, Default)]
struct ScriptState {
    rules: Vec<FaultRule>,
    /// The operations that were called, with or without a fault.
    calls: Vec<String>,
}

/// The faults of one client.
#[derive(Debug, Clone, Default)]
pub struct FaultScript(Arc<Mutex<ScriptState>>);

/// The operations that write.
pub const WRITES: &[&str] = &["TransactWriteItems", "UpdateItem"];
/// The report of a key's requests: an `UpdateItem` of the item that counts them.
pub const COUNTING: &[&str] = &["UpdateItem of a count"];

/// The writes of the mark of the stock of unrouted tickets.
pub const STOCK_MARKS: &[&str] = &["UpdateItem of the stock"];
/// The operations that read.
pub const READS: &[&str] = &["BatchGetItem", "GetItem", "Query"];
/// Queries of the list of unrouted tickets. Each is also a `Query`.
pub const UNROUTED: &[&str] = &["Query of unrouted tickets"];

impl FaultScript {
    fn state<T>(&self, of: impl FnOnce(&mut ScriptState) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies a fault to the next matching call.
    pub fn once(&self, operations: &'static [&'static str], fault: InjectedFault) {
        self.nth(operations, 0, fault);
    }

    /// Applies a fault to one matching call, after `skipped` calls without one.
    pub fn nth(&self, operations: &'static [&'static str], skipped: usize, fault: InjectedFault) {
        self.state(|state| {
            state.rules.push(FaultRule {
                operations,
                skipped,
                times: 1,
                fault,
            });
        });
    }

    /// Applies a fault to every matching call.
    pub fn always(&self, operations: &'static [&'static str], fault: InjectedFault) {
        self.state(|state| {
            state.rules.push(FaultRule {
                operations,
                skipped: 0,
                times: usize::MAX,
                fault,
            });
        });
    }

    /// Returns true if every single fault was applied.
    pub fn is_consumed(&self) -> bool {
        self.state(|state| {
            state
                .rules
                .iter()
                .all(|rule| rule.times == 0 || rule.times == usize::MAX)
        })
    }

    /// Returns the number of calls of these operations.
    pub fn calls(&self, operations: &[&str]) -> usize {
        self.state(|state| {
            state
                .calls
                .iter()
                .filter(|call| operations.contains(&&***call))
                .count()
        })
    }

    /// Returns a client with these faults.
    pub fn client(&self, stack: &Stack) -> Client {
        let http = FaultHttpClient {
            script: self.clone(),
            real: invoke::http(),
        };
        let calls = Calls::to_table(stack.table.as_str());
        Client::from_conf(
            invoke::client_config(stack)
                .http_client(http)
                .interceptor(calls)
                .build(),
        )
    }

    /// Records a call and returns its fault.
    fn next(&self, operations: &[String]) -> Option<InjectedFault> {
        self.state(|state| {
            state.calls.extend(operations.iter().cloned());
            let is_about = |rule: &&mut FaultRule| {
                operations
                    .iter()
                    .any(|operation| rule.operations.contains(&&**operation))
            };
            for rule in state.rules.iter_mut().filter(is_about) {
                if rule.skipped > 0 {
                    rule.skipped -= 1;
                } else if rule.times > 0 {
                    rule.times -= usize::from(rule.times != usize::MAX);
                    return Some(rule.fault.clone());
                }
            }
            None
        })
    }
}

/// The HTTP client of the SDK, with the script in between.
#[derive(Debug)]
struct FaultHttpClient {
    script: FaultScript,
    real: SharedHttpClient,
}

impl HttpClient for FaultHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let real = self.real.http_connector(settings, components);
        SharedHttpConnector::new(FaultConnector {
            script: self.script.clone(),
            real,
        })
    }
}

#[derive(Debug)]
struct FaultConnector {
    script: FaultScript,
    real: SharedHttpConnector,
}

impl HttpConnector for FaultConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (fault, real) = (self.script.next(&operations(&request)), self.real.clone());
        HttpConnectorFuture::new(async move {
            let Some(fault) = fault else {
                return real.call(request).await;
            };
            let copy = || request.try_clone().expect("the body is in memory");
            match fault {
                InjectedFault::Respond(status, exception) => {
                    Ok(response(status, &error_body(exception)))
                }
                InjectedFault::Canceled(reason) => {
                    let body = request.body().bytes().unwrap_or_default();
                    let body: Value = serde_json::from_slice(body).expect("the SDK writes JSON");
                    let items = body["TransactItems"]
                        .as_array()
                        .expect("only transactions are canceled")
                        .len();
                    let mut canceled = error_body("TransactionCanceledException");
                    canceled["CancellationReasons"] = (0..items)
                        .map(|n| json!({ "Code": if n == 0 { reason } else { "None" } }))
                        .collect();
                    Ok(response(400, &canceled))
                }
                InjectedFault::ConnectionClosed => send_to(&real, request, &CLOSING_SERVER).await,
                // Port 1 is tcpmux, which no current system serves.
                InjectedFault::ConnectionRefused => {
                    send_to(&real, request, "http://127.0.0.1:1").await
                }
                InjectedFault::NoResponse => std::future::pending().await,
                InjectedFault::ResponseReplaced => {
                    real.call(copy()).await?;
                    Ok(response(500, &error_body("InternalServerError")))
                }
                InjectedFault::ResponseDropped => {
                    real.call(copy()).await?;
                    send_to(&real, request, &CLOSING_SERVER).await
                }
                InjectedFault::ResponseTruncated => {
                    real.call(copy()).await?;
                    send_to(&real, request, &TRUNCATING_SERVER).await
                }
                InjectedFault::Unprocessed => {
                    let body = request.body().bytes().unwrap_or_default();
                    let body: Value = serde_json::from_slice(body).expect("the SDK writes JSON");
                    Ok(response(
                        200,
                        &json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] }),
                    ))
                }
                InjectedFault::StaleIndex => Ok(response(
                    200,
                    &json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
                )),
                InjectedFault::RunFirst(hook) => {
                    hook().await;
                    real.call(request).await
                }
            }
        })
    }
}

/// Returns the names by which rules match a request: its operation, and one more for a query of
/// unrouted tickets. A report of requests is [`COUNTING`] instead of one of [`WRITES`]: the first
/// request of a key to an instance sends one, which is not a call that a test has in view. In the
/// same way, a write of the mark of the stock is one of [`STOCK_MARKS`].
fn operations(request: &HttpRequest) -> Vec<String> {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value =
        serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
    let sort_key = body
        .pointer("/Key/sk/S")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let counts = operation == "UpdateItem" && sort_key.starts_with("RATE#");
    let partition = body
        .pointer("/ExpressionAttributeValues/:pk/S")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let marks_stock = operation == "UpdateItem" && sort_key == "STOCK";
    let mut operations = vec![if counts {
        COUNTING[0].to_owned()
    } else if marks_stock {
        STOCK_MARKS[0].to_owned()
    } else {
        operation.to_owned()
    }];
    if operation == "Query" && partition.ends_with("#UNROUTED") {
        operations.push(UNROUTED[0].to_owned());
    }
    operations
}

fn error_body(exception: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{exception}"), "message": INTERNALS })
}

fn response(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(
        StatusCode::try_from(status).expect("a status"),
        body.to_string().into(),
    )
}

/// Sends a request to another address, to get the error of a real connection.
async fn send_to(
    real: &SharedHttpConnector,
    mut request: HttpRequest,
    url: &str,
) -> Result<HttpResponse, ConnectorError> {
    request.set_uri(format!("{url}/")).expect("a URL");
    real.call(request).await
}

/// Accepts connections and closes them.
static CLOSING_SERVER: LazyLock<String> = LazyLock::new(|| listen(drop));

/// Accepts connections, sends the begin of a response, and closes them.
static TRUNCATING_SERVER: LazyLock<String> = LazyLock::new(|| {
    listen(|mut connection| {
        // The first read waits for the request, and returns most or all of it.
        let _ = connection.read(&mut [0; 4096]);
        let response = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 500\r\n\r\n{\"Attri";
        let _ = connection.write_all(response.as_bytes());
        let _ = connection.shutdown(Shutdown::Write);
        // Closing a connection with unread data resets it before the client sees the response.
        let _ = std::io::copy(&mut connection, &mut std::io::sink());
    })
});

/// Serves every connection to a port of its own on a thread of its own.
fn listen(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!(
        "http://{}",
        listener.local_addr().expect("the listener is bound")
    );
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(connection));
        }
    });
    url
}

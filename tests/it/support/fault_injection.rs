//! A DynamoDB that fails by script: between the SDK's client and the engine.

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

/// What every scripted response says, and no client may ever read.
pub const INTERNALS: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/muster";

/// Something that happens in between.
pub type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What happens to a call.
#[derive(Clone)]
pub enum Fault {
    /// It is answered with this status and exception, and not made.
    Respond(u16, &'static str),
    /// A transaction is canceled for this reason, its first item's.
    Canceled(&'static str),
    /// The connection is closed before the call is made.
    ConnectionClosed,
    /// Nobody listens.
    ConnectionRefused,
    /// It is not made, and never answered.
    NoResponse,
    /// It is made, and its response replaced by a 500.
    ResponseReplaced,
    /// It is made, and the connection closed before it is answered.
    ResponseDropped,
    /// It is made, and only a part of the response arrives.
    ResponseTruncated,
    /// A batch is answered with nothing but that all of it should be asked for again.
    Unprocessed,
    /// A query is answered as by an index that lags behind the table: with no items.
    StaleIndex,
    /// Something else happens first; then it is made.
    RunFirst(Hook),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(status, exception) => write!(f, "{status} {exception}"),
            Self::Canceled(reason) => write!(f, "canceled: {reason}"),
            Self::ConnectionClosed => f.write_str("dropped"),
            Self::ConnectionRefused => f.write_str("refused"),
            Self::NoResponse => f.write_str("silence"),
            Self::ResponseReplaced => f.write_str("response lost to an error"),
            Self::ResponseDropped => f.write_str("response lost to a drop"),
            Self::ResponseTruncated => f.write_str("response lost in part"),
            Self::Unprocessed => f.write_str("put off"),
            Self::StaleIndex => f.write_str("lagging"),
            Self::RunFirst(_) => f.write_str("after something else"),
        }
    }
}

/// Which calls something happens to.
#[derive(Debug)]
struct Rule {
    operations: &'static [&'static str],
    /// How many such calls go well before.
    skipped: usize,
    /// How many it happens to.
    times: usize,
    fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// The operations that were called, whatever happened to them.
    calls: Vec<String>,
}

/// The script of one client.
#[derive(Debug, Clone, Default)]
pub struct FaultScript(Arc<Mutex<State>>);

/// Every operation that changes something.
pub const WRITES: &[&str] = &["TransactWriteItems", "UpdateItem"];
/// The report of a key's requests, which is an `UpdateItem` of the item that counts them.
pub const COUNTING: &[&str] = &["UpdateItem of a count"];
/// Every operation that reads.
pub const READS: &[&str] = &["BatchGetItem", "GetItem", "Query"];
/// Queries of the list of unrouted tickets, which are also a `Query`.
pub const UNROUTED: &[&str] = &["Query of unrouted tickets"];

impl FaultScript {
    fn state<T>(&self, of: impl FnOnce(&mut State) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has this happen to the next such call.
    pub fn once(&self, operations: &'static [&'static str], fault: Fault) {
        self.nth(operations, 0, fault);
    }

    /// Has this happen to one such call, after so many that go well.
    pub fn nth(&self, operations: &'static [&'static str], skipped: usize, fault: Fault) {
        self.state(|state| {
            state.rules.push(Rule {
                operations,
                skipped,
                times: 1,
                fault,
            })
        });
    }

    /// Has this happen to every such call.
    pub fn always(&self, operations: &'static [&'static str], fault: Fault) {
        self.state(|state| {
            state.rules.push(Rule {
                operations,
                skipped: 0,
                times: usize::MAX,
                fault,
            })
        });
    }

    /// Whether everything that was to happen did.
    pub fn is_consumed(&self) -> bool {
        self.state(|state| {
            state
                .rules
                .iter()
                .all(|rule| rule.times == 0 || rule.times == usize::MAX)
        })
    }

    /// How many of these operations were called.
    pub fn calls(&self, operations: &[&str]) -> usize {
        self.state(|state| {
            state
                .calls
                .iter()
                .filter(|call| operations.contains(&&***call))
                .count()
        })
    }

    /// A client to whose calls this happens.
    pub fn client(&self, stack: &Stack) -> Client {
        let http = Http {
            script: self.clone(),
            real: invoke::http(),
        };
        let told = Calls::to_table(stack.table.as_str());
        Client::from_conf(
            invoke::client_config(stack)
                .http_client(http)
                .interceptor(told)
                .build(),
        )
    }

    /// Records a call and tells what happens to it.
    fn next(&self, operations: &[String]) -> Option<Fault> {
        self.state(|state| {
            state.calls.extend(operations.iter().cloned());
            let is_about = |rule: &&mut Rule| {
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

/// The SDK's HTTP, with the script between.
#[derive(Debug)]
struct Http {
    script: FaultScript,
    real: SharedHttpClient,
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let real = self.real.http_connector(settings, components);
        SharedHttpConnector::new(Connector {
            script: self.script.clone(),
            real,
        })
    }
}

#[derive(Debug)]
struct Connector {
    script: FaultScript,
    real: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (fault, real) = (self.script.next(&operations(&request)), self.real.clone());
        HttpConnectorFuture::new(async move {
            let Some(fault) = fault else {
                return real.call(request).await;
            };
            let copy = || request.try_clone().expect("the body is in memory");
            match fault {
                Fault::Respond(status, exception) => Ok(response(status, &error_body(exception))),
                Fault::Canceled(reason) => {
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
                Fault::ConnectionClosed => send_to(&real, request, &CLOSING_SERVER).await,
                // Port 1 is tcpmux, which has been served nowhere for decades.
                Fault::ConnectionRefused => send_to(&real, request, "http://127.0.0.1:1").await,
                Fault::NoResponse => std::future::pending().await,
                Fault::ResponseReplaced => {
                    real.call(copy()).await?;
                    Ok(response(500, &error_body("InternalServerError")))
                }
                Fault::ResponseDropped => {
                    real.call(copy()).await?;
                    send_to(&real, request, &CLOSING_SERVER).await
                }
                Fault::ResponseTruncated => {
                    real.call(copy()).await?;
                    send_to(&real, request, &TRUNCATING_SERVER).await
                }
                Fault::Unprocessed => {
                    let body = request.body().bytes().unwrap_or_default();
                    let body: Value = serde_json::from_slice(body).expect("the SDK writes JSON");
                    Ok(response(
                        200,
                        &json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] }),
                    ))
                }
                Fault::StaleIndex => Ok(response(
                    200,
                    &json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
                )),
                Fault::RunFirst(hook) => {
                    hook().await;
                    real.call(request).await
                }
            }
        })
    }
}

/// The operations by which rules name a request: the one that it calls, and one for queries of
/// unrouted tickets. A report of requests is [`COUNTING`], and not one of [`WRITES`]: the first
/// request of a key to an instance makes one, beside the calls that a test has in view.
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
    let mut operations = vec![if counts {
        COUNTING[0].to_owned()
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

/// Sends a request to another address, for the failure that a real connection has.
async fn send_to(
    real: &SharedHttpConnector,
    mut request: HttpRequest,
    url: &str,
) -> Result<HttpResponse, ConnectorError> {
    request.set_uri(format!("{url}/")).expect("a URL");
    real.call(request).await
}

/// Takes connections and closes them.
static CLOSING_SERVER: LazyLock<String> = LazyLock::new(|| listen(drop));

/// Takes connections, begins to response, and closes them.
static TRUNCATING_SERVER: LazyLock<String> = LazyLock::new(|| {
    listen(|mut connection| {
        // The first read waits for the request; most of it, or all.
        let _ = connection.read(&mut [0; 4096]);
        let response = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 500\r\n\r\n{\"Attri";
        let _ = connection.write_all(response.as_bytes());
        let _ = connection.shutdown(Shutdown::Write);
        // Closing with the request unread would reset the connection before the response is seen.
        let _ = std::io::copy(&mut connection, &mut std::io::sink());
    })
});

/// Has a thread take care of every connection to a port of its own.
fn listen(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(connection));
        }
    });
    url
}

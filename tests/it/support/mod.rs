//! Shared fixtures: a stack, organizations with keys and users, and an HTTP client.

pub mod backend;
pub mod cost_meter;
pub mod crash;
pub mod fault_injection;
pub mod invoke;
pub mod jwt;
pub mod log_capture;
pub mod openapi_check;
pub mod org;
pub mod raw_table;
pub mod response_shape;
pub mod sqs;
pub mod table;
pub mod table_audit;
pub mod ticket_items;

use std::{
    env, fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use backend::{Backend, DeployedQueues};
use muster_cli::{
    commands::keys::issue,
    emulator,
    local::{Data, LocalStack, Settings},
};
use muster_domain::{ApiKey, KeyKind, OrganizationId, Scope, Timestamp, User, UserId, UserStatus};
use muster_service::{
    http::Deps,
    store::{Store, Table},
};
use openapi_check::SentRequest;
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::Instant};
use uuid::Uuid;

/// The runtime of the stacks. The runtime of a test ends with the test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the runtime starts"));

static STACK: LazyLock<Stack> =
    LazyLock::new(|| Stack::deployed().unwrap_or_else(|| start_blocking(Settings::default())));

/// The stack that the JSON file at `MUSTER_TEST_DEPLOYED` describes.
static DEPLOYED: LazyLock<Option<Stack>> = LazyLock::new(|| {
    let path = env::var_os("MUSTER_TEST_DEPLOYED")?;
    let description = fs::read_to_string(path).expect("the description can be read");
    let description: Value = serde_json::from_str(&description).expect("the description is JSON");
    let text = |name: &str| {
        description[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} described"))
            .to_owned()
    };
    Some(Stack {
        url: text("url"),
        dynamodb_url: text("endpoint_url"),
        table: text("table"),
        request_delay: Duration::ZERO,
        backend: Backend::Deployed(Arc::new(DeployedQueues::of(&description))),
    })
});

/// A running stack. It stops with the process.
#[derive(Clone)]
pub struct Stack {
    /// The URL of the API.
    pub url: String,
    /// The URL of DynamoDB.
    pub dynamodb_url: String,
    /// The name of the table.
    pub table: String,
    request_delay: Duration,
    backend: Backend,
}

fn start_blocking(settings: Settings) -> Stack {
    let (sender, receiver) = std::sync::mpsc::channel();
    RUNTIME.spawn(async move {
        // Each stack has a separate table, in every engine.
        let table = format!("muster-{}", Uuid::new_v4());
        let data = env::var("MUSTER_TEST_DYNAMODB_URL").map_or(Data::Memory, |dynamodb_url| {
            Data::External {
                dynamodb_url,
                table,
            }
        });
        let stack = LocalStack::start(0, data, settings)
            .await
            .expect("the stack starts");
        let started = Stack {
            url: stack.url.clone(),
            dynamodb_url: stack.dynamodb_url.clone(),
            table: stack.table.clone(),
            request_delay: Duration::ZERO,
            backend: Backend::local(&stack),
        };
        // Dropping the stack would stop it.
        std::mem::forget(stack);
        sender.send(started).expect("the caller waits");
    });
    receiver.recv().expect("the stack started")
}

impl Stack {
    /// Returns the stack that all tests of the process share: the deployed one, or one in this
    /// process.
    pub fn shared() -> Self {
        STACK.clone()
    }

    /// Returns the deployed stack, if the tests run against one.
    pub fn deployed() -> Option<Self> {
        DEPLOYED.clone()
    }

    /// Starts a separate stack. `adjust` changes the dependencies of the HTTP functions.
    pub async fn with(adjust: impl Fn(&mut Deps) + Send + Sync + 'static) -> Self {
        Self::with_settings(Settings {
            http: Box::new(adjust),
            ..Settings::default()
        })
        .await
    }

    /// Starts a separate stack with a manual clock for the HTTP functions, in milliseconds.
    pub async fn with_clock() -> (Self, Arc<AtomicI64>) {
        let clock = Arc::new(AtomicI64::new(Timestamp::now().millis()));
        let shown = Arc::clone(&clock);
        let stack = Self::with(move |deps| {
            let shown = Arc::clone(&shown);
            deps.clock = Arc::new(move || Timestamp::from_millis(shown.load(Ordering::SeqCst)));
        })
        .await;
        (stack, clock)
    }

    /// Returns a stack without a batching window and with this visibility timeout: the deployed
    /// one, or a separate one.
    pub async fn with_fast_delivery(visibility_timeout: Duration) -> Self {
        match Self::deployed() {
            Some(stack) => stack,
            None => Self::with_settings(fast_delivery(visibility_timeout)).await,
        }
    }

    /// Starts a separate stack in this process.
    pub async fn with_settings(settings: Settings) -> Self {
        assert!(
            Stack::deployed().is_none(),
            "this test needs a stack of its own, so tests/deployed/local has to name it or its module"
        );
        tokio::task::spawn_blocking(|| start_blocking(settings))
            .await
            .expect("starting does not panic")
    }

    /// Returns the stack with clients that wait before each request, so that later changes have
    /// later times.
    pub fn with_request_delay(self, request_delay: Duration) -> Self {
        Self {
            request_delay,
            ..self
        }
    }

    /// Returns the host name of the API and its local address. Not every resolver maps such a name
    /// to this machine.
    pub fn address(&self) -> (String, SocketAddr) {
        let url = Url::parse(&self.url).expect("the stack has a URL");
        let (host, port) = (
            url.host_str().expect("the URL has a host"),
            url.port().expect("the URL has a port"),
        );
        (
            host.to_owned(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        )
    }

    /// Returns a store over separate connections. They end with the test's runtime, so the stack's
    /// functions must not share them.
    pub fn store(&self) -> Store {
        self.table().until(Instant::now() + Duration::from_secs(30))
    }

    /// Returns the table.
    pub fn table(&self) -> Table {
        Table::new(self.dynamodb(), self.table.as_str())
    }

    /// Returns a client without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self, None)
    }

    /// Returns a client with this token.
    pub fn client(&self, token: &str) -> Client {
        Client::new(self, Some(token))
    }

    /// Creates an organization with 12 active users, one inactive and one suspended, and a key with
    /// all scopes for each contract.
    pub async fn organization(&self) -> Organization {
        let id = OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple()))
            .expect("the id is valid");
        let users: Vec<User> = (0..14)
            .map(|n| {
                let status = match n {
                    12 => UserStatus::Inactive,
                    13 => UserStatus::Suspended,
                    _ => UserStatus::Active,
                };
                user(&format!("User {n}"), status)
            })
            .collect();
        self.organization_of(id, users).await
    }

    /// Creates an organization with this id and up to 25 users, and a key with all scopes for each
    /// contract.
    pub async fn organization_of(&self, id: OrganizationId, users: Vec<User>) -> Organization {
        self.store()
            .put_users(&id, &users)
            .await
            .expect("users can be written");
        let mut organization = Organization {
            toptickets: self.anonymous(),
            itsm: self.anonymous(),
            stack: self.clone(),
            id,
            users,
        };
        organization.toptickets = organization.key(KeyKind::TtAdmin, &Scope::ALL).await;
        organization.itsm = organization.key(KeyKind::Itsm, &Scope::ALL).await;
        organization
    }

    /// Returns a DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        emulator::client(&self.dynamodb_url)
    }
}

/// Returns settings without a batching window and with this visibility timeout.
pub fn fast_delivery(visibility_timeout: Duration) -> Settings {
    Settings {
        visibility_timeout: Some(visibility_timeout),
        batching_window: Some(Duration::ZERO),
        ..Settings::default()
    }
}

/// Returns the time limit of [`wait_until`]: generous enough for a busy machine, or
/// `MUSTER_TEST_PATIENCE` in seconds, for a test that expects the limit to pass.
fn patience() -> Duration {
    let seconds = env::var("MUSTER_TEST_PATIENCE")
        .map(|seconds| seconds.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(180))
}

/// Waits until a condition holds. Panics after the time limit.
pub async fn wait_until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience();
    let mut wait = Duration::from_millis(2);
    while !holds().await {
        assert!(
            Instant::now() < deadline,
            "timed out waiting for {condition}"
        );
        tokio::time::sleep(wait).await;
        // Polling competes with the awaited work for the CPU.
        wait = (wait * 2).min(Duration::from_millis(50));
    }
}

/// Returns a key in valid form that is not in the table.
pub fn unknown_key(kind: KeyKind) -> String {
    let organization = OrganizationId::parse("nobody").expect("the id is valid");
    issue(kind, organization, Vec::new(), Timestamp::now())
        .0
        .reveal()
        .to_owned()
}

/// Returns a user with a random id.
pub fn user(name: &str, status: UserStatus) -> User {
    User {
        id: UserId::new(Uuid::new_v4()),
        name: name.to_owned(),
        email: format!("{}@acme.example", name.to_lowercase().replace(' ', ".")),
        role: "agent".to_owned(),
        avatar_url: None,
        status,
        version: 1,
    }
}

/// An organization of one test.
pub struct Organization {
    pub stack: Stack,
    pub id: OrganizationId,
    /// 12 active, then one inactive, then one suspended.
    pub users: Vec<User>,
    /// A TopTickets client with all scopes.
    pub toptickets: Client,
    /// An ITSM client with all scopes.
    pub itsm: Client,
}

impl Organization {
    /// Stores a key and returns a client that uses it.
    pub async fn key(&self, kind: KeyKind, scopes: &[Scope]) -> Client {
        self.key_with(kind, scopes, |_| {}).await.0
    }

    /// Stores a key with a changed record. Returns the client and the record.
    pub async fn key_with(
        &self,
        kind: KeyKind,
        scopes: &[Scope],
        change: impl FnOnce(&mut ApiKey),
    ) -> (Client, ApiKey) {
        let (secret, mut key) = issue(kind, self.id.clone(), scopes.to_vec(), Timestamp::now());
        change(&mut key);
        self.stack
            .store()
            .put_api_key(&key)
            .await
            .expect("a key can be written");
        (self.stack.client(secret.reveal()), key)
    }

    /// Returns the clients of both contracts: TopTickets, then ITSM.
    pub fn clients(&self) -> [&Client; 2] {
        [&self.toptickets, &self.itsm]
    }

    /// Sets attributes of a team's item directly in the table.
    pub async fn set_team(&self, team: &str, attributes: &[(&str, AttributeValue)]) {
        self.set(
            format!("ORG#{}", self.id),
            format!("TEAM#{team}"),
            attributes,
        )
        .await;
    }

    /// Sets attributes of a team's load directly in the table.
    pub async fn set_load(&self, team: &str, attributes: &[(&str, AttributeValue)]) {
        self.set(
            format!("ORG#{}#TEAM#{team}", self.id),
            "LOAD".to_owned(),
            attributes,
        )
        .await;
    }

    /// Sets attributes of a membership directly in the table.
    pub async fn set_membership(
        &self,
        team: &str,
        user: &User,
        attributes: &[(&str, AttributeValue)],
    ) {
        let (pk, sk) = (
            format!("ORG#{}#TEAM#{team}", self.id),
            format!("MEMBER#{}", user.id.uuid()),
        );
        self.set(pk, sk, attributes).await;
    }

    /// Sets the revision of a ticket directly in the table. A revision that is not a number makes
    /// the ticket unreadable.
    pub async fn set_rev(&self, ticket: &str, rev: AttributeValue) {
        self.set(
            format!("ORG#{}#TICKET#{ticket}", self.id),
            "TICKET".to_owned(),
            &[("rev", rev)],
        )
        .await;
    }

    async fn set(&self, pk: String, sk: String, attributes: &[(&str, AttributeValue)]) {
        let mut update = self
            .stack
            .dynamodb()
            .update_item()
            .table_name(&self.stack.table)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .condition_expression("attribute_exists(pk)");
        let mut set = Vec::new();
        for (at, (name, value)) in attributes.iter().enumerate() {
            set.push(format!("#a{at} = :a{at}"));
            update = update
                .expression_attribute_names(format!("#a{at}"), *name)
                .expression_attribute_values(format!(":a{at}"), value.clone());
        }
        update
            .update_expression(format!("SET {}", set.join(", ")))
            .send()
            .await
            .expect("the item exists");
    }

    /// Creates a team over ITSM and returns its id without a prefix.
    pub async fn team(&self, name: &str) -> String {
        let response = self.itsm.post("/v1/teams", json!({ "name": name })).await;
        assert_eq!(response.status, 201, "{response}");
        response.json["data"]["id"]
            .as_str()
            .and_then(|id| id.strip_prefix("team_"))
            .expect("a prefixed id")
            .to_owned()
    }

    /// Adds a user to a team over ITSM.
    pub async fn member(&self, team: &str, user: &User) {
        let response = self
            .itsm
            .post(
                &format!("/v1/teams/{team}/members"),
                json!({ "user_id": user.id.uuid().to_string() }),
            )
            .await;
        assert_eq!(response.status, 201, "{response}");
    }
}

/// An HTTP client, with or without a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    request_delay: Duration,
}

impl Client {
    fn new(stack: &Stack, token: Option<&str>) -> Self {
        let mut http = reqwest::Client::builder();
        let (host, address) = stack.address();
        if host.parse::<IpAddr>().is_err() {
            http = http.resolve(&host, address);
        }
        let http = http.build().expect("a client can be made");
        Self {
            http,
            url: stack.url.clone(),
            token: token.map(str::to_owned),
            request_delay: stack.request_delay,
        }
    }

    /// Returns the token. Panics if the client has none.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("this client has one")
    }

    /// Builds a request with the client's credential, to be sent with [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.call(&Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.call(&Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.call(&Method::POST, path, Some(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Response {
        self.call(&Method::PATCH, path, Some(&body)).await
    }

    /// Sends up to `at_most` requests. Returns the number of successful ones before the first
    /// limited one, and its response.
    pub async fn until_limited(&self, path: &str, at_most: u64) -> (u64, Response) {
        for passed in 0..at_most {
            let response = self.get(path).await;
            if response.status == 429 {
                return (passed, response);
            }
            assert_eq!(response.status, 200, "request {passed}: {response}");
        }
        panic!("no request was limited")
    }

    /// Sends a request with or without a JSON body.
    pub async fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Response {
        tokio::time::sleep(self.request_delay).await;
        let request = self.request(method.clone(), path);
        Self::send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Sends a request and returns the response, after checking it against the OpenAPI documents.
    pub async fn send(request: reqwest::RequestBuilder) -> Response {
        let (http, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let asked = SentRequest::of(&request);
        let response = http.execute(request).await.expect("the stack responds");
        let (status, headers) = (
            response.status(),
            original_header_names(response.headers().clone()),
        );
        let text = response.text().await.expect("the response is text");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let response = Response {
            status,
            headers,
            text,
            json,
        };
        asked.assert_described(&response);
        response
    }
}

/// Restores the header names that the functions wrote: API Gateway renames `WWW-Authenticate`.
///
/// AWS, "Amazon API Gateway important notes":
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
pub fn original_header_names(mut headers: HeaderMap) -> HeaderMap {
    if let Some(challenge) = headers.remove("x-amzn-remapped-www-authenticate") {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers
}

/// Returns a user's id without a prefix.
pub fn bare(user: &User) -> String {
    user.id.uuid().to_string()
}

/// Returns a number attribute.
pub fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body as received, for tests of the field order.
    pub text: String,
    /// The parsed body, or null.
    pub json: Value,
}

impl Response {
    /// Returns a header's value, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

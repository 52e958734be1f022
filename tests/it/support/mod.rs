//! What tests share: a stack, organizations with keys and users, and a client that says what it
//! got.

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

/// The runtime that stacks live on. A test's own ends with the test.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime can be made"));

static STACK: LazyLock<Stack> =
    LazyLock::new(|| Stack::deployed().unwrap_or_else(|| start_blocking(Settings::default())));

/// The stack that `MUSTER_TEST_DEPLOYED` describes, by the path of a file of JSON.
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

/// A stack that serves, until the process ends.
#[derive(Clone)]
pub struct Stack {
    /// Where the API is.
    pub url: String,
    /// Where DynamoDB is.
    pub dynamodb_url: String,
    /// The table's name there.
    pub table: String,
    request_delay: Duration,
    backend: Backend,
}

fn start_blocking(settings: Settings) -> Stack {
    let (sender, receiver) = std::sync::mpsc::channel();
    RUNTIME.spawn(async move {
        // Each stack has a table of its own, whatever engine there is.
        let table = format!("muster-{}", Uuid::new_v4());
        let data = env::var("MUSTER_TEST_DYNAMODB_URL").map_or(Data::Memory, |dynamodb_url| {
            Data::External {
                dynamodb_url,
                table,
            }
        });
        let stack = LocalStack::start(0, data, settings)
            .await
            .expect("a stack starts");
        let started = Stack {
            url: stack.url.clone(),
            dynamodb_url: stack.dynamodb_url.clone(),
            table: stack.table.clone(),
            request_delay: Duration::ZERO,
            backend: Backend::local(&stack),
        };
        // Dropping it would stop it.
        std::mem::forget(stack);
        sender.send(started).expect("the starter waits");
    });
    receiver.recv().expect("the stack started")
}

impl Stack {
    /// The stack that all tests of the process share: the deployed one, or one in this process.
    pub fn shared() -> Self {
        STACK.clone()
    }

    /// The deployed stack, where the tests are held against one.
    pub fn deployed() -> Option<Self> {
        DEPLOYED.clone()
    }

    /// A stack of one's own, whose functions behind the gateway depend on what `adjust` makes of
    /// it.
    pub async fn with(adjust: impl Fn(&mut Deps) + Send + Sync + 'static) -> Self {
        Self::with_settings(Settings {
            http: Box::new(adjust),
            ..Settings::default()
        })
        .await
    }

    /// A stack of one's own, and the clock that its functions behind the gateway go by:
    /// milliseconds, set by hand.
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

    /// A stack whose batches do not wait to fill, and whose messages failed; SQS redelivers them
    /// soon if they failed: the deployed one, or one of one's own.
    pub async fn with_fast_delivery(visibility_timeout: Duration) -> Self {
        match Self::deployed() {
            Some(stack) => stack,
            None => Self::with_settings(fast_delivery(visibility_timeout)).await,
        }
    }

    /// A stack of one's own, in this process.
    pub async fn with_settings(settings: Settings) -> Self {
        assert!(
            Stack::deployed().is_none(),
            "this test needs a stack of its own, so tests/deployed/local has to name it or its module"
        );
        tokio::task::spawn_blocking(|| start_blocking(settings))
            .await
            .expect("starting does not panic")
    }

    /// The same, whose clients wait so long before each request: what is done later is seen to be
    /// later.
    pub fn with_request_delay(self, request_delay: Duration) -> Self {
        Self {
            request_delay,
            ..self
        }
    }

    /// The name of the API's host, and its address on this machine: not every resolver knows that a
    /// name is this machine's.
    pub fn address(&self) -> (String, SocketAddr) {
        let url = Url::parse(&self.url).expect("the stack has a URL");
        let (host, port) = (
            url.host_str().expect("it has a host"),
            url.port().expect("it has a port of its own"),
        );
        (
            host.to_owned(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        )
    }

    /// The table, written past the API, over connections of its own: they end with the test's
    /// runtime, and the stack's functions must not be handed one of them.
    pub fn store(&self) -> Store {
        self.table().until(Instant::now() + Duration::from_secs(30))
    }

    /// The table itself.
    pub fn table(&self) -> Table {
        Table::new(self.dynamodb(), self.table.as_str())
    }

    /// A client that nobody knows.
    pub fn anonymous(&self) -> Client {
        Client::new(self, None)
    }

    /// A client with this token.
    pub fn client(&self, token: &str) -> Client {
        Client::new(self, Some(token))
    }

    /// A new organization with 12 active users, one inactive and one suspended, and a key of full
    /// scope for each contract.
    pub async fn organization(&self) -> Organization {
        let id = OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple()))
            .expect("of the right form");
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

    /// An organization of this id with up to 25 users, and a key of full scope for each contract.
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

    /// DynamoDB, without the store.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        emulator::client(&self.dynamodb_url)
    }
}

/// Settings by which no batch waits to fill, and a message that failed comes again after this long.
pub fn fast_delivery(visibility_timeout: Duration) -> Settings {
    Settings {
        visibility_timeout: Some(visibility_timeout),
        batching_window: Some(Duration::ZERO),
        ..Settings::default()
    }
}

/// How long something is waited for before it is in vain: longer than anything takes, on a machine
/// that has much else to do, or as many seconds as `MUSTER_TEST_PATIENCE` says, where it is to be
/// seen that something does not come.
fn patience() -> Duration {
    let seconds = env::var("MUSTER_TEST_PATIENCE")
        .map(|seconds| seconds.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(180))
}

/// Waits until something holds.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience();
    let mut wait = Duration::from_millis(2);
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(wait).await;
        // Looking is work that what is waited for has to share the machine with.
        wait = (wait * 2).min(Duration::from_millis(50));
    }
}

/// A token of a key's form that is no key: nobody stored it.
pub fn unknown_key(kind: KeyKind) -> String {
    let nobody = OrganizationId::parse("nobody").expect("of the right form");
    issue(kind, nobody, Vec::new(), Timestamp::now())
        .0
        .reveal()
        .to_owned()
}

/// A user with a random id.
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

/// An organization of a test's own.
pub struct Organization {
    pub stack: Stack,
    pub id: OrganizationId,
    /// 12 active, then one inactive, then one suspended.
    pub users: Vec<User>,
    /// Speaks TopTickets and may do everything.
    pub toptickets: Client,
    /// Speaks ITSM and may do everything.
    pub itsm: Client,
}

impl Organization {
    /// Stores a key and gives a client that uses it.
    pub async fn key(&self, kind: KeyKind, scopes: &[Scope]) -> Client {
        self.key_with(kind, scopes, |_| {}).await.0
    }

    /// The same with a changed record, and the record.
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

    /// The client for a contract by its name.
    pub fn clients(&self) -> [&Client; 2] {
        [&self.toptickets, &self.itsm]
    }

    /// Sets attributes of a team's item, past the API.
    pub async fn set_team(&self, team: &str, attributes: &[(&str, AttributeValue)]) {
        self.set(
            format!("ORG#{}", self.id),
            format!("TEAM#{team}"),
            attributes,
        )
        .await;
    }

    /// Sets attributes of a team's load, past the API.
    pub async fn set_load(&self, team: &str, attributes: &[(&str, AttributeValue)]) {
        self.set(
            format!("ORG#{}#TEAM#{team}", self.id),
            "LOAD".to_owned(),
            attributes,
        )
        .await;
    }

    /// Sets attributes of a membership, past the API.
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

    /// Sets the revision of a ticket, past the API: one that is no number makes the ticket
    /// unreadable.
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

    /// Creates a team over ITSM and gives its bare id.
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

/// An HTTP client with a token, or without.
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

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("this client has one")
    }

    /// A request to a path, credential and all, to be completed and sent with [`Client::send`].
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

    /// How many of at most so many requests in a row are answered with 200 before one is limited,
    /// and what that one is told.
    pub async fn until_limited(&self, path: &str, at_most: u64) -> (u64, Response) {
        for passed in 0..at_most {
            let response = self.get(path).await;
            if response.status == 429 {
                return (passed, response);
            }
            assert_eq!(response.status, 200, "request {passed}: {response}");
        }
        panic!("nothing is limited")
    }

    /// A request with a JSON body, or without.
    pub async fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Response {
        tokio::time::sleep(self.request_delay).await;
        let request = self.request(method.clone(), path);
        Self::send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Sends a request and reads the whole response, which has to be one that the OpenAPI documents
    /// describe.
    pub async fn send(request: reqwest::RequestBuilder) -> Response {
        let (http, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let asked = SentRequest::of(&request);
        let response = http.execute(request).await.expect("the stack answers");
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

/// Headers by the names that the functions wrote: API Gateway renames `WWW-Authenticate`.
///
/// AWS, "Amazon API Gateway important notes":
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
pub fn original_header_names(mut headers: HeaderMap) -> HeaderMap {
    if let Some(challenge) = headers.remove("x-amzn-remapped-www-authenticate") {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers
}

/// A user's id without a prefix.
pub fn bare(user: &User) -> String {
    user.id.uuid().to_string()
}

/// A number as DynamoDB takes it.
pub fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body as it came, where field order matters.
    pub text: String,
    /// The body parsed, or null.
    pub json: Value,
}

impl Response {
    /// A header's value, or the empty text.
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

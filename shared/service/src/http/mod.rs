//! One HTTP request from the gateway, the same way in every function: find the route, authenticate,
//! check the address, the rate and the scope, run the use case, render the answer or the failure in
//! the caller's contract.

mod conditional;
mod proxy;
mod request;
mod response;

use std::{convert::Infallible, env, num::NonZeroUsize, sync::Arc};

use lambda_http::{Body, Request, Response};
use uuid::{ContextV7, Uuid};

pub use conditional::if_none_match;
pub use proxy::TrustedProxy;
pub use response::ApiResponse;

use crate::{
    auth::{self, KeyCache, Principal, VerifierCache},
    lambda,
    rate_limit::{Exceeded, RateLimits},
    store::{self, Store, Table},
    telemetry,
};
use muster_contracts::{
    Failure,
    input::{self, Invalid, MAX_BODY_BYTES},
    route::{self, OpenEndpoint, Route, RouteMatch},
};
use muster_domain::{Clock, Contract, Fingerprint, Idempotency, IfVersion, TeamId, Timestamp};
use request::RawRequest;

/// Makes the id of a team that is created at a given time.
pub type NewTeamId = Arc<dyn Fn(Timestamp) -> TeamId + Send + Sync>;

/// What the HTTP functions depend on. One for the life of a function's instance.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// The API keys that were seen lately.
    pub keys: Arc<KeyCache>,
    /// What the tokens that were seen lately were verified with.
    pub verifiers: Arc<VerifierCache>,
    /// The requests that were counted lately.
    pub rates: Arc<RateLimits>,
    /// The time.
    pub clock: Clock,
    /// Ids for new teams.
    pub new_team_id: NewTeamId,
    /// The proxy through which requests have to come.
    pub proxy: TrustedProxy,
}

impl Deps {
    /// How many API keys an instance remembers: far more than talk to one instance within a minute,
    /// for under 4 MB.
    const KEYS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
    /// How many organizations' tokens an instance can verify from memory: for under 2 MB at two
    /// keys of 2048 bits each, and under 25 MB where all have as many and as long ones as they may.
    const VERIFIERS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

    /// How many subjects' minutes an instance remembers: as many, for under 2 MB.
    const RATES: NonZeroUsize = Self::KEYS;

    /// Works on `table`, by the system's clock and with monotonic UUIDv7 for new teams, so that
    /// creation order is id order.
    #[must_use]
    pub fn new(table: Table) -> Self {
        let context = std::sync::Mutex::new(ContextV7::new());
        let new_team_id = move |now: Timestamp| {
            let millis = u64::try_from(now.millis()).unwrap_or(0);
            let nanos = u32::try_from(millis % 1000 * 1_000_000).unwrap_or(0);
            TeamId::new(Uuid::new_v7(uuid::Timestamp::from_unix(
                &context,
                millis / 1000,
                nanos,
            )))
        };
        Self {
            table,
            keys: Arc::new(KeyCache::new(Self::KEYS)),
            verifiers: Arc::new(VerifierCache::new(Self::VERIFIERS)),
            rates: Arc::new(RateLimits::new(Self::RATES)),
            clock: Arc::new(Timestamp::now),
            new_team_id: Arc::new(new_team_id),
            proxy: TrustedProxy::default(),
        }
    }
}

/// What an HTTP function depends on, by its environment.
///
/// # Errors
/// Those of [`lambda::Environment::table`]; `PROXY_SECRET_SHA256` is set to anything else than
/// hashes of SHA-256.
pub async fn init() -> Result<Deps, lambda_http::Error> {
    let hashes = env::var("PROXY_SECRET_SHA256").unwrap_or_default();
    let proxy =
        TrustedProxy::parse(&hashes).map_err(|rule| format!("PROXY_SECRET_SHA256: {rule}"))?;
    Ok(Deps {
        proxy,
        ..Deps::new(lambda::Environment::load().await.table().await?)
    })
}

/// An authenticated request for one route, as a use case gets it.
pub struct ApiRequest {
    /// What is asked for, ids parsed.
    pub route: Route,
    /// Who asks.
    pub principal: Principal,
    /// The raw query string.
    pub query: String,
    /// The body; empty where the route reads none.
    pub body: Vec<u8>,
    /// Of which versions the team has to be, for the routes that change or delete one.
    pub if_version: IfVersion,
    /// By what to know the request when it comes again, where the route creates something and the
    /// client said so.
    pub idempotency: Option<Idempotency>,
    /// The table, until shortly before the function's time is up.
    pub store: Store,
    /// When the request came.
    pub now: Timestamp,
    /// Ids for new teams.
    pub new_team_id: NewTeamId,
}

impl ApiRequest {
    /// The contract that the caller speaks.
    #[must_use]
    pub fn contract(&self) -> Contract {
        self.principal.contract
    }
}

/// Why a use case did not succeed.
#[derive(Debug)]
pub enum Error {
    /// The client is told so.
    Failure(Failure),
    /// The table failed; the client is told as much as is its business.
    Store(store::Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Failure(invalid.into())
    }
}

impl From<muster_domain::Error> for Error {
    fn from(error: muster_domain::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Serves one request with a use case.
///
/// # Errors
/// Never: every failure is an answer.
pub async fn serve<U, F>(
    request: Request,
    deps: &Deps,
    use_case: U,
) -> Result<Response<Body>, Infallible>
where
    U: FnOnce(ApiRequest) -> F,
    F: Future<Output = Result<ApiResponse, Error>>,
{
    let received = RawRequest::from(request);
    let now = (deps.clock)();
    let found = route::find(&received.method, &received.path, received.spoken_contract);
    let pattern = found.as_ref().ok().map(|found| found.pattern);
    record_request(&received, pattern);
    let outcome = match found {
        Ok(found) => authorize_and_run(&received, &found, deps, now, use_case).await,
        Err(failure) => Err(failure.into()),
    };
    let outcome = outcome.or_else(|error| match error {
        Error::Failure(failure) => Err(failure),
        Error::Store(store::Error::Answered(answer)) => Ok(answer.into()),
        Error::Store(store::Error::Refused(error)) => Err(error.into()),
        Error::Store(error) => {
            let failure = match &error {
                store::Error::Unavailable(_) => Failure::Unavailable,
                _ => Failure::Internal,
            };
            let method = pattern.map(|_| &*received.method);
            tracing::error!(gatewayRequestId = received.request_id, method, route = pattern, %error, "failed");
            Err(failure)
        }
    });
    Ok(record_status(response::render(&received, now, outcome)))
}

/// Serves one request that takes no credential, with a use case that gets the endpoint and the raw
/// query. A credential that comes anyway only decides in whose words a failure is said.
pub fn serve_open(
    request: Request,
    use_case: impl FnOnce(OpenEndpoint, &str) -> Result<ApiResponse, Failure>,
) -> Response<Body> {
    let received = RawRequest::from(request);
    let found = route::find_open(&received.method, &received.path);
    record_request(&received, found.as_ref().ok().map(|_| &*received.path));
    let outcome = found.and_then(|endpoint| use_case(endpoint, &received.query));
    record_status(response::render(&received, Timestamp::now(), outcome))
}

/// Tells of a request for the route with this path, or for none that there is: what then stands in
/// its method and path is anybody's guess, and not told.
fn record_request(received: &RawRequest, pattern: Option<&str>) {
    telemetry::record(|measured| {
        let key = pattern.map(|pattern| format!("{} {pattern}", received.method));
        measured.request = Some(telemetry::Request {
            id: received.request_id.clone(),
            route: key.unwrap_or_else(|| "$default".to_owned()),
            contract: received.spoken_contract,
            status: None,
        });
    });
}

/// Tells how a request was answered.
fn record_status(response: Response<Body>) -> Response<Body> {
    telemetry::record(|measured| {
        if let Some(request) = &mut measured.request {
            request.status = Some(response.status().as_u16());
        }
    });
    response
}

/// The checks once there is a route, in the order in which the contracts promise them; the first
/// that fails is the answer.
async fn authorize_and_run<U, F>(
    received: &RawRequest,
    found: &RouteMatch<'_>,
    deps: &Deps,
    now: Timestamp,
    use_case: U,
) -> Result<ApiResponse, Error>
where
    U: FnOnce(ApiRequest) -> F,
    F: Future<Output = Result<ApiResponse, Error>>,
{
    let reads_body = found.endpoint.reads_body();
    if reads_body && received.body().len() > MAX_BODY_BYTES {
        return Err(Failure::BodyTooLarge.into());
    }
    let store = deps.table.until(received.deadline);
    let token = received.token.as_deref().ok_or(Failure::Unauthorized)?;
    let principal = auth::authenticate(token, &deps.keys, &deps.verifiers, &store, now).await?;
    let principal = principal.ok_or(Failure::Unauthorized)?;
    telemetry::set_organization(&principal.organization_id);
    let address = deps
        .proxy
        .client_address(received.address, &received.proxy)?;
    if !principal.allows_address(address) {
        return Err(Failure::AddressNotAllowed.into());
    }
    let due = deps
        .rates
        .admit(principal.subject, principal.requests_a_minute, now)
        .map_err(|Exceeded { retry_after }| Failure::RateLimited { retry_after })?;
    let reported = async {
        if let Some(report) = due {
            deps.rates.report(report, &store).await;
        }
    };
    let answered = async {
        let scope = found.endpoint.scope();
        if !principal.has_scope(scope) {
            return Err(Failure::MissingScope(scope).into());
        }
        let route = found.route()?;
        let idempotency = if found.endpoint.creates() {
            idempotency(received, &principal)?
        } else {
            None
        };
        let call = ApiRequest {
            route,
            principal,
            query: received.query.clone(),
            body: if reads_body {
                received.body().to_vec()
            } else {
                Vec::new()
            },
            if_version: received
                .if_match
                .as_deref()
                .map_or(IfVersion::Any, conditional::if_match),
            idempotency,
            store: store.clone(),
            now,
            new_team_id: Arc::clone(&deps.new_team_id),
        };
        use_case(call).await
    };
    // Side by side, so that a report takes no time of its own; and both to the end, since Lambda
    // freezes what goes on after the answer.
    let (answer, ()) = tokio::join!(answered, reported);
    answer
}

/// Returns the identity by which a retry of the request is recognized, if the client sent a key.
fn idempotency(
    received: &RawRequest,
    principal: &Principal,
) -> Result<Option<Idempotency>, Invalid> {
    let Some(header) = &received.idempotency_key else {
        return Ok(None);
    };
    let key = input::idempotency_key(header)?;
    let fingerprint = Fingerprint::of(
        principal.contract,
        &received.method,
        &received.path,
        received.body(),
    );
    Ok(Some(Idempotency {
        subject: principal.subject,
        key,
        fingerprint,
    }))
}

//! The pipeline of an HTTP request, shared by all functions.
//!
//! The checks run in the order that the contracts promise: route, body size, credential, address,
//! rate, scope, path ids. The first failed check is the response. Then the use case runs, and its
//! result is rendered in the caller's contract.

mod conditional;
mod proxy;
mod request;
mod response;

use std::{convert::Infallible, env, num::NonZeroUsize, sync::Arc};

use lambda_http::{Body, Request, Response};
use uuid::{ContextV7, Uuid};

pub use conditional::if_none_match;
pub use proxy::TrustedProxy;
pub use response::{ApiResponse, ErrorMessage};

use crate::{
    auth::{self, KeyCache, Principal, VerifierCache},
    error_chain, lambda,
    rate_limit::{Exceeded, RateLimits},
    store::{self, Store, Table},
    telemetry,
};
use muster_contracts::{
    ApiError,
    request::{InvalidRequest, MAX_BODY_BYTES, OnUnknownField, idempotency_key, on_unknown_field},
    route::{self, PublicMatch, Route, RouteMatch},
    unknown_fields,
};
use muster_domain::{Clock, Contract, Fingerprint, Idempotency, IfVersion, TeamId, Timestamp};
use request::RawRequest;

/// Generates the id of a team from its creation time.
pub type NewTeamId = Arc<dyn Fn(Timestamp) -> TeamId + Send + Sync>;

/// Dependencies of an HTTP function, shared by all requests of an execution environment.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// Recently used API keys.
    pub keys: Arc<KeyCache>,
    /// Verifiers of recently used tokens.
    pub verifiers: Arc<VerifierCache>,
    /// Request counts of the current minutes.
    pub rates: Arc<RateLimits>,
    /// The clock.
    pub clock: Clock,
    /// The generator of team ids.
    pub new_team_id: NewTeamId,
    /// The proxy that every request has to come through, if one is configured.
    pub proxy: TrustedProxy,
}

impl Deps {
    /// The capacity of the API key cache. It exceeds the keys that one instance sees within a
    /// minute, and takes less than 4 MB.
    const KEYS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
    /// The capacity of the verifier cache, in organizations. It takes less than 2 MB with two
    /// 2048-bit keys for each organization, and less than 25 MB with the most and longest keys.
    const VERIFIERS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

    /// The capacity of the rate limits, in subjects and minutes. It takes less than 2 MB.
    const RATES: NonZeroUsize = Self::KEYS;

    /// Returns the dependencies for `table`, with the system clock and monotonic UUIDv7 team ids:
    /// the order of ids is the order of creation.
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

/// Loads the dependencies of an HTTP function from its environment.
///
/// # Errors
/// Errors of [`lambda::Environment::table`], or `PROXY_SECRET_SHA256` is not a list of SHA-256
/// hashes.
pub async fn init() -> Result<Deps, lambda_http::Error> {
    let hashes = env::var("PROXY_SECRET_SHA256").unwrap_or_default();
    let proxy =
        TrustedProxy::parse(&hashes).map_err(|rule| format!("PROXY_SECRET_SHA256: {rule}"))?;
    Ok(Deps {
        proxy,
        ..Deps::new(lambda::Environment::load().await.table().await?)
    })
}

/// An authenticated and authorized request, the input of a use case.
pub struct ApiRequest {
    /// The route, with parsed ids.
    pub route: Route,
    /// The caller.
    pub principal: Principal,
    /// The raw query string.
    pub query: String,
    /// The body. Empty for a route that ignores it.
    pub body: Vec<u8>,
    /// The effect of unknown fields in the body.
    pub on_unknown_field: OnUnknownField,
    /// The team versions that `If-Match` accepts, for routes that change or delete a team.
    pub if_version: IfVersion,
    /// The identity of the request for deduplication. Present if the route creates a resource and
    /// the client sent an `Idempotency-Key`.
    pub idempotency: Option<Idempotency>,
    /// The table, with a deadline shortly before Lambda stops the function.
    pub store: Store,
    /// The time when the request arrived.
    pub now: Timestamp,
    /// The generator of team ids.
    pub new_team_id: NewTeamId,
}

impl ApiRequest {
    /// Returns the caller's contract.
    #[must_use]
    pub fn contract(&self) -> Contract {
        self.principal.contract
    }
}

/// The failure of a use case.
#[derive(Debug)]
pub enum Error {
    /// A failure that the response states.
    ApiError(ApiError),
    /// A failure of the table. The response hides its cause; the log has it.
    Store(store::Error),
}

impl From<ApiError> for Error {
    fn from(failure: ApiError) -> Self {
        Self::ApiError(failure)
    }
}

impl From<InvalidRequest> for Error {
    fn from(invalid: InvalidRequest) -> Self {
        Self::ApiError(invalid.into())
    }
}

impl From<muster_domain::Error> for Error {
    fn from(error: muster_domain::Error) -> Self {
        Self::ApiError(error.into())
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
/// Infallible: every failure becomes a response.
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
    let outcome = outcome.map_err(|error| match error {
        Error::ApiError(failure) => failure,
        Error::Store(store::Error::Rejected(error)) => error.into(),
        Error::Store(error) => {
            let failure = match &error {
                store::Error::Unavailable(_) => ApiError::Unavailable,
                _ => ApiError::Internal,
            };
            let method = pattern.map(|_| &*received.method);
            tracing::error!(
                gatewayRequestId = received.request_id,
                method,
                route = pattern,
                error = error_chain(&error),
                "failed"
            );
            failure
        }
    });
    Ok(record_status(response::render(&received, now, outcome)))
}

/// Serves one request for an open route with a use case, which gets the matched route and the raw
/// query.
///
/// The request needs no credential. If it has one, its form selects the contract of an error
/// response.
pub fn serve_open(
    request: Request,
    use_case: impl FnOnce(PublicMatch<'_>, &str) -> Result<ApiResponse, ApiError>,
) -> Response<Body> {
    let received = RawRequest::from(request);
    let found = route::find_public(&received.method, &received.path);
    record_request(&received, found.as_ref().ok().map(|found| found.pattern));
    let outcome = found.and_then(|found| use_case(found, &received.query));
    record_status(response::render(&received, Timestamp::now(), outcome))
}

/// Records the request for telemetry under its route's path, or under `$default` without a route.
/// An unmatched method or path is not recorded: it may contain a credential.
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

/// Records the status of the response for telemetry.
fn record_status(response: Response<Body>) -> Response<Body> {
    telemetry::record(|measured| {
        if let Some(request) = &mut measured.request {
            request.status = Some(response.status().as_u16());
        }
    });
    response
}

/// Runs the checks of a matched route in the order that the contracts promise, then the use case.
///
/// # Errors
/// The first failed check, or the failure of the use case.
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
    if found.endpoint.reads_body() && received.body().len() > MAX_BODY_BYTES {
        return Err(ApiError::BodyTooLarge.into());
    }
    let store = deps.table.until(received.deadline);
    let token = received.token.as_deref();
    let token = token.map_err(|reason| ApiError::Unauthorized(*reason))?;
    let principal = auth::authenticate(token, &deps.keys, &deps.verifiers, &store, now).await?;
    let principal = principal.map_err(ApiError::Unauthorized)?;
    telemetry::set_organization(&principal.organization_id);
    let address = deps
        .proxy
        .client_address(received.address, &received.proxy)?;
    if !principal.allows_address(address) {
        return Err(ApiError::AddressNotAllowed.into());
    }
    let due = deps
        .rates
        .admit(principal.subject, principal.requests_a_minute, now)
        .map_err(|Exceeded { retry_after }| ApiError::RateLimited { retry_after })?;
    let reported = async {
        if let Some(report) = due {
            deps.rates.report(report, &store).await;
        }
    };
    let contract = principal.contract;
    let use_case = async {
        let request = api_request(received, found, principal, deps, store.clone(), now)?;
        let response = match use_case(request).await {
            Err(Error::Store(store::Error::Replayed(response))) => response.into(),
            response => response?,
        };
        // A replay has the same body as the first request, so it gets the same header.
        let ignored = unknown_fields(contract, found.endpoint, received.body());
        Ok(response.ignoring(&ignored))
    };
    // The report runs concurrently with the use case, so that it adds no latency. The response
    // waits for both, because Lambda freezes the process after the response.
    let (response, ()) = tokio::join!(use_case, reported);
    response
}

/// Checks the principal's scope, and parses the request of the use case.
///
/// # Errors
/// The missing scope, an invalid path parameter, an invalid idempotency key or an invalid `strict`.
fn api_request(
    received: &RawRequest,
    found: &RouteMatch<'_>,
    principal: Principal,
    deps: &Deps,
    store: Store,
    now: Timestamp,
) -> Result<ApiRequest, ApiError> {
    let scope = found.endpoint.scope();
    if !principal.has_scope(scope) {
        return Err(ApiError::MissingScope(scope));
    }
    let route = found.route()?;
    let idempotency = if found.endpoint.creates() {
        idempotency(received, &principal)?
    } else {
        None
    };
    let (body, on_unknown_field) = if found.endpoint.reads_body() {
        (received.body().to_vec(), on_unknown_field(&received.query)?)
    } else {
        (Vec::new(), OnUnknownField::Ignore)
    };
    Ok(ApiRequest {
        route,
        principal,
        query: received.query.clone(),
        body,
        on_unknown_field,
        if_version: received
            .if_match
            .as_deref()
            .map_or(IfVersion::Any, conditional::if_match),
        idempotency,
        store,
        now,
        new_team_id: Arc::clone(&deps.new_team_id),
    })
}

/// Returns the identity by which a retry of the request is recognized, if the client sent a key.
fn idempotency(
    received: &RawRequest,
    principal: &Principal,
) -> Result<Option<Idempotency>, InvalidRequest> {
    let Some(header) = &received.idempotency_key else {
        return Ok(None);
    };
    let key = idempotency_key(header)?;
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

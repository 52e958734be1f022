//! Logs, metrics and traces of a function.
//!
//! The current invocation is a task-local value, so that use cases and the store do not pass it on.
//! Outside an invocation, as in the local stack, recording is a no-op.

mod calls;
mod emf;
mod line;
mod xray;

use std::{
    env, fmt,
    io::{self, Write as _},
    panic,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use lambda_http::{
    Context,
    tracing::subscriber::{EnvFilter, filter::LevelFilter, fmt as subscriber},
};
use tokio::task::futures::TaskLocalFuture;

pub use calls::Calls;
pub use line::JsonLines;
pub use xray::Daemon;

use muster_contracts::jobs::{UnroutedTotals, WaitingTotals};
use muster_domain::{Contract, OrganizationId, Timestamp};
use xray::Trace;

tokio::task_local! {
    static CURRENT: Arc<Invocation>;
}

/// Updates the metrics of the current invocation, if any.
pub fn record(change: impl FnOnce(&mut InvocationMetrics)) {
    let _ = CURRENT.try_with(|invocation| change(&mut invocation.metrics()));
}

/// Sets the organization of the current invocation, if any. A batch of messages can have several
/// organizations and sets none.
pub fn set_organization(organization: &OrganizationId) {
    // Later calls have no effect: a request has one organization.
    let _ = CURRENT.try_with(|invocation| invocation.organization.set(organization.clone()));
}

/// Returns the current invocation, if any.
fn current() -> Option<Arc<Invocation>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Metrics of one invocation, in addition to those of Lambda.
#[derive(Debug, Default)]
pub struct InvocationMetrics {
    /// The API request, if the invocation serves one.
    pub request: Option<Request>,
    /// Tickets that a team's strategy assigned.
    pub tickets_assigned: usize,
    /// Tickets for which no team was found.
    pub tickets_unrouted: usize,
    /// Tickets that began to wait, because their team had no eligible member.
    pub tickets_begun_waiting: usize,
    /// Totals of waiting tickets. Only the last job of a counting chain has them.
    pub waiting: Option<WaitingTotals>,
    /// Totals of unrouted tickets, under the same rule.
    pub unrouted: Option<UnroutedTotals>,
    /// Events without effect, because newer events have set their fields. Exact duplicates are not
    /// counted.
    pub superseded_events: usize,
    /// Attempts after the first: of calls with transient errors, and of decisions after a write
    /// conflict.
    pub retries: usize,
    /// Poison messages that were moved to the dead-letter queue.
    pub dead_letters: usize,
    /// Responses that were too large to save for their `Idempotency-Key`, at most one in an
    /// invocation.
    pub responses_not_saved: usize,
    /// Messages or stream records that the response names as failed, so that they are redelivered.
    pub handed_back: usize,
    /// Ticket events with an unknown priority, which counts as medium.
    pub unknown_priorities: usize,
    /// Jobs that were dropped because their chain reached its maximum length.
    pub jobs_aborted: usize,
    /// Stream records that were written to the bucket of failed records.
    pub failed_records: usize,
}

/// The loggable parts of an API request. A path is excluded, because it can contain a credential.
#[derive(Debug)]
pub struct Request {
    /// The id in the response header `X-Request-Id`.
    pub id: String,
    /// The key of the route in the template.
    pub route: String,
    /// The contract of the credential's form.
    pub contract: Option<Contract>,
    /// The status of the response, once there is one.
    pub status: Option<u16>,
}

/// The deployment that metrics belong to.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The stack's name.
    pub stack: String,
    /// The function's version. The alarms of a gradual deployment watch the new version.
    pub version: String,
    /// The log level of a line of metrics. Lambda drops lines below the level that the function is
    /// configured for.
    pub level: &'static str,
}

impl Deployment {
    /// Reads `STACK_NAME`, `AWS_LAMBDA_FUNCTION_VERSION` and `AWS_LAMBDA_LOG_LEVEL` through
    /// `variable`. `None` without a stack's name.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let stack = variable("STACK_NAME").filter(|stack| !stack.is_empty())?;
        let version =
            variable("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| "$LATEST".to_owned());
        // AWS, "Log-level filtering": a JSON line without a level counts as INFO, and each line
        // below the configured level is dropped. So metrics take the configured level where it is
        // stricter than INFO.
        // https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
        let level = match variable("AWS_LAMBDA_LOG_LEVEL").as_deref() {
            Some("WARN") => "WARN",
            Some("ERROR") => "ERROR",
            Some("FATAL") => "FATAL",
            _ => "INFO",
        };
        Some(Self {
            stack,
            version,
            level,
        })
    }
}

/// The telemetry of one execution environment and its destinations.
pub struct Telemetry {
    function: &'static str,
    /// The deployment. Without one no metrics are written.
    deployment: Option<Deployment>,
    /// The X-Ray daemon. Without one no traces are sent.
    daemon: Option<Daemon>,
    write_metrics: Box<dyn Fn(&str) + Send + Sync>,
    is_warm: AtomicBool,
}

impl Telemetry {
    /// Starts logging to the standard output. Metrics are written if `STACK_NAME` is set, and
    /// traces are sent if Lambda sets `AWS_XRAY_DAEMON_ADDRESS`.
    ///
    /// # Panics
    /// Panics if logging was started before.
    #[must_use]
    pub fn start(function: &'static str) -> Arc<Self> {
        subscriber()
            .event_format(JsonLines)
            .with_env_filter(filter())
            .with_writer(io::stdout)
            .init();
        panic::set_hook(Box::new(|panic| {
            // The message of the panic is left out, because it can quote data.
            tracing::error!(
                location = panic.location().map(tracing::field::display),
                "panicked"
            );
        }));
        let daemon = env::var("AWS_XRAY_DAEMON_ADDRESS")
            .ok()
            .and_then(|address| {
                let not_traced = |error: &io::Error| tracing::warn!(%error, "calls are not traced");
                Daemon::at(&address).inspect_err(not_traced).ok()
            });
        let deployment = Deployment::from_environment(|name| env::var(name).ok());
        Self::new(function, deployment, daemon, |line| {
            // An error means that the output is closed, so it cannot be reported either.
            let _ = writeln!(io::stdout().lock(), "{line}");
        })
    }

    /// Returns the telemetry of a function by its logical name. `write_metrics` gets one line for
    /// each invocation of a deployment.
    #[must_use]
    pub fn new(
        function: &'static str,
        deployment: Option<Deployment>,
        daemon: Option<Daemon>,
        write_metrics: impl Fn(&str) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let write_metrics = Box::new(write_metrics);
        Arc::new(Self {
            function,
            deployment,
            daemon,
            write_metrics,
            is_warm: AtomicBool::new(false),
        })
    }

    /// Begins an invocation.
    #[must_use]
    pub fn invocation(self: &Arc<Self>, context: &Context) -> Arc<Invocation> {
        Arc::new(Invocation {
            telemetry: Arc::clone(self),
            request_id: context.request_id.clone(),
            trace: context.xray_trace_id.as_deref().and_then(Trace::parse),
            is_first: !self.is_warm.swap(true, Ordering::Relaxed),
            began: Instant::now(),
            organization: OnceLock::new(),
            metrics: Mutex::default(),
        })
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("function", &self.function)
            .field("deployment", &self.deployment)
            .finish_non_exhaustive()
    }
}

/// Returns the log filter: `RUST_LOG`, else the level of Lambda's configuration, else `INFO`.
///
/// Lambda's `TRACE` is treated as `DEBUG`. At `TRACE` the runtime logs whole events with
/// credentials, and the SDK logs whole requests. Muster has no events at that level.
fn filter() -> EnvFilter {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    let level = level.min(LevelFilter::DEBUG);
    // The runtime logs a panic or error of the handler again, after the panic hook and the handler.
    let repeated = "lambda_runtime::layers::panic=off"
        .parse()
        .expect("a target and a level");
    EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy()
        .add_directive(repeated)
}

/// One invocation of a function. Dropping it writes its metrics, in at most one line, also after a
/// panic.
#[derive(Debug)]
pub struct Invocation {
    telemetry: Arc<Telemetry>,
    request_id: String,
    trace: Option<Trace>,
    is_first: bool,
    began: Instant,
    /// Outside the mutex of the metrics: a log line reads the organization, also one that is
    /// written while the metrics are locked.
    organization: OnceLock<OrganizationId>,
    metrics: Mutex<InvocationMetrics>,
}

impl Invocation {
    /// Runs a future as a part of this invocation.
    pub fn observe<F: Future>(self: Arc<Self>, future: F) -> TaskLocalFuture<Arc<Self>, F> {
        CURRENT.scope(self, future)
    }

    /// Runs a function as a part of this invocation.
    pub fn run<R>(self: &Arc<Self>, run: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(Arc::clone(self), run)
    }

    fn metrics(&self) -> MutexGuard<'_, InvocationMetrics> {
        // A panic during an update loses at most that update, so a poisoned mutex is usable.
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the trace and its daemon, if the invocation is sampled.
    fn sampled(&self) -> Option<(&Trace, &Daemon)> {
        self.trace
            .as_ref()
            .filter(|trace| trace.is_sampled)
            .zip(self.telemetry.daemon.as_ref())
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(deployment) = &self.telemetry.deployment
            && let Some(line) = emf::line(self, deployment, &self.metrics(), took, Timestamp::now())
        {
            (self.telemetry.write_metrics)(&line);
        }
    }
}

//! What a function tells of itself: lines of its log, metrics, and the calls of a trace, each with
//! the invocation that it belongs to.
//!
//! An invocation is known to whatever runs in its task, so that neither a use case nor the store
//! hands it on. Where there is none, as in the local stack, nothing is recorded, and it costs
//! nothing.

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

use muster_contracts::jobs::WaitingTotals;
use muster_domain::{Contract, OrganizationId, Timestamp};
use xray::Trace;

tokio::task_local! {
    static PRESENT: Arc<Invocation>;
}

/// Changes what is told of the present invocation, if there is one.
pub fn record(change: impl FnOnce(&mut InvocationMetrics)) {
    let _ = PRESENT.try_with(|invocation| change(&mut invocation.measured()));
}

/// Tells whose data the present invocation works on, if there is one. A batch of messages may be of
/// several organizations, and is of none here.
pub fn set_organization(organization: &OrganizationId) {
    // It stays the first's: a request is of one.
    let _ = PRESENT.try_with(|invocation| invocation.organization.set(organization.clone()));
}

/// The present invocation.
fn present() -> Option<Arc<Invocation>> {
    PRESENT.try_with(Arc::clone).ok()
}

/// What an invocation did, beyond what Lambda counts by itself.
#[derive(Debug, Default)]
pub struct InvocationMetrics {
    /// The request that it serves, if it serves one.
    pub request: Option<Request>,
    /// Tickets that a team's strategy gave to somebody.
    pub tickets_assigned: usize,
    /// Tickets for which no team was found.
    pub tickets_unrouted: usize,
    /// Tickets that began to wait with a team in which nobody was eligible.
    pub tickets_begun_waiting: usize,
    /// Who waits, where the invocation was the last to look: tickets, and the teams that they wait
    /// with.
    pub waiting: Option<WaitingTotals>,
    /// Events that changed nothing because newer ones have set what they mention. An exact
    /// duplicate is not among them.
    pub superseded_events: usize,
    /// Attempts beyond the first, at calls and at decisions that somebody else made stale.
    pub retries: usize,
    /// Messages that were sent to a queue of dead letters.
    pub dead_letters: usize,
    /// Responses that were too large to be saved for their `Idempotency-Key`: one or none in an
    /// invocation.
    pub responses_not_saved: usize,
    /// Messages or stream records that the response names as failed, so that they are redelivered.
    pub handed_back: usize,
    /// Ticket events with a priority that is not known, which counts as medium.
    pub unknown_priorities: usize,
    /// Jobs that ended unfinished, since their chain is as long as it may become.
    pub jobs_aborted: usize,
    /// Records of the table's stream that were put into the bucket of failed records.
    pub failed_records: usize,
}

/// A request of the API, reduced to what may be told of it: a path could carry a credential.
#[derive(Debug)]
pub struct Request {
    /// The id that the client is told.
    pub id: String,
    /// The route's key in the template.
    pub route: String,
    /// The contract that the credential's form belongs to.
    pub contract: Option<Contract>,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
}

/// The origin of an instance's metrics.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The stack's name.
    pub stack: String,
    /// The function's version, by which the alarm of a deployment finds the failures of the new
    /// one.
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

/// What one instance of a function tells, and where to. One for the life of the instance.
pub struct Telemetry {
    function: &'static str,
    /// The deployment whose metrics these are. None are written without one.
    deployment: Option<Deployment>,
    /// Where traces go. None do without one.
    daemon: Option<Daemon>,
    write_metrics: Box<dyn Fn(&str) + Send + Sync>,
    is_warm: AtomicBool,
}

impl Telemetry {
    /// Starts logging to the standard output, and reads from the environment what else is wanted:
    /// metrics where `STACK_NAME` is set, traces where Lambda's `AWS_XRAY_DAEMON_ADDRESS` is.
    ///
    /// # Panics
    /// Logging was started before.
    #[must_use]
    pub fn start(function: &'static str) -> Arc<Self> {
        subscriber()
            .event_format(JsonLines)
            .with_env_filter(filter())
            .with_writer(io::stdout)
            .init();
        panic::set_hook(Box::new(|panic| {
            // Without its message, which may quote whatever was being worked on.
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
            // Nobody is left to be told of an output that is closed.
            let _ = writeln!(io::stdout().lock(), "{line}");
        })
    }

    /// Telemetry of a function by its logical name. The metrics of a deployment go to
    /// `write_metrics`, a line each time.
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
            measured: Mutex::default(),
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

/// What is logged: by `RUST_LOG`, else from the level on that Lambda is configured for, else what
/// is informational or worse.
///
/// Lambda's `TRACE` is no more than `DEBUG`: Muster has nothing to add there, but the runtime would
/// write whole events, credentials included, and the SDK whole requests.
fn filter() -> EnvFilter {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    let level = level.min(LevelFilter::DEBUG);
    // What the runtime says of a handler's panic or error is known by then, with where and why.
    let repeated = "lambda_runtime::layers::panic=off"
        .parse()
        .expect("a target and a level");
    EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy()
        .add_directive(repeated)
}

/// One invocation of a function. When it is over, by whatever end, its metrics are written: at most
/// one line.
#[derive(Debug)]
pub struct Invocation {
    telemetry: Arc<Telemetry>,
    request_id: String,
    trace: Option<Trace>,
    is_first: bool,
    began: Instant,
    /// Apart from what is measured: every line of the log looks for it, even one that is written
    /// while something is counted.
    organization: OnceLock<OrganizationId>,
    measured: Mutex<InvocationMetrics>,
}

impl Invocation {
    /// Has a future run as a part of this invocation.
    pub fn observe<F: Future>(self: Arc<Self>, future: F) -> TaskLocalFuture<Arc<Self>, F> {
        PRESENT.scope(self, future)
    }

    /// Runs a function as a part of this invocation.
    pub fn run<R>(self: &Arc<Self>, run: impl FnOnce() -> R) -> R {
        PRESENT.sync_scope(Arc::clone(self), run)
    }

    fn measured(&self) -> MutexGuard<'_, InvocationMetrics> {
        // A change that panicked has at worst not counted.
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its trace, and the daemon that takes it, if it is one of those that are traced.
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
            && let Some(line) =
                emf::line(self, deployment, &self.measured(), took, Timestamp::now())
        {
            (self.telemetry.write_metrics)(&line);
        }
    }
}

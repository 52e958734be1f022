//! Metrics in CloudWatch's embedded metric format. One log line has the metrics of an invocation
//! and the properties to search for. CloudWatch extracts the metrics from the log, so that a
//! function makes no call.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Deployment, Invocation, InvocationMetrics, Request};
use muster_domain::{Contract, OrganizationId, Timestamp};

const NAMESPACE: &str = "Muster";

/// A metric: its name and unit.
type Metric = (&'static str, &'static str);

// The dashboard and the alarms of the template use these names.
const LATENCY: Metric = ("Latency", "Milliseconds");
const FAILURES: Metric = ("Failures", "Count");
const TICKETS_ASSIGNED: Metric = ("TicketsAssigned", "Count");
const TICKETS_UNROUTED: Metric = ("TicketsUnrouted", "Count");
const TICKETS_BEGUN_WAITING: Metric = ("TicketsBegunWaiting", "Count");
const TICKETS_WAITING: Metric = ("TicketsWaiting", "Count");
const TEAMS_WAITING: Metric = ("TeamsWaiting", "Count");
const UNROUTED_TICKETS: Metric = ("UnroutedTickets", "Count");
const SUPERSEDED_EVENTS: Metric = ("SupersededEvents", "Count");
const RETRIES: Metric = ("Retries", "Count");
const DEAD_LETTERS: Metric = ("DeadLetters", "Count");
const RESPONSES_NOT_SAVED: Metric = ("ResponsesNotSaved", "Count");
const UNKNOWN_PRIORITIES: Metric = ("UnknownPriorities", "Count");
const JOBS_ABORTED: Metric = ("JobsAborted", "Count");
const FAILED_RECORDS: Metric = ("FailedRecords", "Count");
const COLD_START: Metric = ("ColdStart", "Count");
const MESSAGES_HANDED_BACK: Metric = ("MessagesHandedBack", "Count");
const FAILED_INVOCATIONS: Metric = ("FailedInvocations", "Count");

const OF_THE_STACK: &[&[&str]] = &[&["Stack"]];
const BY_ROUTE: &[&[&str]] = &[&["Stack"], &["Stack", "Route", "Contract"]];
const BY_FUNCTION: &[&[&str]] = &[&["Stack"], &["Stack", "Function"]];
const OF_THE_FUNCTION: &[&[&str]] = &[&["Stack", "Function"]];
/// CloudWatch bills each version as a metric of its own, for each hour in which it has a value. So
/// only failures are counted by version: a version without failures adds no cost.
const BY_VERSION: &[&[&str]] = &[&["Stack", "Function", "Version"]];

/// Returns the line of an invocation, without a line break. `None` without metrics: a zero is not
/// written. A request and the totals of waiting and of unrouted tickets are always written.
pub(super) fn line(
    invocation: &Invocation,
    deployment: &Deployment,
    metrics: &InvocationMetrics,
    took: Duration,
    now: Timestamp,
) -> Option<String> {
    let mut line = MetricLine::default();
    if let Some(request) = &metrics.request {
        line.add_request(request, took);
    }
    line.add_counts(metrics);
    line.count(
        OF_THE_FUNCTION,
        invocation.is_first.then(|| (COLD_START, 1.into())),
    );
    if line.directives.is_empty() {
        return None;
    }
    line.add_properties(invocation, deployment, now);
    line.members.insert(
        "_aws".to_owned(),
        json!({ "Timestamp": now.millis(), "CloudWatchMetrics": line.directives }),
    );
    Some(Value::Object(line.members).to_string())
}

/// Returns true if the invocation counts against its version. A 503 does not: the table is
/// throttled or out of reach then, for every version.
fn is_failed(metrics: &InvocationMetrics) -> bool {
    let is_failed_status =
        |status: Option<u16>| status.is_none_or(|status| status >= 500 && status != 503);
    metrics.handed_back > 0
        || metrics
            .request
            .as_ref()
            .is_some_and(|request| is_failed_status(request.status))
}

fn counted((metric, times): (Metric, usize)) -> Option<(Metric, Value)> {
    (times > 0).then(|| (metric, times.into()))
}

/// Returns milliseconds, rounded to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[derive(Default)]
struct MetricLine {
    members: Map<String, Value>,
    directives: Vec<Value>,
}

impl MetricLine {
    /// Adds the metrics of a request, and the properties to search for it.
    fn add_request(&mut self, request: &Request, took: Duration) {
        let Request {
            id,
            route,
            contract,
            status,
        } = request;
        let is_failure = status.is_none_or(|status| status >= 500);
        let of_request = [
            (LATENCY, Value::from(milliseconds(took))),
            (FAILURES, Value::from(u8::from(is_failure))),
        ];
        self.count(BY_ROUTE, of_request);
        self.field("Route", &**route);
        self.field("Contract", contract.map_or("none", Contract::as_str));
        self.field("gatewayRequestId", &**id);
        self.field("status", *status);
    }

    /// Adds the metrics that do not depend on a request's route.
    fn add_counts(&mut self, metrics: &InvocationMetrics) {
        let InvocationMetrics {
            request: _,
            tickets_assigned,
            tickets_unrouted,
            tickets_begun_waiting,
            waiting,
            unrouted,
            superseded_events,
            retries,
            dead_letters,
            responses_not_saved,
            handed_back,
            unknown_priorities,
            jobs_aborted,
            failed_records,
        } = metrics;
        let tickets = [
            (TICKETS_ASSIGNED, *tickets_assigned),
            (TICKETS_UNROUTED, *tickets_unrouted),
            (TICKETS_BEGUN_WAITING, *tickets_begun_waiting),
            (UNKNOWN_PRIORITIES, *unknown_priorities),
        ];
        self.count(OF_THE_STACK, tickets.into_iter().filter_map(counted));
        if let Some(waiting) = waiting {
            let waiting = [
                (TICKETS_WAITING, waiting.tickets),
                (TEAMS_WAITING, waiting.teams),
            ];
            self.count(
                OF_THE_STACK,
                waiting.map(|(metric, count)| (metric, count.into())),
            );
        }
        if let Some(unrouted) = unrouted {
            self.count(OF_THE_STACK, [(UNROUTED_TICKETS, unrouted.tickets.into())]);
            if unrouted.at_least {
                self.field("unroutedAtLeast", true);
            }
        }
        let by_function = [
            (SUPERSEDED_EVENTS, *superseded_events),
            (RETRIES, *retries),
            (DEAD_LETTERS, *dead_letters),
            (RESPONSES_NOT_SAVED, *responses_not_saved),
            (MESSAGES_HANDED_BACK, *handed_back),
        ];
        self.count(BY_FUNCTION, by_function.into_iter().filter_map(counted));
        self.count(
            BY_VERSION,
            is_failed(metrics).then(|| (FAILED_INVOCATIONS, 1.into())),
        );
        let given_up = [
            (JOBS_ABORTED, *jobs_aborted),
            (FAILED_RECORDS, *failed_records),
        ];
        self.count(OF_THE_STACK, given_up.into_iter().filter_map(counted));
    }

    /// Adds the time of the line and the properties of the function and the invocation.
    fn add_properties(&mut self, invocation: &Invocation, deployment: &Deployment, now: Timestamp) {
        let Deployment {
            stack,
            version,
            level,
        } = deployment;
        self.field("timestamp", now.iso8601_millis());
        self.field("level", *level);
        self.field("Stack", &**stack);
        self.field("Function", invocation.telemetry.function);
        self.field("Version", &**version);
        self.field("requestId", &*invocation.request_id);
        self.field(
            "traceId",
            invocation.trace.as_ref().map(|trace| &*trace.root),
        );
        self.field(
            "organization",
            invocation.organization.get().map(OrganizationId::as_str),
        );
    }

    /// Counts metrics under each set of dimensions.
    fn count(
        &mut self,
        dimensions: &[&[&str]],
        metrics: impl IntoIterator<Item = (Metric, Value)>,
    ) {
        let mut definitions = Vec::new();
        for ((name, unit), value) in metrics {
            definitions.push(json!({ "Name": name, "Unit": unit }));
            self.field(name, value);
        }
        if !definitions.is_empty() {
            self.directives.push(
                json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions }),
            );
        }
    }

    /// Adds a member, unless its value is null.
    fn field(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() {
            self.members.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let documented = include_str!("../../../../docs/observability.md");
        for (metrics, dimensions) in [
            (&[LATENCY, FAILURES][..], BY_ROUTE),
            (
                &[TICKETS_ASSIGNED, TICKETS_UNROUTED, TICKETS_BEGUN_WAITING],
                OF_THE_STACK,
            ),
            (
                &[TICKETS_WAITING, TEAMS_WAITING, UNROUTED_TICKETS],
                OF_THE_STACK,
            ),
            (
                &[
                    SUPERSEDED_EVENTS,
                    RETRIES,
                    DEAD_LETTERS,
                    RESPONSES_NOT_SAVED,
                    MESSAGES_HANDED_BACK,
                ],
                BY_FUNCTION,
            ),
            (&[UNKNOWN_PRIORITIES], OF_THE_STACK),
            (&[JOBS_ABORTED, FAILED_RECORDS], OF_THE_STACK),
            (&[COLD_START], OF_THE_FUNCTION),
            (&[FAILED_INVOCATIONS], BY_VERSION),
        ] {
            let dimensions = dimensions
                .iter()
                .map(|set| set.join(", "))
                .collect::<Vec<_>>()
                .join("; ");
            for (name, unit) in metrics {
                let row = format!("| `{name}` | {unit} | {dimensions} |");
                assert!(documented.contains(&row), "{row}");
            }
        }
    }

    #[test]
    fn milliseconds_are_rounded_to_the_microsecond() {
        for (nanos, expected) in [
            (0, 0.0),
            (1_234_567, 1.235),
            (25_000_000, 25.0),
            (1_500_000_499, 1500.0),
        ] {
            assert!(
                (milliseconds(Duration::from_nanos(nanos)) - expected).abs() < f64::EPSILON,
                "{nanos}"
            );
        }
    }
}

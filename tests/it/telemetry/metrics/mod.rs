//! The metrics of an invocation.

mod batches;
mod jobs;
mod requests;

use muster_domain::Timestamp;
use serde_json::{Value, json};

/// Removes the times of a metric line, after checking them.
fn without_times(mut line: Value) -> Value {
    assert!(
        line["_aws"]["Timestamp"]
            .take()
            .as_i64()
            .is_some_and(|at| at <= Timestamp::now().millis()),
        "{line}"
    );
    assert!(
        line["timestamp"]
            .take()
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{line}"
    );
    if let Some(latency) = line.get_mut("Latency") {
        assert!(
            latency.take().as_f64().is_some_and(|latency| latency > 0.0),
            "{line}"
        );
    }
    line
}

/// Returns the metric definitions of a line.
fn metric_definitions(dimensions: &Value, names: &[&str]) -> Value {
    let unit = |name: &&str| json!({ "Name": name, "Unit": if *name == "Latency" { "Milliseconds" } else { "Count" } });
    json!({ "Namespace": "Muster", "Dimensions": dimensions, "Metrics": names.iter().map(unit).collect::<Vec<_>>() })
}

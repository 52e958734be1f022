//! The lines of the log that say what failed.

use std::{sync::mpsc, thread, time::Duration};

use muster::{domain::OrganizationId, telemetry};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::told::Listener;

/// What happens while something is counted is told too.
#[test]
fn a_change_that_logs_holds_up_nobody() {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || {
        let listener = Listener::to("teams", "info", None);
        let told = async {
            telemetry::about(&OrganizationId::parse("acme").expect("of the right form"));
            telemetry::record(|measured| {
                tracing::warn!("told in between");
                measured.retries += 1;
            });
        };
        Runtime::new().expect("a runtime can be made").block_on(listener.invoke(false, told));
        sender.send(listener.lines()).expect("the test waits");
    });
    let (log, metrics) = done.recv_timeout(Duration::from_mins(1)).expect("it comes to an end");
    assert_eq!((&log[0]["message"], &log[0]["organization"]), (&json!("told in between"), &json!("acme")));
    assert_eq!((&metrics[0]["Retries"], &metrics[0]["organization"]), (&json!(1), &json!("acme")));
}

//! The stock of unrouted tickets: the mark by which the schedule finds organizations, and the
//! count.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use muster_domain::Timestamp;
use muster_jobs::Pace;
use muster_service::store::Table;
use serde_json::json;

use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault, STOCK_MARKS},
    log_capture::LogCapture,
    org::{NOW, OrgFixture},
    sqs::{invoke_assignment, invoke_jobs_within},
    table::text,
};

const HOUR: i64 = 3_600;

/// An organization without teams, so that each open ticket is unrouted. Its user makes it known:
/// events of unknown organizations are dead letters.
async fn organization() -> OrgFixture {
    OrgFixture::open(&Stack::shared(), 1, &[]).await
}

/// Returns an instance of the assignment function.
fn instance(org: &OrgFixture, script: &FaultScript) -> muster_assignment::Deps {
    org.assignment_over(Table::new(
        script.client(&org.stack),
        org.stack.table.as_str(),
    ))
}

/// Sends a ticket event to an instance, this many seconds after [`NOW`].
async fn send(
    org: &OrgFixture,
    instance: &muster_assignment::Deps,
    (id, status): (&str, &str),
    seconds: i64,
) {
    let deps = muster_assignment::Deps {
        clock: Arc::new(move || Timestamp::from_secs(NOW + seconds)),
        ..instance.clone()
    };
    let kind = if status == "open" {
        "created"
    } else {
        "updated"
    };
    let event = org.ticket_event(kind, id, 100 - seconds, json!({ "status": status }));
    assert_eq!(invoke_assignment(&deps, &[event]).await, [0; 0]);
}

/// Runs the schedule this many seconds after [`NOW`]. Returns the line of its metrics.
async fn schedule(
    org: &OrgFixture,
    script: &FaultScript,
    pace: Pace,
    seconds: i64,
) -> serde_json::Value {
    let deps = muster_jobs::Deps {
        table: Table::new(script.client(&org.stack), org.stack.table.as_str()),
        jobs: org.jobs.job_queues(),
        clock: Arc::new(move || Timestamp::from_secs(NOW + seconds)),
        pace,
    };
    let capture = LogCapture::to("jobs", "info", None);
    let restart = [json!({ "job": "restart_unfinished" }).to_string()];
    let ran = invoke_jobs_within(&deps, &restart, Duration::from_mins(1));
    assert_eq!(capture.invoke(false, ran).await.1, [0; 0]);
    capture.lines().1.pop().expect("a line of metrics")
}

/// Returns true if the schedule finds the organization.
async fn is_marked(org: &OrgFixture) -> bool {
    let key = (format!("ORG#{}#STOCK", org.id), "STOCK".to_owned());
    let audit = org.read_table().await;
    audit
        .items
        .get(&key)
        .is_some_and(|item| text(item, "gsi1pk").starts_with("WORK#"))
}

#[tokio::test]
async fn instance_marks_the_stock_once_an_hour() {
    let org = organization().await;
    let (script, other) = (FaultScript::default(), FaultScript::default());
    let deps = instance(&org, &script);
    for (id, seconds, expected) in [
        ("T-1", 0, 1),
        ("T-2", 10, 1),
        ("T-3", HOUR - 1, 1),
        ("T-4", HOUR, 2),
    ] {
        send(&org, &deps, (id, "open"), seconds).await;
        assert_eq!(script.calls(STOCK_MARKS), expected, "{id}");
    }
    assert!(is_marked(&org).await);
    // Each instance relies on its own mark.
    send(&org, &instance(&org, &other), ("T-5", "open"), HOUR).await;
    assert_eq!(other.calls(STOCK_MARKS), 1);
    let line = schedule(&org, &FaultScript::default(), Pace::default(), HOUR).await;
    assert_eq!(line["UnroutedTickets"], 5, "{line}");
    assert_eq!(line.get("unroutedAtLeast"), None, "{line}");
}

#[tokio::test]
async fn mark_of_the_stock_ends_without_tickets() {
    let org = organization().await;
    let (script, pace) = (FaultScript::default(), Pace::default());
    let deps = instance(&org, &script);
    send(&org, &deps, ("T-1", "open"), 0).await;
    // A mark outlives its age while a ticket is unrouted.
    let line = schedule(&org, &script, pace, 9 * HOUR).await;
    assert_eq!(line["UnroutedTickets"], 1, "{line}");
    assert!(is_marked(&org).await);
    send(&org, &deps, ("T-1", "resolved"), 60).await;
    for (seconds, expected) in [(2 * HOUR - 1, true), (2 * HOUR, false)] {
        let line = schedule(&org, &script, pace, seconds).await;
        assert_eq!(line["UnroutedTickets"], 0, "{line}");
        assert_eq!(is_marked(&org).await, expected, "{seconds}");
    }
    send(&org, &instance(&org, &script), ("T-2", "open"), 3 * HOUR).await;
    assert!(is_marked(&org).await);
    assert_eq!(
        schedule(&org, &script, pace, 3 * HOUR).await["UnroutedTickets"],
        1
    );
}

/// A ticket becomes unrouted after the count and before the removal of the mark.
#[tokio::test]
async fn mark_set_during_the_count_is_not_removed() {
    let org = Arc::new(organization().await);
    let quiet = FaultScript::default();
    let deps = instance(&org, &quiet);
    send(&org, &deps, ("T-1", "open"), 0).await;
    send(&org, &deps, ("T-1", "resolved"), 60).await;
    let script = FaultScript::default();
    let arrives = {
        let org = Arc::clone(&org);
        move || {
            let org = Arc::clone(&org);
            async move {
                let other = instance(&org, &FaultScript::default());
                send(&org, &other, ("T-2", "open"), 3 * HOUR).await;
            }
            .boxed()
        }
    };
    script.once(STOCK_MARKS, InjectedFault::RunFirst(Arc::new(arrives)));
    let line = schedule(&org, &script, Pace::default(), 3 * HOUR).await;
    assert_eq!(line["UnroutedTickets"], 0, "{line}");
    assert!(script.is_consumed());
    assert!(is_marked(&org).await);
    let line = schedule(&org, &quiet, Pace::default(), 3 * HOUR).await;
    assert_eq!(line["UnroutedTickets"], 1, "{line}");
}

#[tokio::test]
async fn count_ends_after_20_pages() {
    let org = organization().await;
    let script = FaultScript::default();
    let bodies: Vec<_> = (0..41)
        .map(|n| org.ticket_event("created", &format!("T-{n}"), 100, json!({})))
        .collect();
    assert_eq!(
        invoke_assignment(&instance(&org, &script), &bodies).await,
        [0; 0]
    );
    for (count_page, tickets, at_least) in [(2, 40, true), (3, 41, false)] {
        let pace = Pace {
            count_page,
            ..Pace::default()
        };
        let line = schedule(&org, &script, pace, 0).await;
        assert_eq!(line["UnroutedTickets"], tickets, "{line}");
        assert_eq!(line.get("unroutedAtLeast").is_some(), at_least, "{line}");
    }
}

/// The mark precedes the ticket, so a failure of the mark writes no ticket.
#[tokio::test]
async fn ticket_is_not_written_without_the_mark() {
    let org = organization().await;
    let script = FaultScript::default();
    let deps = instance(&org, &script);
    script.once(
        STOCK_MARKS,
        InjectedFault::Respond(400, "AccessDeniedException"),
    );
    let event = org.ticket_event("created", "T-1", 100, json!({}));
    let events = [event];
    assert_eq!(invoke_assignment(&deps, &events).await, [0]);
    assert!(org.read_table().await.tickets.is_empty());
    assert_eq!(invoke_assignment(&deps, &events).await, [0; 0]);
    assert!(is_marked(&org).await);
}

//! The metrics of batches of events.

use std::time::Duration;

use muster_domain::{QueueStrategy, Timestamp};
use muster_jobs::Pace;
use muster_service::store::Table;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{metric_definitions, without_times};
use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault, WRITES},
    log_capture::{LogCapture, ROOT},
    org::{NOW, OrgFixture, TeamFixture, team},
    sqs::{
        invoke_assignment, invoke_assignment_within, invoke_directory_within, invoke_jobs_within,
    },
};

/// Opens an organization in which team 0 has members, team 1 has none, and no team specializes in
/// printers.
async fn organization_of_two_teams() -> OrgFixture {
    let teams = [
        TeamFixture::of(QueueStrategy::RoundRobin, [0, 1]),
        TeamFixture::of(QueueStrategy::LeastBusy, []),
    ];
    OrgFixture::open(&Stack::shared(), 2, &teams).await
}

/// Returns the events of ten new tickets: five for team 0, three for team 1 with an unknown
/// priority, and two without a team.
fn ten_tickets(org: &OrgFixture) -> Vec<String> {
    let ticket = |id: &str, ticket: Value| org.ticket_event("created", id, 100, ticket);
    let mut bodies: Vec<_> = (0..5)
        .map(|n| ticket(&format!("T-{n}"), json!({ "team_id": team(0) })))
        .collect();
    bodies.extend((5..8).map(|n| {
        ticket(
            &format!("T-{n}"),
            json!({ "team_id": team(1), "priority": "P1" }),
        )
    }));
    bodies.extend((8..10).map(|n| ticket(&format!("T-{n}"), json!({ "category": "printers" }))));
    bodies
}

/// Returns the metric line of the batch of [`ten_tickets`] and two poison messages.
fn expected_line(request_id: &str) -> Value {
    json!({
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [
                metric_definitions(
                    &json!([["Stack"]]),
                    &["TicketsAssigned", "TicketsUnrouted", "TicketsBegunWaiting", "UnknownPriorities"],
                ),
                metric_definitions(&json!([["Stack"], ["Stack", "Function"]]), &["Retries", "DeadLetters"]),
                metric_definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
            ],
        },
        "timestamp": null,
        "level": "INFO",
        "Stack": "test",
        "Function": "assignment",
        "Version": "7",
        "TicketsAssigned": 5,
        "TicketsUnrouted": 2,
        "TicketsBegunWaiting": 3,
        "UnknownPriorities": 3,
        "Retries": 2,
        "DeadLetters": 2,
        "ColdStart": 1,
        "requestId": request_id,
        "traceId": ROOT,
    })
}

#[tokio::test]
async fn batch_counts_decisions_retries_and_dead_letters() {
    let org = organization_of_two_teams().await;
    let script = FaultScript::default();
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let deps = org.assignment_over(table.clone());
    let capture = LogCapture::to("assignment", "info", None);

    let mut bodies = ten_tickets(&org);
    let ticket = |id: &str, ticket: Value| org.ticket_event("created", id, 100, ticket);
    bodies.push("{".to_owned());
    bodies.push(ticket("T-poison", json!({ "status": "lost" })));
    script.once(WRITES, InjectedFault::Respond(400, "ThrottlingException"));
    script.once(WRITES, InjectedFault::Canceled("ConditionalCheckFailed"));

    let (request_id, failed) = capture
        .invoke(false, invoke_assignment(&deps, &bodies))
        .await;
    assert_eq!(failed, [0; 0]);
    let (log, metrics) = capture.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    assert_eq!(without_times(line), expected_line(&request_id));

    let logged = |field: &'static str| {
        log.iter()
            .map(move |line| line.get(field).unwrap_or(&Value::Null))
    };
    assert!(logged("requestId").all(|id| *id == request_id), "{log:?}");
    assert_eq!(
        logged("message").collect::<Vec<_>>(),
        ["poison", "poison", "batch done"]
    );
    assert_eq!(
        logged("ticket").collect::<Vec<_>>(),
        [&Value::Null, &json!("T-poison"), &Value::Null]
    );
    assert_eq!(log[2]["poison"], 2);

    // A repeated event makes no new decision.
    let known_priorities = [&bodies[..5], &bodies[8..10]].concat();
    let (_, failed) = capture
        .invoke(false, invoke_assignment(&deps, &known_priorities))
        .await;
    assert_eq!(failed, [0; 0]);
    assert_eq!(capture.lines().1, [json!(null); 0], "no metric changes");
}

#[tokio::test]
async fn job_emits_stock_metrics_even_if_zero() {
    let org = organization_of_two_teams().await;
    let table = Table::new(org.stack.dynamodb(), org.stack.table.as_str());
    let deps = org.assignment_over(table.clone());
    assert_eq!(invoke_assignment(&deps, &ten_tickets(&org)).await, [0; 0]);
    let capture = LogCapture::to("jobs", "info", None);
    // The first invocation of an instance also emits `ColdStart`.
    capture.invoke(false, async {}).await;
    capture.text();
    let clock = std::sync::Arc::new(|| Timestamp::from_secs(NOW));
    let jobs = muster_jobs::Deps {
        table,
        jobs: org.jobs.job_queues(),
        clock,
        pace: Pace::default(),
    };
    let restart = [json!({ "job": "restart_unfinished" }).to_string()];
    let waiting = async || {
        let (_, failed) = capture
            .invoke(
                false,
                invoke_jobs_within(&jobs, &restart, Duration::from_mins(1)),
            )
            .await;
        assert_eq!(failed, [0; 0]);
        let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([
                metric_definitions(&json!([["Stack"]]), &["TicketsWaiting", "TeamsWaiting"]),
                metric_definitions(&json!([["Stack"]]), &["UnroutedTickets"])
            ])
        );
        ["TicketsWaiting", "TeamsWaiting", "UnroutedTickets"].map(|metric| line[metric].clone())
    };
    assert_eq!(waiting().await, [3, 1, 2].map(|count| json!(count)));
    org.join(1, 0, &[]).await;
    let drained = org
        .jobs
        .take()
        .into_iter()
        .map(|sent| sent.body)
        .collect::<Vec<_>>();
    let (_, failed) = capture
        .invoke(
            false,
            invoke_jobs_within(&jobs, &drained, Duration::from_mins(1)),
        )
        .await;
    assert_eq!(failed, [0; 0]);
    let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
    assert_eq!(
        line["TicketsAssigned"], 3,
        "decisions of jobs count, too: {line}"
    );
    assert_eq!(waiting().await, [0, 0, 2].map(|count| json!(count)));
}

#[tokio::test]
async fn superseded_ticket_events_are_counted() {
    let org = OrgFixture::open(
        &Stack::shared(),
        1,
        &[TeamFixture::of(QueueStrategy::RoundRobin, [0])],
    )
    .await;
    let table = Table::new(org.stack.dynamodb(), org.stack.table.as_str());
    let by_function = json!([["Stack"], ["Stack", "Function"]]);

    let deps = org.assignment_over(table);
    let capture = LogCapture::to("assignment", "info", None);
    // The fixed creation time keeps an older event from changing it.
    let event = |ago| {
        org.ticket_event(
            "updated",
            "T-0",
            ago,
            json!({ "team_id": team(0), "created_at": NOW - 900 }),
        )
    };
    for (batch, superseded) in [
        (vec![event(100)], Value::Null),
        (vec![event(100)], Value::Null),
        (vec![event(200), event(100), event(300)], json!(2)),
        // Events that only later events of the same batch supersede are applied in version order.
        (vec![event(50), event(60)], Value::Null),
    ] {
        let (_, failed) = capture
            .invoke(false, invoke_assignment(&deps, &batch))
            .await;
        assert_eq!(failed, [0; 0]);
        let lines = capture.lines().1;
        assert_eq!(
            lines
                .iter()
                .find_map(|line| line.get("SupersededEvents"))
                .unwrap_or(&Value::Null),
            &superseded
        );
        if superseded != Value::Null {
            let defined = &lines[0]["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(
                defined,
                &metric_definitions(&by_function, &["SupersededEvents"])
            );
        }
    }
}

#[tokio::test]
async fn superseded_user_events_are_counted() {
    // The directory skips events of an organization without items.
    let team = TeamFixture::of(QueueStrategy::RoundRobin, [0]);
    let org = OrgFixture::open(&Stack::shared(), 1, &[team]).await;
    let table = Table::new(org.stack.dynamodb(), org.stack.table.as_str());
    let capture = LogCapture::to("directory", "info", None);
    let deps = muster_directory::Deps {
        table,
        dead_letters: org.dead_letters.queue(),
        clock: std::sync::Arc::new(|| Timestamp::from_secs(NOW)),
    };
    let event = |at: i64| {
        let user = json!({ "id": Uuid::from_u128(77).to_string(), "name": "Kim", "status": "active", "updated_at": at });
        json!({
            "specversion": "1.0", "id": format!("e-{at}"), "source": "desk", "type": "user.updated",
            "data": { "organization_id": org.id.as_str(), "user": user },
        })
        .to_string()
    };
    for (batch, superseded) in [
        (vec![event(5)], Value::Null),
        (vec![event(5)], Value::Null),
        (vec![event(5), event(4)], json!(1)),
    ] {
        let (_, failed) = capture
            .invoke(
                false,
                invoke_directory_within(&deps, &batch, Duration::from_mins(1)),
            )
            .await;
        assert_eq!(failed, [0; 0]);
        let lines = capture.lines().1;
        assert_eq!(
            lines
                .iter()
                .find_map(|line| line.get("SupersededEvents"))
                .unwrap_or(&Value::Null),
            &superseded
        );
    }
}

#[tokio::test]
async fn failed_batch_is_logged_once_with_its_cause() {
    let org = OrgFixture::open(
        &Stack::shared(),
        1,
        &[TeamFixture::of(QueueStrategy::RoundRobin, [0])],
    )
    .await;
    let script = FaultScript::default();
    script.always(WRITES, InjectedFault::Respond(400, "AccessDeniedException"));
    let deps = org.assignment_over(Table::new(
        script.client(&org.stack),
        org.stack.table.as_str(),
    ));
    let capture = LogCapture::to("assignment", "info", None);
    let bodies: Vec<_> = (0..3)
        .map(|n| {
            org.ticket_event(
                "created",
                &format!("T-{n}"),
                100,
                json!({ "team_id": team(0) }),
            )
        })
        .collect();
    let (_, failed) = capture
        .invoke(
            false,
            invoke_assignment_within(&deps, &bodies, Duration::from_secs(5)),
        )
        .await;
    assert_eq!(failed, [0, 1, 2]);
    let (log, metrics) = capture.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    assert_counts_a_failed_batch(&line);
    let [error, batch] = <[Value; 2]>::try_from(log).expect("two lines");
    let logged =
        ["level", "message", "organization"].map(|field| error[field].as_str().unwrap_or_default());
    assert_eq!(
        logged,
        [
            "ERROR",
            "messages failed; SQS redelivers them",
            org.id.as_str()
        ]
    );
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|error| error.contains("AccessDenied")),
        "{error}"
    );
    assert_eq!(
        (&batch["message"], &batch["failed"]),
        (&json!("batch done"), &json!(3))
    );
}

/// Asserts that a line of metrics has the counts of a first invocation that handed back 3 messages.
fn assert_counts_a_failed_batch(line: &Value) {
    let counted = json!([
        metric_definitions(
            &json!([["Stack"], ["Stack", "Function"]]),
            &["MessagesHandedBack"]
        ),
        metric_definitions(
            &json!([["Stack", "Function", "Version"]]),
            &["FailedInvocations"]
        ),
        metric_definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
    ]);
    assert_eq!(line["_aws"]["CloudWatchMetrics"], counted);
    let counted = [
        &line["MessagesHandedBack"],
        &line["FailedInvocations"],
        &line["Version"],
    ];
    assert_eq!(counted, [&json!(3), &json!(1), &json!("7")]);
}

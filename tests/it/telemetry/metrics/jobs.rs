//! The metrics of jobs.

use std::time::Duration;

use futures_util::FutureExt;
use lambda_runtime::LambdaEvent;
use muster_domain::{QueueStrategy, Timestamp};
use muster_jobs::Pace;
use muster_service::store::Table;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault},
    log_capture::LogCapture,
    org::{NOW, OrgFixture, TeamFixture, team},
    sqs::{context, invoke_assignment, invoke_jobs_within},
};

/// The number of teams, each with one waiting ticket.
const TEAMS: usize = 100;

/// Opens an organization with a waiting ticket in each of its teams.
async fn organization_of_waiting_tickets() -> OrgFixture {
    let teams: Vec<_> = (0..TEAMS)
        .map(|_| TeamFixture::of(QueueStrategy::RoundRobin, []))
        .collect();
    let org = OrgFixture::open(&Stack::shared(), 0, &teams).await;
    let bodies: Vec<_> = (0..TEAMS)
        .map(|n| {
            org.ticket_event(
                "created",
                &format!("T-{n}"),
                100,
                json!({ "team_id": team(n) }),
            )
        })
        .collect();
    let table = Table::new(org.stack.dynamodb(), org.stack.table.as_str());
    assert_eq!(
        invoke_assignment(&org.assignment_over(table), &bodies).await,
        [0; 0]
    );
    org
}

/// Runs a job. Returns the emitted waiting metrics and the follow-up messages.
async fn run_restart(
    (org, capture): (&OrgFixture, &LogCapture),
    job: &str,
    script: &FaultScript,
    time: u64,
) -> (Vec<u64>, Vec<String>) {
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let clock = std::sync::Arc::new(|| Timestamp::from_secs(NOW));
    let deps = muster_jobs::Deps {
        table,
        jobs: org.jobs.job_queues(),
        clock,
        pace: Pace::default(),
    };
    let jobs = [job.to_owned()];
    let performed = invoke_jobs_within(&deps, &jobs, Duration::from_secs(time));
    assert_eq!(capture.invoke(false, performed).await.1, [0; 0]);
    let logged: Vec<_> = capture
        .lines()
        .1
        .iter()
        .filter_map(|line| line["TicketsWaiting"].as_u64())
        .collect();
    let sent = org.jobs.take().into_iter().map(|sent| sent.body);
    (
        logged,
        sent.filter(|body| body.contains("restart_unfinished"))
            .collect::<Vec<_>>(),
    )
}

/// Makes the next query take four seconds.
fn slow_down(script: &FaultScript) {
    let pause = || tokio::time::sleep(Duration::from_secs(4)).boxed();
    script.once(
        &["Query"],
        InjectedFault::RunFirst(std::sync::Arc::new(pause)),
    );
}

#[tokio::test]
async fn waiting_metrics_follow_the_last_page() {
    let org = organization_of_waiting_tickets().await;
    let capture = LogCapture::to("jobs", "info", None);
    let performs = async |job: &str, script: &FaultScript, time: u64| {
        run_restart((&org, &capture), job, script, time).await
    };
    let restart = json!({ "job": "restart_unfinished" }).to_string();

    // A job that continues in a follow-up message emits no metric.
    let script = FaultScript::default();
    slow_down(&script);
    let (logged, left) = performs(&restart, &script, 8).await;
    assert_eq!((logged.len(), left.len()), (0, 1), "{logged:?} {left:?}");
    let (logged, done) = performs(&left[0], &FaultScript::default(), 60).await;
    assert_eq!((logged, done.len()), (vec![TEAMS as u64], 0));
    // The follow-up message may be redelivered.
    assert_eq!(
        performs(&left[0], &FaultScript::default(), 60).await.0,
        [TEAMS as u64]
    );
}

#[tokio::test]
async fn waiting_metrics_of_an_incomplete_count_are_omitted() {
    let org = organization_of_waiting_tickets().await;
    let capture = LogCapture::to("jobs", "info", None);
    let performs = async |job: &str, script: &FaultScript, time: u64| {
        run_restart((&org, &capture), job, script, time).await
    };
    let restart = json!({ "job": "restart_unfinished" }).to_string();
    let script = FaultScript::default();
    slow_down(&script);
    let (_, left) = performs(&restart, &script, 8).await;

    // A follow-up message without a running count (an older format) emits no metric. Neither does a
    // pass with a failed read.
    let mut old_format: Value = serde_json::from_str(&left[0]).expect("a job is JSON");
    old_format
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| name == "job" || name == "after");
    assert_eq!(
        performs(&old_format.to_string(), &FaultScript::default(), 60)
            .await
            .0,
        [0; 0]
    );
    let script = FaultScript::default();
    script.once(
        &["BatchGetItem"],
        InjectedFault::Respond(400, "AccessDeniedException"),
    );
    assert_eq!(performs(&restart, &script, 60).await.0, [0; 0]);
    slow_down(&script);
    script.once(
        &["BatchGetItem"],
        InjectedFault::Respond(400, "AccessDeniedException"),
    );
    let left = performs(&restart, &script, 8).await.1;
    assert_eq!(
        performs(&left[0], &FaultScript::default(), 60).await.0,
        [0; 0]
    );
}

#[tokio::test]
async fn scheduled_job_failure_is_an_error_of_the_function() {
    let org = OrgFixture::open(&Stack::shared(), 0, &[]).await;
    let script = FaultScript::default();
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let clock = std::sync::Arc::new(|| Timestamp::from_secs(NOW));
    let deps = muster_jobs::Deps {
        table,
        jobs: org.jobs.job_queues(),
        clock,
        pace: Pace::default(),
    };
    let capture = LogCapture::to("jobs", "info", None);
    let restart = json!({ "job": "restart_unfinished" });
    let scheduled = async || {
        let event = LambdaEvent::new(restart.clone(), context(Duration::from_mins(1)));
        let (_, response) = capture
            .invoke(false, muster_jobs::handle(event, &deps))
            .await;
        (
            response
                .map(|response| response.batch_item_failures.len())
                .map_err(|error| error.to_string()),
            capture.lines(),
        )
    };

    let (response, (_, metrics)) = scheduled().await;
    assert_eq!(response, Ok(0));
    assert!(
        metrics[0].get("TicketsWaiting").is_some(),
        "a complete pass writes the heartbeat: {metrics:?}"
    );

    script.always(
        &["Query"],
        InjectedFault::Respond(400, "AccessDeniedException"),
    );
    let (response, (log, metrics)) = scheduled().await;
    assert_eq!(response, Err("the scheduled job failed".to_owned()));
    assert_eq!(
        metrics,
        [json!(null); 0],
        "an error is Lambda's own metric, and there is no heartbeat"
    );
    let [line] = <[Value; 1]>::try_from(log).expect("one line");
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("ERROR"), &json!("the scheduled job failed"))
    );
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("AccessDenied")),
        "{line}"
    );

    // The same job as a queue message is reported as a batch item failure.
    let jobs = [restart.to_string()];
    let performed = invoke_jobs_within(&deps, &jobs, Duration::from_mins(1));
    assert_eq!(capture.invoke(false, performed).await.1, [0]);
    let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
    assert_eq!(line["MessagesHandedBack"], 1);
}

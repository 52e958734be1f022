//! The metrics of an invocation.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use lambda_runtime::LambdaEvent;
use muster_domain::{QueueStrategy, Timestamp};
use muster_jobs::Pace;
use muster_service::store::Table;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Stack, bare,
    fault_injection::{Fault, FaultScript, WRITES},
    invoke::{self, Invocation},
    log_capture::{LogCapture, ROOT},
    org::{NOW, OrgFixture, TeamFixture, team},
    sqs::{
        context, invoke_assignment, invoke_assignment_within, invoke_directory_within,
        invoke_jobs_within,
    },
};

/// A line of metrics without what is different every time.
fn steady(mut line: Value) -> Value {
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

/// Definitions of metrics that count, as their line has them.
fn definitions(dimensions: &Value, names: &[&str]) -> Value {
    let unit = |name: &&str| json!({ "Name": name, "Unit": if *name == "Latency" { "Milliseconds" } else { "Count" } });
    json!({ "Namespace": "Muster", "Dimensions": dimensions, "Metrics": names.iter().map(unit).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_request_ends_with_one_line() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let team = org.team("Told").await;
    let deps = invoke::deps(&stack, FaultScript::default().client(&stack));
    let listener = LogCapture::to("teams", "info", None);
    let get = Invocation::new(
        org.itsm.token(),
        Method::GET,
        format!("/v1/teams/{team}"),
        None,
    );

    let (request_id, response) = listener.invoke(false, get.call(&deps)).await;
    assert_eq!(response.status, 200, "{response}");
    let (log, metrics) = listener.lines();
    assert_eq!(
        log,
        [json!(null); 0],
        "a request that goes well is told of once"
    );
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    let by_route = json!([["Stack"], ["Stack", "Route", "Contract"]]);
    let mut expected = json!({
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [
                definitions(&by_route, &["Latency", "Failures"]),
                definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
            ],
        },
        "timestamp": null,
        "level": "INFO",
        "Stack": "test",
        "Function": "teams",
        "Version": "7",
        "Route": "GET /v1/teams/{team_id}",
        "Contract": "itsm",
        "Latency": null,
        "Failures": 0,
        "ColdStart": 1,
        "status": 200,
        "requestId": request_id,
        "gatewayRequestId": response.header("x-request-id"),
        "traceId": ROOT,
        "organization": org.id.as_str(),
    });
    assert_eq!(steady(line), expected);

    // The instance is warm from here on.
    let (request_id, response) = listener.invoke(false, get.call(&deps)).await;
    let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
    expected["_aws"]["CloudWatchMetrics"]
        .as_array_mut()
        .expect("a list")
        .pop();
    expected
        .as_object_mut()
        .expect("an object")
        .remove("ColdStart");
    expected["requestId"] = request_id.into();
    expected["gatewayRequestId"] = response.header("x-request-id").into();
    assert_eq!(steady(line), expected);
}

#[tokio::test]
async fn a_request_counts_for_its_route_and_contract_whatever_its_answer() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let script = FaultScript::default();
    let deps = invoke::deps(&stack, script.client(&stack));
    let (itsm, toptickets) = (org.itsm.token(), org.toptickets.token());
    let missing = format!("/v1/teams/{}", bare(&org.users[0]));
    let listener = LogCapture::to("teams", "info", None);
    for (token, method, target, route, contract, status) in [
        (itsm, Method::GET, "/v1/teams", "GET /v1/teams", "itsm", 200),
        (
            toptickets,
            Method::GET,
            "/v1/teams?limit=5",
            "GET /v1/teams",
            "toptickets",
            200,
        ),
        (
            toptickets,
            Method::GET,
            &missing,
            "GET /v1/teams/{team_id}",
            "toptickets",
            404,
        ),
        (
            itsm,
            Method::DELETE,
            &missing,
            "DELETE /v1/teams/{team_id}",
            "itsm",
            404,
        ),
        (
            itsm,
            Method::POST,
            "/v1/teams",
            "POST /v1/teams",
            "itsm",
            400,
        ),
        (
            "nonsense",
            Method::GET,
            "/v1/teams",
            "GET /v1/teams",
            "none",
            401,
        ),
        (
            "tt_nonsense",
            Method::GET,
            "/v1/teams",
            "GET /v1/teams",
            "toptickets",
            401,
        ),
        (itsm, Method::GET, "/v1/nowhere", "$default", "itsm", 404),
        (itsm, Method::PUT, "/v1/teams", "$default", "itsm", 405),
    ] {
        let request = Invocation::new(token, method, target, None);
        let (_, response) = listener.invoke(false, request.call(&deps)).await;
        let (log, metrics) = listener.lines();
        assert_eq!(
            log,
            [json!(null); 0],
            "the client's own mistakes are not ours: {target}"
        );
        let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
        assert_eq!(response.status, status, "{response}");
        let told = [
            &line["Route"],
            &line["Contract"],
            &line["status"],
            &line["Failures"],
        ];
        assert_eq!(
            told,
            [&json!(route), &json!(contract), &json!(status), &json!(0)]
        );
        assert_eq!(line.get("FailedInvocations"), None, "{line}");
    }

    // So does what is open to everybody.
    for (path, route, status) in [("/docs", "GET /docs", 200), ("/docs/", "$default", 404)] {
        let event = json!({
            "version": "2.0",
            "rawPath": path,
            "requestContext": { "http": { "method": "GET", "path": path } },
        });
        let request = muster_service::lambda::request(&event.to_string()).expect("an event");
        listener
            .invoke(false, async { muster_docs::handle(request) })
            .await;
        let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
        assert_eq!(
            [&line["Route"], &line["Contract"], &line["status"]],
            [&json!(route), &json!("none"), &json!(status)]
        );
    }

    // Our failures are told of in the log too, once.
    script.always(&["Query"], Fault::Respond(400, "AccessDeniedException"));
    let request = Invocation::new(itsm, Method::GET, "/v1/teams", None);
    let (request_id, response) = listener.invoke(false, request.call(&deps)).await;
    assert_eq!(response.status, 500, "{response}");
    let (log, metrics) = listener.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    assert_eq!(
        (&line["status"], &line["Failures"]),
        (&json!(500), &json!(1))
    );
    assert_eq!(
        line["FailedInvocations"], 1,
        "a version that answers 500 is seen: {line}"
    );
    let [line] = <[Value; 1]>::try_from(log).expect("one line");
    let told = [
        "level",
        "message",
        "route",
        "requestId",
        "traceId",
        "organization",
        "gatewayRequestId",
    ];
    let told = told.map(|field| line[field].as_str().unwrap_or_default());
    let gateway_id = response.header("x-request-id");
    assert_eq!(
        told,
        [
            "ERROR",
            "failed",
            "/v1/teams",
            &request_id,
            ROOT,
            org.id.as_str(),
            gateway_id
        ]
    );

    // What panics is never answered, and a failure all the same.
    let event = json!({
        "version": "2.0",
        "rawPath": "/v1/teams",
        "headers": { "authorization": format!("Bearer {itsm}") },
        "requestContext": { "http": { "method": "GET", "path": "/v1/teams" } },
    });
    let request = muster_service::lambda::request(&event.to_string()).expect("an event");
    let panics =
        muster_service::http::serve(request, &deps, |_| async { panic!("not a word of this") });
    let (_, outcome) = listener
        .invoke(false, AssertUnwindSafe(panics).catch_unwind())
        .await;
    assert!(outcome.is_err());
    let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
    assert_eq!(
        (&line["Route"], &line["Failures"]),
        (&json!("GET /v1/teams"), &json!(1))
    );
    assert_eq!(
        (line.get("status"), &line["FailedInvocations"]),
        (None, &json!(1))
    );
}

#[tokio::test]
async fn decisions_retries_and_dead_letters_are_counted_where_they_happen() {
    // Team 0 has members, team 1 has none, and nobody knows of printers.
    let teams = [
        TeamFixture::of(QueueStrategy::RoundRobin, [0, 1]),
        TeamFixture::of(QueueStrategy::LeastBusy, []),
    ];
    let org = OrgFixture::open(&Stack::shared(), 2, &teams).await;
    let script = FaultScript::default();
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let deps = org.assignment_over(table.clone());
    let listener = LogCapture::to("assignment", "info", None);

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
    bodies.push("{".to_owned());
    bodies.push(ticket("T-poison", json!({ "status": "lost" })));
    script.once(WRITES, Fault::Respond(400, "ThrottlingException"));
    script.once(WRITES, Fault::Canceled("ConditionalCheckFailed"));

    let (request_id, failed) = listener
        .invoke(false, invoke_assignment(&deps, &bodies))
        .await;
    assert_eq!(failed, [0; 0]);
    let (log, metrics) = listener.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    let expected = json!({
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [
                definitions(
                    &json!([["Stack"]]),
                    &["TicketsAssigned", "TicketsUnrouted", "TicketsBegunWaiting", "UnknownPriorities"],
                ),
                definitions(&json!([["Stack"], ["Stack", "Function"]]), &["Retries", "DeadLetters"]),
                definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
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
    });
    assert_eq!(steady(line), expected);

    let told = |field: &'static str| {
        log.iter()
            .map(move |line| line.get(field).unwrap_or(&Value::Null))
    };
    assert!(told("requestId").all(|id| *id == request_id), "{log:?}");
    assert_eq!(
        told("message").collect::<Vec<_>>(),
        ["poison", "poison", "batch done"]
    );
    assert_eq!(
        told("ticket").collect::<Vec<_>>(),
        [&Value::Null, &json!("T-poison"), &Value::Null]
    );
    assert_eq!(log[2]["poison"], 2);

    // What was decided is no decision any more.
    let known_priorities = [&bodies[..5], &bodies[8..10]].concat();
    let (_, failed) = listener
        .invoke(false, invoke_assignment(&deps, &known_priorities))
        .await;
    assert_eq!(failed, [0; 0]);
    assert_eq!(
        listener.lines().1,
        [json!(null); 0],
        "nothing happened that counts"
    );

    // A job that looks at what is unfinished counts who waits, even if nobody does.
    let clock = std::sync::Arc::new(|| Timestamp::from_secs(NOW));
    let jobs = muster_jobs::Deps {
        table,
        jobs: org.jobs.job_queues(),
        clock,
        pace: Pace::default(),
    };
    let restart = [json!({ "job": "restart_unfinished" }).to_string()];
    let looks = async || {
        let (_, failed) = listener
            .invoke(
                false,
                invoke_jobs_within(&jobs, &restart, Duration::from_mins(1)),
            )
            .await;
        assert_eq!(failed, [0; 0]);
        let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([definitions(
                &json!([["Stack"]]),
                &["TicketsWaiting", "TeamsWaiting"]
            )])
        );
        [line["TicketsWaiting"].clone(), line["TeamsWaiting"].clone()]
    };
    assert_eq!(looks().await, [json!(3), json!(1)]);
    org.join(1, 0, &[]).await;
    let drained = org
        .jobs
        .take()
        .into_iter()
        .map(|sent| sent.body)
        .collect::<Vec<_>>();
    let (_, failed) = listener
        .invoke(
            false,
            invoke_jobs_within(&jobs, &drained, Duration::from_mins(1)),
        )
        .await;
    assert_eq!(failed, [0; 0]);
    let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
    assert_eq!(
        line["TicketsAssigned"], 3,
        "whichever function decides: {line}"
    );
    assert_eq!(looks().await, [json!(0), json!(0)]);
}

#[tokio::test]
async fn superseded_events_are_counted_and_duplicates_are_not() {
    let org = OrgFixture::open(
        &Stack::shared(),
        1,
        &[TeamFixture::of(QueueStrategy::RoundRobin, [0])],
    )
    .await;
    let table = Table::new(org.stack.dynamodb(), org.stack.table.as_str());
    let by_function = json!([["Stack"], ["Stack", "Function"]]);

    let deps = org.assignment_over(table.clone());
    let listener = LogCapture::to("assignment", "info", None);
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
        // Those that are superseded only by the rest of their batch counted in the order of their
        // versions.
        (vec![event(50), event(60)], Value::Null),
    ] {
        let (_, failed) = listener
            .invoke(false, invoke_assignment(&deps, &batch))
            .await;
        assert_eq!(failed, [0; 0]);
        let lines = listener.lines().1;
        assert_eq!(
            lines
                .iter()
                .find_map(|line| line.get("SupersededEvents"))
                .unwrap_or(&Value::Null),
            &superseded
        );
        if superseded != Value::Null {
            let defined = &lines[0]["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(defined, &definitions(&by_function, &["SupersededEvents"]));
        }
    }

    let listener = LogCapture::to("directory", "info", None);
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
        let (_, failed) = listener
            .invoke(
                false,
                invoke_directory_within(&deps, &batch, Duration::from_mins(1)),
            )
            .await;
        assert_eq!(failed, [0; 0]);
        let lines = listener.lines().1;
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
async fn who_waits_is_told_once_all_are_counted() {
    const TEAMS: usize = 100;
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

    let listener = LogCapture::to("jobs", "info", None);
    // Gives what was told of who waits, and what is left of the job.
    let performs = async |job: &str, script: &FaultScript, time: u64| {
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
        assert_eq!(listener.invoke(false, performed).await.1, [0; 0]);
        let told: Vec<_> = listener
            .lines()
            .1
            .iter()
            .filter_map(|line| line["TicketsWaiting"].as_u64())
            .collect();
        let sent = org.jobs.take().into_iter().map(|sent| sent.body);
        (
            told,
            sent.filter(|body| body.contains("restart_unfinished"))
                .collect::<Vec<_>>(),
        )
    };
    let slow = |script: &FaultScript| {
        let pause = || tokio::time::sleep(Duration::from_secs(4)).boxed();
        script.once(&["Query"], Fault::RunFirst(std::sync::Arc::new(pause)));
    };
    let restart = json!({ "job": "restart_unfinished" }).to_string();

    // What does not fit one invocation is not told before the last.
    let script = FaultScript::default();
    slow(&script);
    let (told, left) = performs(&restart, &script, 8).await;
    assert_eq!((told.len(), left.len()), (0, 1), "{told:?} {left:?}");
    let (told, done) = performs(&left[0], &FaultScript::default(), 60).await;
    assert_eq!((told, done.len()), (vec![TEAMS as u64], 0));
    // It may come twice.
    assert_eq!(
        performs(&left[0], &FaultScript::default(), 60).await.0,
        [TEAMS as u64]
    );

    // A part that does not say how many waited before it, as it was written formerly, is no whole;
    // nor is what could not be counted.
    let mut formerly: Value = serde_json::from_str(&left[0]).expect("a job is JSON");
    formerly
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| name == "job" || name == "after");
    assert_eq!(
        performs(&formerly.to_string(), &FaultScript::default(), 60)
            .await
            .0,
        [0; 0]
    );
    let script = FaultScript::default();
    script.once(
        &["BatchGetItem"],
        Fault::Respond(400, "AccessDeniedException"),
    );
    assert_eq!(performs(&restart, &script, 60).await.0, [0; 0]);
    slow(&script);
    script.once(
        &["BatchGetItem"],
        Fault::Respond(400, "AccessDeniedException"),
    );
    let left = performs(&restart, &script, 8).await.1;
    assert_eq!(
        performs(&left[0], &FaultScript::default(), 60).await.0,
        [0; 0]
    );
}

#[tokio::test]
async fn a_batch_says_once_whose_messages_come_again_and_why() {
    let org = OrgFixture::open(
        &Stack::shared(),
        1,
        &[TeamFixture::of(QueueStrategy::RoundRobin, [0])],
    )
    .await;
    let script = FaultScript::default();
    script.always(WRITES, Fault::Respond(400, "AccessDeniedException"));
    let deps = org.assignment_over(Table::new(
        script.client(&org.stack),
        org.stack.table.as_str(),
    ));
    let listener = LogCapture::to("assignment", "info", None);
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
    let (_, failed) = listener
        .invoke(
            false,
            invoke_assignment_within(&deps, &bodies, Duration::from_secs(5)),
        )
        .await;
    assert_eq!(failed, [0, 1, 2]);
    let (log, metrics) = listener.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    let counted = json!([
        definitions(
            &json!([["Stack"], ["Stack", "Function"]]),
            &["MessagesHandedBack"]
        ),
        definitions(
            &json!([["Stack", "Function", "Version"]]),
            &["FailedInvocations"]
        ),
        definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
    ]);
    assert_eq!(line["_aws"]["CloudWatchMetrics"], counted);
    let counted = [
        &line["MessagesHandedBack"],
        &line["FailedInvocations"],
        &line["Version"],
    ];
    assert_eq!(counted, [&json!(3), &json!(1), &json!("7")]);
    let [error, batch] = <[Value; 2]>::try_from(log).expect("two lines");
    let told =
        ["level", "message", "organization"].map(|field| error[field].as_str().unwrap_or_default());
    assert_eq!(
        told,
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

#[tokio::test]
async fn unavailable_table_does_not_count_against_version() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let script = FaultScript::default();
    let deps = invoke::deps(&stack, script.client(&stack));
    let listener = LogCapture::to("teams", "info", None);
    let get = Invocation::new(org.itsm.token(), Method::GET, "/v1/teams", None);
    // The credential is read before the table fails.
    assert_eq!(listener.invoke(false, get.call(&deps)).await.1.status, 200);
    listener.text();

    script.always(&["Query"], Fault::Respond(400, "ThrottlingException"));
    let (_, response) = listener.invoke(false, get.call(&deps)).await;
    assert_eq!(response.status, 503, "{response}");
    let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
    assert_eq!(
        (&line["Failures"], line.get("FailedInvocations")),
        (&json!(1), None),
        "{line}"
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
    let listener = LogCapture::to("jobs", "info", None);
    let restart = json!({ "job": "restart_unfinished" });
    let scheduled = async || {
        let event = LambdaEvent::new(restart.clone(), context(Duration::from_mins(1)));
        let (_, response) = listener
            .invoke(false, muster_jobs::handle(event, &deps))
            .await;
        (
            response
                .map(|response| response.batch_item_failures.len())
                .map_err(|error| error.to_string()),
            listener.lines(),
        )
    };

    let (response, (_, metrics)) = scheduled().await;
    assert_eq!(response, Ok(0));
    assert!(
        metrics[0].get("TicketsWaiting").is_some(),
        "a complete pass writes the heartbeat: {metrics:?}"
    );

    script.always(&["Query"], Fault::Respond(400, "AccessDeniedException"));
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

    // The same job as a message of the queue is handed back.
    let jobs = [restart.to_string()];
    let performed = invoke_jobs_within(&deps, &jobs, Duration::from_mins(1));
    assert_eq!(listener.invoke(false, performed).await.1, [0]);
    let [line] = <[Value; 1]>::try_from(listener.lines().1).expect("one line");
    assert_eq!(line["MessagesHandedBack"], 1);
}

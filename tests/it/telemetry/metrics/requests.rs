//! The metrics of requests.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use muster_service::http::Deps;
use reqwest::Method;
use serde_json::{Value, json};

use super::{metric_definitions, without_times};
use crate::support::{
    Stack, bare,
    fault_injection::{FaultScript, InjectedFault},
    invoke::{self, TestInvocation},
    log_capture::{LogCapture, ROOT},
};

#[tokio::test]
async fn request_writes_one_metric_line() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let team = org.team("Told").await;
    let deps = invoke::deps(&stack, FaultScript::default().client(&stack));
    let capture = LogCapture::to("teams", "info", None);
    let get = TestInvocation::new(
        org.itsm.token(),
        Method::GET,
        format!("/v1/teams/{team}"),
        None,
    );

    let (request_id, response) = capture.invoke(false, get.call(&deps)).await;
    assert_eq!(response.status, 200, "{response}");
    let (log, metrics) = capture.lines();
    assert_eq!(log, [json!(null); 0], "a successful request has one line");
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    let by_route = json!([["Stack"], ["Stack", "Route", "Contract"]]);
    let mut expected = json!({
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [
                metric_definitions(&by_route, &["Latency", "Failures"]),
                metric_definitions(&json!([["Stack", "Function"]]), &["ColdStart"]),
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
    assert_eq!(without_times(line), expected);

    // The instance is warm from here on.
    let (request_id, response) = capture.invoke(false, get.call(&deps)).await;
    let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
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
    assert_eq!(without_times(line), expected);
}

/// Sends a request and asserts its metric line.
async fn assert_counted(
    (capture, deps): (&LogCapture, &Deps),
    (token, method, target): (&str, Method, &str),
    [route, contract]: [&str; 2],
    status: u16,
) {
    let request = TestInvocation::new(token, method, target, None);
    let (_, response) = capture.invoke(false, request.call(deps)).await;
    let (log, metrics) = capture.lines();
    assert_eq!(
        log,
        [json!(null); 0],
        "client errors are not logged: {target}"
    );
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    assert_eq!(response.status, status, "{response}");
    let logged = [
        &line["Route"],
        &line["Contract"],
        &line["status"],
        &line["Failures"],
    ];
    assert_eq!(
        logged,
        [&json!(route), &json!(contract), &json!(status), &json!(0)]
    );
    assert_eq!(line.get("FailedInvocations"), None, "{line}");
}

#[tokio::test]
async fn request_counts_for_its_route_and_contract() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let deps = invoke::deps(&stack, FaultScript::default().client(&stack));
    let (itsm, toptickets) = (org.itsm.token(), org.toptickets.token());
    let missing = format!("/v1/teams/{}", bare(&org.users[0]));
    let capture = LogCapture::to("teams", "info", None);
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
        let request = (token, method, target);
        assert_counted((&capture, &deps), request, [route, contract], status).await;
    }
}

#[tokio::test]
async fn open_route_counts_for_its_route() {
    let capture = LogCapture::to("docs", "info", None);
    for (path, route, status) in [("/docs", "GET /docs", 200), ("/docs/", "$default", 404)] {
        let event = json!({
            "version": "2.0",
            "rawPath": path,
            "requestContext": { "http": { "method": "GET", "path": path } },
        });
        let request = muster_service::lambda::request(&event.to_string()).expect("an event");
        capture
            .invoke(false, async { muster_docs::handle(request) })
            .await;
        let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
        assert_eq!(
            [&line["Route"], &line["Contract"], &line["status"]],
            [&json!(route), &json!("none"), &json!(status)]
        );
    }
}

#[tokio::test]
async fn server_error_is_counted_and_logged_once() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let script = FaultScript::default();
    let deps = invoke::deps(&stack, script.client(&stack));
    let capture = LogCapture::to("teams", "info", None);
    script.always(
        &["Query"],
        InjectedFault::Respond(400, "AccessDeniedException"),
    );
    let request = TestInvocation::new(org.itsm.token(), Method::GET, "/v1/teams", None);
    let (request_id, response) = capture.invoke(false, request.call(&deps)).await;
    assert_eq!(response.status, 500, "{response}");
    let (log, metrics) = capture.lines();
    let [line] = <[Value; 1]>::try_from(metrics).expect("one line");
    assert_eq!(
        (&line["status"], &line["Failures"]),
        (&json!(500), &json!(1))
    );
    assert_eq!(
        line["FailedInvocations"], 1,
        "a 500 counts against its version: {line}"
    );
    let [line] = <[Value; 1]>::try_from(log).expect("one line");
    let logged = [
        "level",
        "message",
        "route",
        "requestId",
        "traceId",
        "organization",
        "gatewayRequestId",
    ];
    let logged = logged.map(|field| line[field].as_str().unwrap_or_default());
    let gateway_id = response.header("x-request-id");
    assert_eq!(
        logged,
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
}

#[tokio::test]
async fn panic_counts_as_a_failure_without_status() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let deps = invoke::deps(&stack, FaultScript::default().client(&stack));
    let capture = LogCapture::to("teams", "info", None);
    let itsm = org.itsm.token();
    let event = json!({
        "version": "2.0",
        "rawPath": "/v1/teams",
        "headers": { "authorization": format!("Bearer {itsm}") },
        "requestContext": { "http": { "method": "GET", "path": "/v1/teams" } },
    });
    let request = muster_service::lambda::request(&event.to_string()).expect("an event");
    let panics = muster_service::http::serve(request, &deps, |_| async {
        panic!("this text must not be logged")
    });
    let (_, outcome) = capture
        .invoke(false, AssertUnwindSafe(panics).catch_unwind())
        .await;
    assert!(outcome.is_err());
    let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
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
async fn unavailable_table_does_not_count_against_version() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let script = FaultScript::default();
    let deps = invoke::deps(&stack, script.client(&stack));
    let capture = LogCapture::to("teams", "info", None);
    let get = TestInvocation::new(org.itsm.token(), Method::GET, "/v1/teams", None);
    // The credential is read before the table fails.
    assert_eq!(capture.invoke(false, get.call(&deps)).await.1.status, 200);
    capture.text();

    script.always(
        &["Query"],
        InjectedFault::Respond(400, "ThrottlingException"),
    );
    let (_, response) = capture.invoke(false, get.call(&deps)).await;
    assert_eq!(response.status, 503, "{response}");
    let [line] = <[Value; 1]>::try_from(capture.lines().1).expect("one line");
    assert_eq!(
        (&line["Failures"], line.get("FailedInvocations")),
        (&json!(1), None),
        "{line}"
    );
}

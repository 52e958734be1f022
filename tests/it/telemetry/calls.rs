//! The X-Ray subsegments of the AWS calls of an invocation.

use std::collections::BTreeSet;

use muster_service::telemetry::Daemon;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault, READS},
    invoke::{self, TestInvocation},
    log_capture::{LogCapture, PARENT, ROOT, XrayDaemon},
};

/// Asserts the fields of the subsegments, and that their ids differ.
fn assert_subsegments(calls: &[Value], table: &str) {
    let mut ids = BTreeSet::new();
    for call in calls {
        let logged = ["trace_id", "parent_id", "type", "namespace", "name"]
            .map(|field| call[field].as_str());
        assert_eq!(
            logged,
            [ROOT, PARENT, "subsegment", "aws", "DynamoDB"].map(Some),
            "{call}"
        );
        assert_eq!(call["aws"]["table_name"], table);
        let id = call["id"].as_str().expect("an id");
        assert!(
            id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && ids.insert(id),
            "{call}"
        );
        let [start, end] =
            ["start_time", "end_time"].map(|field| call[field].as_f64().expect("a time"));
        assert!(start <= end, "{call}");
        assert_eq!(call["fault"], false);
    }
}

/// Asserts that the calls are those of reading a team with a query that was throttled once.
fn assert_read_with_throttled_query(calls: &[Value], table: &str) {
    let mut operations: Vec<_> = calls
        .iter()
        .filter_map(|call| call["aws"]["operation"].as_str())
        .collect();
    operations.sort_unstable();
    assert_eq!(operations, ["GetItem", "Query", "Query"]);
    assert_subsegments(calls, table);
    let throttled: Vec<_> = calls
        .iter()
        .filter(|call| call["throttle"] == true)
        .collect();
    assert_eq!(throttled.len(), 1, "{calls:?}");
    assert_eq!(
        (
            &throttled[0]["error"],
            &throttled[0]["http"]["response"]["status"]
        ),
        (&json!(true), &json!(400))
    );
}

#[tokio::test]
async fn sampled_invocation_sends_a_subsegment_per_call() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let team = org.team("Traced").await;
    let script = FaultScript::default();
    let deps = invoke::deps(&stack, script.client(&stack));
    let xray = XrayDaemon::listen();
    let daemon = Daemon::at(&xray.address()).expect("an address");
    let capture = LogCapture::to("teams", "info", Some(daemon));
    let get = TestInvocation::new(
        org.itsm.token(),
        Method::GET,
        format!("/v1/teams/{team}"),
        None,
    );

    let (_, response) = capture.invoke(false, get.call(&deps)).await;
    assert_eq!(response.status, 200, "{response}");
    assert!(xray.is_silent(), "an unsampled invocation sends no segment");

    // Outside of an invocation there is no trace.
    assert_eq!(get.call(&deps).await.status, 200);
    assert!(xray.is_silent());

    // The request reads the team in parallel with its partition. The query is throttled once.
    script.once(
        &["Query"],
        InjectedFault::Respond(400, "ThrottlingException"),
    );
    let (_, response) = capture.invoke(true, get.call(&deps)).await;
    assert_eq!(response.status, 200, "{response}");
    let calls: Vec<Value> = (0..3).map(|_| xray.next()).collect();
    assert!(xray.is_silent());
    assert_read_with_throttled_query(&calls, &stack.table);

    // The table is unreachable.
    script.always(READS, InjectedFault::ConnectionRefused);
    let (_, response) = capture
        .invoke(
            true,
            TestInvocation {
                time: std::time::Duration::from_millis(1_500),
                ..get
            }
            .call(&deps),
        )
        .await;
    assert_eq!(response.status, 503, "{response}");
    let call = xray.next();
    assert_eq!(
        [&call["fault"], &call["error"], &call["throttle"]],
        [&json!(true), &json!(false), &json!(false)]
    );
    assert_eq!(call.get("http"), None);
}

#[tokio::test]
async fn call_is_logged_at_debug_level() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let script = FaultScript::default();
    script.once(
        &["Query"],
        InjectedFault::Respond(400, "ThrottlingException"),
    );
    let deps = invoke::deps(&stack, script.client(&stack));
    let capture = LogCapture::to("teams", "muster=debug", None);
    let list = TestInvocation::new(org.toptickets.token(), Method::GET, "/v1/teams", None);
    let (request_id, response) = capture.invoke(false, list.call(&deps)).await;
    assert_eq!(response.status, 200, "{response}");
    let (log, _) = capture.lines();
    let calls: Vec<_> = log
        .iter()
        .filter(|line| line["message"] == "called")
        .collect();
    // The rate report of the key's first request runs in parallel, so its position varies.
    let counts = |call: &&Value| call["operation"] == "UpdateItem";
    assert_eq!(calls.iter().copied().filter(counts).count(), 1, "{calls:?}");
    let reported: Vec<_> = calls
        .iter()
        .copied()
        .filter(|call| !counts(call))
        .map(|call| (call["operation"].as_str(), call["error"].as_str()))
        .collect();
    let key = (Some("GetItem"), None);
    assert_eq!(
        reported,
        [
            key,
            (Some("Query"), Some("ThrottlingException")),
            (Some("Query"), None)
        ]
    );
    for call in calls {
        assert_eq!(
            [&call["service"], &call["table"]],
            [&json!("DynamoDB"), &json!(stack.table)]
        );
        assert_eq!(call["requestId"], request_id);
        assert!(
            call["milliseconds"].is_f64() && call["status"].is_u64(),
            "{call}"
        );
    }
}

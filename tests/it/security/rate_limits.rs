//! Rate limits per key and clock minute: exact within one instance, and within the documented bound
//! over several. A failed count limits no request.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use muster_domain::{ApiKey, KeyKind, Scope, Subject, Timestamp};
use muster_service::http::Deps;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    Client, Organization, Response, Stack,
    fault_injection::{COUNTING, FaultScript, InjectedFault},
    invoke::{self, TestInvocation},
    jwt::{SIGNERS, claims, with},
    n,
    response_shape::{ErrorFormat, assert_response},
    table::{Item, number},
    ticket_items::assigned,
    unknown_key,
};

/// The kinds of key with their limits per minute.
const KINDS: [(KeyKind, u64, ErrorFormat); 5] = [
    (KeyKind::TtAdmin, 2_000, ErrorFormat::Toptickets),
    (KeyKind::TtLive, 200, ErrorFormat::Toptickets),
    (KeyKind::TtAgent, 200, ErrorFormat::Toptickets),
    (KeyKind::TtReadOnly, 200, ErrorFormat::Toptickets),
    (KeyKind::Itsm, 2_000, ErrorFormat::Itsm),
];

const MINUTE: i64 = 60_000;

/// Returns the time 17.3 s into the current minute, in milliseconds: 42.7 s before the next one.
fn mid_minute() -> i64 {
    Timestamp::now().minute() * MINUTE + 17_300
}

/// Returns the key of the item that counts the requests of a subject in a minute.
fn count_key(subject: Subject, millis: i64) -> [(&'static str, AttributeValue); 2] {
    let (pk, sk) = (
        format!("KEY#{}", subject.hash()),
        format!("RATE#{}", millis / MINUTE),
    );
    [("pk", AttributeValue::S(pk)), ("sk", AttributeValue::S(sk))]
}

/// Returns the item that counts the requests of a subject in a minute.
async fn count_item(stack: &Stack, subject: Subject, millis: i64) -> Option<Item> {
    let [(pk, partition), (sk, sort)] = count_key(subject, millis);
    let get = stack
        .dynamodb()
        .get_item()
        .table_name(&stack.table)
        .key(pk, partition)
        .key(sk, sort);
    get.consistent_read(true)
        .send()
        .await
        .expect("the table can be read")
        .item
}

/// Writes the count of requests through other instances.
async fn set_count(stack: &Stack, subject: Subject, millis: i64, requests: u64) {
    let put = stack
        .dynamodb()
        .put_item()
        .table_name(&stack.table)
        .item("requests", n(requests));
    let put = count_key(subject, millis)
        .into_iter()
        .fold(put, |put, (name, value)| put.item(name, value));
    put.send().await.expect("the table can be written");
}

#[track_caller]
fn assert_limited(response: &Response, error_format: ErrorFormat, seconds: u64) {
    assert_response(response, error_format, "limited");
    assert_eq!(
        (response.status.as_u16(), response.header("retry-after")),
        (429, &*seconds.to_string()),
        "{response}"
    );
    if error_format == ErrorFormat::Toptickets {
        let detail = format!("Rate limit exceeded. Try again in {seconds} seconds.");
        assert_eq!(response.json, json!({ "detail": detail }));
    } else {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("RATE_LIMITED"), &Value::Null),
            "{response}"
        );
        assert_eq!(
            error["message"],
            format!("Too many requests; try again in {seconds} seconds")
        );
    }
}

/// Returns the number of successful requests before the first limited one.
async fn until_limited(client: &Client, path: &str) -> u64 {
    client.until_limited(path, 3_000).await.0
}

#[tokio::test]
async fn request_201_is_limited_until_the_next_minute() {
    let (stack, clock) = Stack::with_clock().await;
    let (org, other) = (stack.organization().await, stack.organization().await);
    let (start, read) = (mid_minute(), [Scope::TeamsRead]);
    clock.store(start, SeqCst);
    let (client, key) = org.key_with(KeyKind::TtLive, &read, |_| {}).await;
    assert_eq!(until_limited(&client, "/v1/teams").await, 200);
    let stored = count_item(&stack, Subject::of_key(key.hash), start)
        .await
        .expect("a count was reported");
    assert_eq!(
        number(&stored, "requests"),
        191,
        "reports of 1 and then 10 each"
    );
    let kept = number(&stored, "expires_at") - start / 1000;
    assert!(
        (120..600).contains(&kept),
        "the count expires within minutes: {stored:?}"
    );

    assert_limited(&client.get("/v1/teams").await, ErrorFormat::Toptickets, 43);
    for (later, seconds) in [
        (700, 42),
        (701, 42),
        (1_699, 42),
        (1_700, 41),
        (41_700, 1),
        (42_699, 1),
    ] {
        clock.store(start + later, SeqCst);
        assert_limited(
            &client.get("/v1/teams").await,
            ErrorFormat::Toptickets,
            seconds,
        );
    }
    let stored = count_item(&stack, Subject::of_key(key.hash), start)
        .await
        .expect("a count was reported");
    assert_eq!(
        number(&stored, "requests"),
        191,
        "a limited request does not count"
    );

    // Other keys of the same or another organization are not limited.
    for neighbour in [
        org.key(KeyKind::TtLive, &read).await,
        other.key(KeyKind::TtLive, &read).await,
    ] {
        assert_eq!(neighbour.get("/v1/teams").await.status, 200);
    }
    // Other minutes are not limited: neither the next one nor an earlier one after a clock change.
    for minutes in [1, -60] {
        clock.store(start + minutes * MINUTE, SeqCst);
        assert_eq!(until_limited(&client, "/v1/teams").await, 200);
    }
}

#[tokio::test]
async fn limit_of_key_kind_holds_across_instances() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = mid_minute();
    clock.store(start, SeqCst);
    for (kind, limit, error_format) in KINDS {
        let (client, key) = org.key_with(kind, &[Scope::TeamsRead], |_| {}).await;
        set_count(&stack, Subject::of_key(key.hash), start, limit - 20).await;
        assert_eq!(until_limited(&client, "/v1/teams").await, 20, "{kind:?}");
        assert_limited(&client.get("/v1/teams").await, error_format, 43);
        let stored = count_item(&stack, Subject::of_key(key.hash), start)
            .await
            .expect("a count exists");
        assert_eq!(
            number(&stored, "requests").unsigned_abs(),
            limit - 9,
            "{kind:?}: 11 of 20 requests are reported"
        );
    }
}

#[tokio::test]
async fn tokens_of_one_user_share_a_limit() {
    let (stack, clock) = Stack::with_clock().await;
    let (org, other) = (stack.organization().await, stack.organization().await);
    let start = mid_minute();
    clock.store(start, SeqCst);
    for org in [&org, &other] {
        org.trust(&[SIGNERS[0].jwk()]).await;
    }
    let token = |org: &Organization, sub: &str, jti: &str| {
        let claims = with(
            claims(&org.id, Timestamp::from_millis(start)),
            &json!({ "sub": sub, "jti": jti }),
        );
        stack.client(&SIGNERS[0].sign(&claims))
    };
    set_count(&stack, Subject::of_token(&org.id, "alice"), start, 1_980).await;
    assert_eq!(
        until_limited(&token(&org, "alice", "1"), "/v1/teams").await,
        20
    );
    assert_limited(
        &token(&org, "alice", "2").get("/v1/teams").await,
        ErrorFormat::Itsm,
        43,
    );
    for neighbour in [
        token(&org, "bob", "1"),
        token(&org, "Alice", "1"),
        token(&other, "alice", "1"),
    ] {
        assert_eq!(neighbour.get("/v1/teams").await.status, 200);
    }
}

#[tokio::test]
async fn local_functions_count_as_separate_instances() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let team = org.team("Support").await;
    org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
        .await;
    let start = mid_minute();
    clock.store(start, SeqCst);
    let (client, key) = org
        .key_with(KeyKind::TtLive, &[Scope::TeamsRead], |_| {})
        .await;
    let paths = [
        "/v1/teams".to_owned(),
        format!("/v1/teams/{team}/members"),
        "/v1/assignments/TKT-1".to_owned(),
    ];
    for path in paths.iter().cycle().take(3 * 10) {
        assert_eq!(client.get(path).await.status, 200);
    }
    let stored = count_item(&stack, Subject::of_key(key.hash), start)
        .await
        .expect("each function reports its first request");
    assert_eq!(
        number(&stored, "requests"),
        3,
        "no function has admitted 11 requests"
    );
    let mut passed = 30;
    for path in paths.iter().cycle() {
        let response = client.get(path).await;
        if response.status == 429 {
            assert_limited(&response, ErrorFormat::Toptickets, 43);
            break;
        }
        assert_eq!(response.status, 200, "{response}");
        passed += 1;
    }
    assert!((200..=230).contains(&passed), "{passed} passed");
}

/// Returns instances of a function over the stack's table, with a fixed clock.
fn instances(stack: &Stack, count: usize, millis: i64) -> Vec<Deps> {
    let instance = || Deps {
        clock: Arc::new(move || Timestamp::from_millis(millis)),
        ..invoke::deps(stack, FaultScript::default().client(stack))
    };
    std::iter::repeat_with(instance).take(count).collect()
}

#[tokio::test]
async fn new_instance_learns_the_limit_on_first_request() {
    let stack = Stack::shared();
    let (org, start) = (stack.organization().await, mid_minute());
    let (client, key) = org
        .key_with(KeyKind::TtLive, &[Scope::TeamsRead], |_| {})
        .await;
    set_count(&stack, Subject::of_key(key.hash), start, 200).await;
    let request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
    for instance in instances(&stack, 5, start) {
        assert_eq!(
            request.call(&instance).await.status,
            200,
            "it has not read the count yet"
        );
        assert_limited(&request.call(&instance).await, ErrorFormat::Toptickets, 43);
    }
}

#[tokio::test]
async fn instances_share_a_limit_within_the_bound() {
    let stack = Stack::shared();
    let (org, start) = (stack.organization().await, mid_minute());
    for (count, at_once) in [(1, false), (2, false), (2, true), (5, true)] {
        let client = org.key(KeyKind::TtLive, &[Scope::TeamsRead]).await;
        let request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
        let instances = instances(&stack, count, start);
        // Each instance serves one request at a time, as on Lambda.
        let serve = async |deps: &Deps, requests: usize| {
            let mut passed = 0;
            for _ in 0..requests {
                let response = request.call(deps).await;
                match response.status.as_u16() {
                    200 => passed += 1,
                    _ => assert_limited(&response, ErrorFormat::Toptickets, 43),
                }
            }
            passed
        };
        let passed = if at_once {
            join_all(instances.iter().map(|deps| serve(deps, 210)))
                .await
                .into_iter()
                .sum()
        } else {
            let mut passed = 0;
            for deps in instances.iter().cycle().take(210 * count) {
                passed += serve(deps, 1).await;
            }
            passed
        };
        let most = if count == 1 { 200 } else { 200 + 10 * count };
        assert!(
            (200..=most).contains(&passed),
            "{passed} passed {count} instances"
        );
    }
}

#[tokio::test]
async fn client_below_its_limit_is_never_limited() {
    let stack = Stack::shared();
    let (org, start) = (stack.organization().await, mid_minute());
    let client = org.key(KeyKind::TtLive, &[Scope::TeamsRead]).await;
    let request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
    // Forty requests through each of five instances, eight concurrently, so that reports arrive out
    // of order.
    let instances = instances(&stack, 5, start);
    let serve = async |deps: &Deps| {
        for _ in 0..5 {
            for response in join_all((0..8).map(|_| request.call(deps))).await {
                assert_eq!(response.status, 200, "{response}");
            }
        }
    };
    join_all(instances.iter().map(serve)).await;
}

#[tokio::test]
async fn failed_count_never_limits_or_fails_a_request() {
    let stack = Stack::shared();
    let (org, start) = (stack.organization().await, mid_minute());
    for (fault, requests) in [
        (
            InjectedFault::Respond(400, "ProvisionedThroughputExceededException"),
            190,
        ),
        (InjectedFault::Respond(400, "ThrottlingException"), 190),
        (InjectedFault::Respond(400, "AccessDeniedException"), 190),
        (InjectedFault::Respond(500, "InternalServerError"), 190),
        (InjectedFault::ConnectionClosed, 190),
        (InjectedFault::ConnectionRefused, 190),
        (InjectedFault::ResponseReplaced, 190),
        (InjectedFault::ResponseDropped, 190),
        (InjectedFault::ResponseTruncated, 190),
        // Each of these reports waits for its timeout.
        (InjectedFault::NoResponse, 20),
    ] {
        let (client, key) = org
            .key_with(KeyKind::TtLive, &[Scope::TeamsRead], |_| {})
            .await;
        let request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
        let script = FaultScript::default();
        script.always(COUNTING, fault.clone());
        let instances: Vec<_> = instances(&stack, 2, start)
            .into_iter()
            .map(|deps| Deps {
                table: invoke::deps(&stack, script.client(&stack)).table,
                ..deps
            })
            .collect();
        for n in 0..requests {
            let response = timeout(request.time / 2, request.call(&instances[n % 2]))
                .await
                .expect("the response arrives in time");
            assert_eq!(response.status, 200, "{fault:?}, request {n}: {response}");
        }
        // A report is never retried.
        let later = (requests / 2 - 1) / 10;
        assert_eq!(script.calls(COUNTING), 2 * (1 + later), "{fault:?}");
        if let Some(reported) = count_item(&stack, Subject::of_key(key.hash), start).await {
            assert_eq!(
                number(&reported, "requests").unsigned_abs(),
                2 * (1 + 10 * later as u64),
                "{fault:?}"
            );
        }
        if requests < 190 {
            continue;
        }
        // An instance without reports still limits its own requests.
        let mut passed = requests / 2;
        while request.call(&instances[0]).await.status == 200 {
            passed += 1;
        }
        assert_eq!(passed, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn request_with_bad_credential_does_not_count() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = mid_minute();
    clock.store(start, SeqCst);
    let (revoked, revoked_key) = org
        .key_with(KeyKind::TtLive, &Scope::ALL, |key| {
            key.revoked_at = Some(Timestamp::from_secs(1));
        })
        .await;
    let (client, key) = org
        .key_with(KeyKind::TtLive, &[Scope::TeamsRead], |_| {})
        .await;
    let stray = stack.client(&unknown_key(KeyKind::TtLive));
    for _ in 0..25 {
        assert_eq!(revoked.get("/v1/teams").await.status, 401);
        assert_eq!(stray.get("/v1/teams").await.status, 401);
        assert_eq!(client.get("/v1/nothing").await.status, 404);
        assert_eq!(
            client.call(&Method::PUT, "/v1/teams", None).await.status,
            405
        );
    }
    assert_eq!(
        count_item(&stack, Subject::of_key(revoked_key.hash), start).await,
        None
    );
    assert_eq!(
        count_item(&stack, Subject::of_key(key.hash), start).await,
        None
    );
    let keys = stack
        .dynamodb()
        .scan()
        .table_name(&stack.table)
        .filter_expression("begins_with(sk, :rate)");
    let keys = keys
        .expression_attribute_values(":rate", AttributeValue::S("RATE#".to_owned()))
        .send()
        .await;
    assert_eq!(
        keys.expect("the table can be scanned").count(),
        0,
        "an unknown key writes no item"
    );

    // Requests that fail a later check count.
    for _ in 0..5 {
        assert_eq!(client.get("/v1/teams/nonsense").await.status, 404);
        assert_eq!(client.get("/v1/teams?limit=x").await.status, 400);
        assert_eq!(client.get("/v1/teams?limit=1000").await.status, 422);
        assert_eq!(
            client
                .post("/v1/teams", json!({ "name": "x" }))
                .await
                .status,
            403
        );
    }
    let stored = count_item(&stack, Subject::of_key(key.hash), start)
        .await
        .expect("a count was reported");
    assert_eq!(number(&stored, "requests"), 11, "of 20");
}

/// Returns a client that has reached its rate limit.
async fn client_at_limit(
    org: &Organization,
    kind: KeyKind,
    millis: i64,
    change: impl FnOnce(&mut ApiKey),
) -> Client {
    let (client, key) = org.key_with(kind, &[Scope::TeamsRead], change).await;
    set_count(&org.stack, Subject::of_key(key.hash), millis, 2_000).await;
    client.get("/v1/teams").await;
    client
}

#[tokio::test]
async fn rate_is_checked_between_address_and_scope() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = mid_minute();
    clock.store(start, SeqCst);
    for (kind, error_format) in [
        (KeyKind::TtLive, ErrorFormat::Toptickets),
        (KeyKind::Itsm, ErrorFormat::Itsm),
    ] {
        let fresh = org.key(kind, &[Scope::TeamsRead]).await;
        assert_eq!(
            fresh.post("/v1/teams", json!({ "name": "x" })).await.status,
            403,
            "below the limit"
        );

        let limited = client_at_limit(&org, kind, start, |_| {}).await;
        let large = json!({ "name": "x".repeat(256 * 1024) });
        for (method, path, body, status) in [
            (Method::GET, "/v1/nothing", None, 404),
            (Method::PUT, "/v1/teams", None, 405),
            (Method::POST, "/v1/teams", Some(&large), 413),
            (
                Method::POST,
                "/v1/teams",
                Some(&json!({ "name": "x" })),
                429,
            ),
            (Method::GET, "/v1/teams/nonsense", None, 429),
            (Method::GET, "/v1/teams?limit=x", None, 429),
            (Method::DELETE, "/v1/teams/nonsense", None, 429),
        ] {
            let response = limited.call(&method, path, body).await;
            assert_eq!(response.status, status, "{method} {path}: {response}");
        }
        assert_limited(&limited.get("/v1/teams").await, error_format, 43);

        let revoked = client_at_limit(&org, kind, start, |key| {
            key.revoked_at = Some(Timestamp::from_secs(1));
        })
        .await;
        assert_eq!(revoked.get("/v1/teams").await.status, 401);
    }
    let elsewhere =
        |key: &mut ApiKey| key.allowed_networks = vec!["192.0.2.0/24".parse().expect("a network")];
    let (elsewhere, key) = org
        .key_with(KeyKind::TtLive, &[Scope::TeamsRead], elsewhere)
        .await;
    for n in 1..=201 {
        assert_eq!(
            elsewhere.get("/v1/teams").await.status,
            403,
            "request {n}: the address is checked before the rate"
        );
    }
    assert_eq!(
        count_item(&stack, Subject::of_key(key.hash), start).await,
        None,
        "a forbidden request does not count"
    );
}

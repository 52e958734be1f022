//! The cost of authentication and rate limits.

use std::{num::NonZeroUsize, sync::Arc};

use aws_sdk_dynamodb::Client;
use futures_util::future::join_all;
use insta::assert_snapshot;
use muster_domain::{Contract::Itsm, KeyKind};
use muster_service::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::json;

use super::{CostRecorder, get};
use crate::support::{
    cost_meter::ObservedCost,
    invoke::{self, TestInvocation},
    jwt::{SIGNERS, claims, with},
    unknown_key,
};

/// A request with an uncached key reads it first.
#[tokio::test]
async fn uncached_key_costs_one_read() {
    let mut recorder = CostRecorder::start().await;
    let team = format!("/v1/teams/{}", recorder.org.team("Team").await);
    recorder.case(1, "get a team, warm", Itsm, get(&team)).await;
    recorder.deps.keys = invoke::deps(
        &recorder.org.stack,
        Client::from_conf(invoke::client_config(&recorder.org.stack).build()),
    )
    .keys;
    recorder.case(2, "get a team, cold", Itsm, get(&team)).await;
    assert_snapshot!(recorder.lines, @"
    itsm       | get a team, warm                | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team, cold                | 2 |    3 |    0 | GetItem, then GetItem + Query
    ");
}

/// An unknown key is read once in five seconds, independent of the number of requests and
/// connections.
#[tokio::test]
async fn repeated_bad_key_costs_one_read() {
    let recorder = CostRecorder::start().await;
    recorder.meter.take();
    let bad = [
        unknown_key(KeyKind::Itsm),
        SIGNERS[0].sign(&claims(&recorder.org.id, (recorder.deps.clock)())),
    ];
    for token in &bad {
        let invocation = TestInvocation::new(token, Method::GET, "/v1/teams", None);
        for _ in 0..3 {
            let responses = join_all((0..20).map(|_| invocation.call(&recorder.deps))).await;
            assert!(
                responses.iter().all(|response| response.status == 401),
                "{responses:?}"
            );
        }
    }
    let ObservedCost {
        steps,
        read,
        written,
        ..
    } = recorder.meter.take();
    assert_eq!(
        (steps.concat(), written),
        (vec!["GetItem".to_owned(); 2], 0.0)
    );
    assert!(read <= 2.0, "{read}");
}

/// A request with a token of an uncached issuer reads the issuer first.
#[tokio::test]
async fn uncached_token_costs_one_read() {
    let mut recorder = CostRecorder::start().await;
    let team = format!("/v1/teams/{}", recorder.org.team("Team").await);
    recorder
        .org
        .trust(&[SIGNERS[0].jwk(), SIGNERS[1].jwk()])
        .await;
    let claims = claims(&recorder.org.id, (recorder.deps.clock)());
    let by = |user: &str| {
        recorder
            .org
            .stack
            .client(&SIGNERS[1].sign(&with(claims.clone(), &json!({ "sub": user }))))
    };
    let [one, another] = ["usr_1", "usr_2"].map(by);
    recorder.org.itsm = one;
    recorder.case(2, "get a team, cold", Itsm, get(&team)).await;
    recorder.case(1, "get a team, warm", Itsm, get(&team)).await;
    recorder.org.itsm = another;
    recorder
        .case(1, "get a team, warm, another user", Itsm, get(&team))
        .await;
    assert_snapshot!(recorder.lines, @"
    itsm       | get a team, cold                | 2 |    3 |    0 | GetItem, then GetItem + Query
    itsm       | get a team, warm                | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team, warm, another user  | 1 |    2 |    0 | GetItem + Query
    ");
}

/// The first request of a key in a minute, and then one of every ten, sends a report in parallel
/// with its own calls.
#[tokio::test]
async fn rate_report_costs_no_round_trip() {
    let mut recorder = CostRecorder::start().await;
    let team = format!("/v1/teams/{}", recorder.org.team("Team").await);
    recorder.deps.rates = Arc::new(RateLimits::new(NonZeroUsize::MIN));
    let (mut reports, mut written) = (0, 0.0);
    for n in 1..=101 {
        let observed = recorder.call(Itsm, Method::GET, &team, None).await;
        assert_eq!(
            observed.steps.len(),
            1,
            "round trips of request {n}: {:?}",
            observed.steps
        );
        assert_eq!(
            observed.steps[0].len(),
            if n % 10 == 1 { 3 } else { 2 },
            "request {n}: {:?}",
            observed.steps
        );
        reports += observed.steps[0]
            .iter()
            .filter(|call| *call == "UpdateItem")
            .count();
        written += observed.written;
    }
    assert_eq!((reports, written), (11, 11.0), "of 101 requests");
    // A request of two round trips has two with a report.
    for _ in 1..10 {
        recorder.call(Itsm, Method::GET, &team, None).await;
    }
    let adding = json!({ "user_id": recorder.user(0) });
    let ObservedCost { steps, .. } = recorder
        .call(Itsm, Method::POST, &format!("{team}/members"), Some(adding))
        .await;
    assert_eq!(
        steps[0].iter().filter(|call| *call == "UpdateItem").count(),
        1,
        "{steps:?}"
    );
    assert!(steps.len() <= 2, "{steps:?}");
}

//! Promises with a duration, tested in real time over several functions.

use std::time::Duration;

use futures_util::future::join_all;
use muster_domain::{KeyKind, Scope, Timestamp};
use reqwest::Method;

use crate::support::{Stack, bare};

/// The rate limit of a `tt_live` key, in requests a minute.
const LIMIT: u64 = 200;

#[tokio::test]
async fn revoked_key_is_rejected_after_60_seconds() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let (client, key) = org.key_with(KeyKind::TtAdmin, &Scope::ALL, |_| {}).await;
    // Each path is served by a function of its own. After this, every instance has the key in its
    // cache.
    let paths = [("/v1/teams", 200), ("/v1/assignments/T-1", 404)];
    for (path, status) in paths {
        let responses = join_all((0..8).map(|_| client.get(path))).await;
        assert!(
            responses.iter().all(|response| response.status == status),
            "{path}: {responses:?}"
        );
    }
    assert!(
        stack
            .store()
            .revoke_api_key(key.hash, Timestamp::now())
            .await
            .expect("the table can be written")
    );
    tokio::time::sleep(Duration::from_mins(1)).await;
    for _ in 0..4 {
        for (path, _) in paths {
            let responses = join_all((0..8).map(|_| client.get(path))).await;
            assert!(
                responses.iter().all(|response| response.status == 401),
                "{path}: {responses:?}"
            );
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn rate_limit_counts_requests_of_all_functions() {
    let org = Stack::shared().organization().await;
    let team = format!("/v1/teams/{}", org.team("Support").await);
    let elsewhere = [
        (Method::GET, "/v1/assignments/T-1".to_owned()),
        (
            Method::DELETE,
            format!("{team}/members/{}", bare(&org.users[0])),
        ),
    ];
    for (method, path) in elsewhere {
        // All requests have to fall into one minute. Otherwise the attempt is repeated.
        let mut tries = 0;
        let (passed, response) = loop {
            let client = org.key(KeyKind::TtLive, &Scope::ALL).await;
            let into_the_minute = Timestamp::now().millis().rem_euclid(60_000).unsigned_abs();
            if into_the_minute > 20_000 {
                tokio::time::sleep(Duration::from_millis(60_000 - into_the_minute)).await;
            }
            let minute = Timestamp::now().minute();
            for _ in 0..LIMIT - 40 {
                let response = client.call(&method, &path, None).await;
                assert_eq!(response.status, 404, "{response}");
            }
            let limited = client.until_limited(&team, 2 * LIMIT + 1).await;
            tries += 1;
            if Timestamp::now().minute() == minute {
                break limited;
            }
            assert!(
                tries < 5,
                "this machine cannot send {LIMIT} requests in a minute"
            );
        };
        // The counts lag by the reports of other instances: each reports its first request, and
        // then every tenth.
        assert!(
            (40..LIMIT).contains(&passed),
            "{passed} passed after {method} {path}"
        );
        let seconds: u64 = response
            .header("retry-after")
            .parse()
            .expect("the number of seconds");
        assert!((1..=60).contains(&seconds), "{response}");
    }
}

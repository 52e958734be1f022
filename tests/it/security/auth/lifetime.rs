//! The time between the issue of a key and its end.

use std::sync::atomic::Ordering;

use muster_cli::commands::keys::issue;
use muster_contracts::UnauthorizedReason;
use muster_domain::{KeyKind, Scope, Timestamp};

use super::{KINDS, SECOND, assert_unauthorized_for, status};
use crate::support::{Stack, response_shape::ErrorFormat};

const HOUR: i64 = 3600 * SECOND;

#[tokio::test]
async fn new_key_works_immediately() {
    let org = Stack::shared().organization().await;
    for (kind, ..) in KINDS {
        assert_eq!(
            status(&org.key(kind, &Scope::ALL).await).await,
            200,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn unknown_key_is_cached_for_five_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let (secret, issued) = issue(
        KeyKind::TtLive,
        org.id.clone(),
        Scope::ALL.to_vec(),
        Timestamp::now(),
    );
    let early = stack.client(secret.reveal());
    for _ in 0..3 {
        assert_eq!(status(&early).await, 401);
    }
    stack.store().put_api_key(&issued).await.unwrap();
    // A request does not extend the cache time.
    for (later, expected) in [
        (0, 401),
        (4 * SECOND, 401),
        (5 * SECOND - 1, 401),
        (5 * SECOND, 200),
        (6 * SECOND, 200),
    ] {
        clock.store(start + later, Ordering::SeqCst);
        assert_eq!(status(&early).await, expected, "{later} ms later");
        assert_eq!(
            status(&org.toptickets).await,
            200,
            "other keys are unaffected"
        );
    }
}

#[tokio::test]
async fn cached_key_ends_at_its_expiry() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let end = Timestamp::from_millis(start + 30 * SECOND);
    for (kind, _, error_format, _) in KINDS {
        clock.store(start, Ordering::SeqCst);
        let (client, _) = org
            .key_with(kind, &Scope::ALL, |key| key.expires_at = Some(end))
            .await;
        assert_eq!(status(&client).await, 200);
        clock.store(end.millis() - 1, Ordering::SeqCst);
        assert_eq!(status(&client).await, 200, "{kind:?}");
        clock.store(end.millis(), Ordering::SeqCst);
        for _ in 0..2 {
            let response = client.get("/v1/teams").await;
            let reason = UnauthorizedReason::KeyExpired;
            assert_unauthorized_for(&response, error_format, reason, "expired");
        }
    }
}

#[tokio::test]
async fn read_only_key_ends_after_72_hours() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let start = clock.load(Ordering::SeqCst);
    let in_a_year = Some(Timestamp::from_millis(start + 365 * 24 * HOUR));
    for stored in [None, in_a_year] {
        clock.store(start, Ordering::SeqCst);
        let issue = async |kind: KeyKind| {
            let change = |key: &mut muster_domain::ApiKey| {
                (key.created_at, key.expires_at) = (Timestamp::from_millis(start), stored);
            };
            org.key_with(kind, &Scope::ALL, change).await.0
        };
        let (read_only, admin) = (
            issue(KeyKind::TtReadOnly).await,
            issue(KeyKind::TtAdmin).await,
        );
        for (hours, expected) in [(0, 200), (71, 200), (72, 401), (73, 401)] {
            clock.store(start + hours * HOUR, Ordering::SeqCst);
            assert_eq!(
                (status(&read_only).await, status(&admin).await),
                (expected, 200),
                "after {hours} h"
            );
        }
        clock.store(start + 72 * HOUR - 1, Ordering::SeqCst);
        assert_eq!(status(&read_only).await, 200);
    }
    clock.store(start, Ordering::SeqCst);
    let shorter = Some(Timestamp::from_millis(start + HOUR));
    let (client, _) = org
        .key_with(KeyKind::TtReadOnly, &Scope::ALL, |key| {
            key.expires_at = shorter;
        })
        .await;
    clock.store(start + HOUR, Ordering::SeqCst);
    assert_eq!(
        status(&client).await,
        401,
        "a stored expiry can end it earlier"
    );
}

#[tokio::test]
async fn revoked_key_ends_within_60_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let team = org.team("Support").await;
    for (kind, _, error_format, _) in KINDS {
        let start = clock.load(Ordering::SeqCst);
        let (client, key) = org.key_with(kind, &Scope::ALL, |_| {}).await;
        assert_eq!(status(&client).await, 200);
        assert!(
            stack
                .store()
                .revoke_api_key(key.hash, Timestamp::from_millis(start))
                .await
                .unwrap()
        );
        if error_format == ErrorFormat::Itsm {
            let response = client.get(&format!("/v1/teams/{team}/workload")).await;
            assert_eq!(
                response.status, 401,
                "a function without the key in its cache rejects it: {response}"
            );
        }
        clock.store(start + 60 * SECOND, Ordering::SeqCst);
        for _ in 0..2 {
            let response = client.get("/v1/teams").await;
            let reason = UnauthorizedReason::KeyRevoked;
            assert_unauthorized_for(&response, error_format, reason, "revoked");
        }
        // Frequent use does not revive the key.
        for seconds in [61, 90, 119, 150] {
            clock.store(start + seconds * SECOND, Ordering::SeqCst);
            assert_eq!(status(&client).await, 401);
        }
    }
}

#[tokio::test]
async fn use_does_not_extend_a_revoked_key() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (client, key) = org.key_with(KeyKind::Itsm, &Scope::ALL, |_| {}).await;
    let start = clock.load(Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    stack
        .store()
        .revoke_api_key(key.hash, Timestamp::from_millis(start))
        .await
        .unwrap();
    for seconds in (10..60).step_by(10) {
        clock.store(start + seconds * SECOND, Ordering::SeqCst);
        status(&client).await;
    }
    clock.store(start + 60 * SECOND, Ordering::SeqCst);
    assert_eq!(status(&client).await, 401);
}

#[tokio::test]
async fn key_is_cached_for_a_minute() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (client, key) = org.key_with(KeyKind::TtLive, &Scope::ALL, |_| {}).await;
    let start = clock.load(Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    // Without its item, the key can only come from the cache.
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let deletion = stack.dynamodb().delete_item().table_name(&stack.table);
    deletion
        .key("pk", text(format!("KEY#{}", key.hash)))
        .key("sk", text("KEY".to_owned()))
        .send()
        .await
        .unwrap();
    clock.store(start + 60 * SECOND - 1, Ordering::SeqCst);
    assert_eq!(status(&client).await, 200);
    clock.store(start + 60 * SECOND, Ordering::SeqCst);
    assert_eq!(status(&client).await, 401);
}

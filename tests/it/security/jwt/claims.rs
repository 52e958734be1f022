//! The claims of a token.

use std::sync::atomic::Ordering::SeqCst;

use muster_contracts::UnauthorizedReason;
use muster_domain::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{assert_accepted, assert_rejected, signers, valid_claims};
use crate::{
    security::auth::{SECOND, assert_forbidden, assert_unauthorized_for, endpoints, status},
    support::{
        Stack,
        jwt::{claims, with},
        response_shape::{ErrorFormat, assert_response},
        ticket_items::assigned,
    },
};

#[tokio::test]
async fn token_is_limited_by_its_permissions() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let user = org.users[0].id.uuid().to_string();
    for (permissions, scopes) in [
        (json!([]), &[][..]),
        (json!(["teams:read:org"]), &["teams:read"]),
        (json!(["teams:read:all"]), &["teams:read"]),
        (json!(["teams:write:org"]), &["teams:write"]),
        (json!(["teams:delete:all"]), &["teams:delete"]),
        (
            json!(["tickets:read:own", "teams:delete:org", "teams:read:all"]),
            &["teams:read", "teams:delete"],
        ),
        (
            json!(["teams:read:org", "teams:write:own", "teams:delete:team"]),
            &["teams:read"],
        ),
        (
            json!([
                "teams:read:own",
                "teams:read:org:x",
                "teams:read",
                "teams:read:",
                "x:teams:read:org",
                "teams:*:all"
            ]),
            &[],
        ),
        (
            json!([
                "Teams:Read:Org",
                "teams:read:ORG",
                " teams:read:org",
                "teams:read:org ",
                "",
                ":",
                "::org",
                "*:*:*"
            ]),
            &[],
        ),
    ] {
        let client = org.stack.client(&signer.sign(&with(
            valid_claims(&org),
            &json!({ "permissions": permissions }),
        )));
        let team = org
            .team(&permissions.to_string()[..permissions.to_string().len().min(200)])
            .await;
        org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
            .await;
        if !scopes.contains(&"teams:write") {
            org.member(&team, &org.users[0]).await;
        }
        for (method, path, body, needed) in endpoints(&team, &user, &Uuid::new_v4().to_string()) {
            let context = format!("{permissions}: {method} {path}");
            let response = client.call(&method, &path, body.as_ref()).await;
            assert_response(&response, ErrorFormat::Itsm, &context);
            if scopes.contains(&needed) {
                assert!(response.status.is_success(), "{context}: {response}");
            } else {
                assert_forbidden(&response, ErrorFormat::Itsm, needed, &context);
            }
        }
    }
}

#[tokio::test]
async fn missing_or_mistyped_required_claim_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    for name in ["sub", "organizationId", "permissions", "exp", "jti"] {
        assert_rejected(
            &org,
            &signer.sign(&with(claims.clone(), &json!({ name: null }))),
            name,
        )
        .await;
        let mut wrong = vec![
            json!(true),
            json!({}),
            json!([7]),
            json!([null]),
            json!([["teams:read:org"]]),
        ];
        wrong.push(if name == "exp" {
            json!("4000000000")
        } else {
            json!(4_000_000_000_u64)
        });
        if name == "permissions" {
            wrong.extend([
                json!("teams:read:org"),
                json!(["teams:read:org", 7]),
                json!({ "teams:read:org": true }),
            ]);
        }
        for wrong in wrong {
            let mut claims = claims.clone();
            claims[name] = wrong;
            assert_rejected(
                &org,
                &signer.sign(&claims),
                &format!("{name}: {}", claims[name]),
            )
            .await;
        }
        let mut null = claims.clone();
        null[name] = Value::Null;
        assert_rejected(&org, &signer.sign(&null), &format!("{name}: null")).await;
        let twice = claims
            .to_string()
            .replacen('{', &format!("{{\"{name}\":{},", claims[name]), 1);
        assert_rejected(
            &org,
            &signer.sign_text(&signer.header().to_string(), &twice),
            &format!("{name} twice"),
        )
        .await;
    }
}

#[tokio::test]
async fn mistyped_optional_claim_or_payload_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    for (name, wrong) in [
        ("nbf", json!("0")),
        ("nbf", json!([0])),
        ("iss", json!(7)),
        ("iss", json!(["a"])),
    ] {
        let mut claims = claims.clone();
        claims[name] = wrong;
        assert_rejected(
            &org,
            &signer.sign(&claims),
            &format!("{name}: {}", claims[name]),
        )
        .await;
    }
    let header = signer.header().to_string();
    let id = org.id.as_str();
    let list = json!([
        "usr_1",
        id,
        ["teams:read:org"],
        4_000_000_000_u64,
        0,
        "1",
        "iss"
    ])
    .to_string();
    for payload in [
        "null",
        "7",
        "[]",
        "\"\"",
        "{",
        "{}",
        "{}{}",
        "\u{feff}{}",
        &list,
        &json!([id]).to_string(),
        &claims.to_string().repeat(2),
    ] {
        assert_rejected(&org, &signer.sign_text(&header, payload), payload).await;
    }
    let nested = format!(
        "{{\"more\":{}1{},{}",
        "[".repeat(1_000),
        "]".repeat(1_000),
        &claims.to_string()[1..]
    );
    assert_rejected(&org, &signer.sign_text(&header, &nested), "too deep").await;
}

#[tokio::test]
async fn invalid_organization_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    let id = org.id.as_str();
    for organization in [
        "",
        "a b",
        "a#b",
        "org_nobody",
        &org.id.as_str().to_uppercase(),
        &format!("{id} "),
        &"x".repeat(65),
    ] {
        let token = signer.sign(&with(
            claims.clone(),
            &json!({ "organizationId": organization }),
        ));
        assert_rejected(&org, &token, organization).await;
    }
}

#[tokio::test]
async fn other_claims_are_ignored() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    let more = json!({ "aud": ["anybody"], "iss": "https://anybody.example", "roles": { "a": [1] }, "scope": 7, "iat": "now" });
    assert_accepted(&org, &signer.sign(&with(claims.clone(), &more)), "more").await;
    let permissions: Vec<_> = (0..300)
        .map(|n| format!("resource-{n}:read:org"))
        .chain(["teams:read:org".to_owned()])
        .collect();
    let long = signer.sign(&with(claims, &json!({ "permissions": permissions })));
    assert!(long.len() > 8_000);
    assert_accepted(&org, &long, "as long as the gateway allows").await;
}

/// The time at which the cases of [`time_cases`] start, in seconds.
const START: i64 = 1_900_000_000;

/// A name, claims, and offsets in milliseconds from [`START`], each with the expected status.
type TimeCase = (&'static str, Value, [(i64, u16); 5]);

/// Returns the cases of claims with times.
fn time_cases() -> Vec<TimeCase> {
    vec![
        (
            "exp",
            json!({ "exp": START }),
            [
                (-3_600_000, 200),
                (0, 200),
                (59_999, 200),
                (60_000, 401),
                (3_600_000, 401),
            ],
        ),
        (
            "exp with a fraction",
            json!({ "exp": 1_900_000_000.25 }),
            [
                (0, 200),
                (250, 200),
                (60_249, 200),
                (60_250, 401),
                (61_000, 401),
            ],
        ),
        (
            "nbf",
            json!({ "nbf": START }),
            [
                (-3_600_000, 401),
                (-60_001, 401),
                (-60_000, 200),
                (0, 200),
                (1_000, 200),
            ],
        ),
        (
            "both",
            json!({ "nbf": START, "exp": START }),
            [
                (-60_001, 401),
                (-60_000, 200),
                (0, 200),
                (59_999, 200),
                (60_000, 401),
            ],
        ),
        (
            "never begun",
            json!({ "nbf": 1e300, "exp": 1e300 }),
            [(-1, 401), (0, 401), (1, 401), (2, 401), (3, 401)],
        ),
        (
            "never ended",
            json!({ "exp": u64::MAX }),
            [(-1, 200), (0, 200), (1, 200), (2, 200), (3, 200)],
        ),
        (
            "negative",
            json!({ "exp": -1 }),
            [(-1, 401), (0, 401), (1, 401), (2, 401), (3, 401)],
        ),
    ]
}

#[tokio::test]
async fn token_is_valid_up_to_a_minute_outside_its_time() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (signer, untrusted) = signers();
    org.trust(&[signer.jwk()]).await;
    let client = |changes: Value| {
        let claims = with(claims(&org.id, Timestamp::from_secs(START)), &changes);
        stack.client(&signer.sign(&claims))
    };
    for (context, claims, cases) in time_cases() {
        let client = client(claims);
        for (millis, expected) in cases {
            clock.store(START * SECOND + millis, SeqCst);
            assert_eq!(
                status(&client).await,
                expected,
                "{context}, at an offset of {millis} ms"
            );
        }
    }
    clock.store(START * SECOND + 60_000, SeqCst);
    // The expiry is named only for a valid signature of the token's own organization.
    let expired = with(
        claims(&org.id, Timestamp::from_secs(START)),
        &json!({ "exp": START }),
    );
    let other = with(expired.clone(), &json!({ "organizationId": "unknown" }));
    let (token, forged) = (signer.sign(&expired), untrusted.sign(&expired));
    let cut = token[..token.len() - 2].to_owned();
    let invalid = UnauthorizedReason::InvalidCredential;
    for (token, reason) in [
        (token, UnauthorizedReason::TokenExpired),
        (forged, invalid),
        (cut, invalid),
        (signer.sign(&other), invalid),
    ] {
        let response = stack.client(&token).get("/v1/teams").await;
        assert_unauthorized_for(&response, ErrorFormat::Itsm, reason, "expired");
    }
}

#[tokio::test]
async fn configured_issuer_and_audience_are_checked() {
    let stack = Stack::shared();
    let (signer, _) = signers();
    let (iss, aud) = ("https://id.acme.example", "teams-api");
    let issuers = [
        (json!({}), false),
        (json!({ "iss": iss }), true),
        (json!({ "iss": "https://id.evil.example" }), false),
        (json!({ "iss": format!("{iss}/") }), false),
        (json!({ "iss": "HTTPS://id.acme.example" }), false),
        (json!({ "iss": "" }), false),
    ];
    let audiences = [
        (json!({}), false),
        (json!({ "aud": aud }), true),
        (json!({ "aud": [aud] }), true),
        (json!({ "aud": ["another-api", aud] }), true),
        (json!({ "aud": "another-api" }), false),
        (json!({ "aud": ["another-api"] }), false),
        (json!({ "aud": [] }), false),
        (json!({ "aud": "" }), false),
        (json!({ "aud": 7 }), false),
        (json!({ "aud": [7] }), false),
        (json!({ "aud": { (aud): true } }), false),
        (json!({ "aud": "teams-api another-api" }), false),
    ];
    for (checked_iss, checked_aud) in [
        (None, None),
        (Some(iss), None),
        (None, Some(aud)),
        (Some(iss), Some(aud)),
    ] {
        let org = stack.organization().await;
        org.trust_only(&[signer.jwk()], checked_iss, checked_aud)
            .await;
        for (issuer, right_iss) in &issuers {
            for (audience, right_aud) in &audiences {
                let token = signer.sign(&with(with(valid_claims(&org), issuer), audience));
                let context = format!("{issuer} {audience} for {checked_iss:?} {checked_aud:?}");
                if (*right_iss || checked_iss.is_none()) && (*right_aud || checked_aud.is_none()) {
                    assert_accepted(&org, &token, &context).await;
                } else {
                    assert_rejected(&org, &token, &context).await;
                }
            }
        }
        for wrong in [
            json!([iss]),
            json!(["https://id.evil.example", iss]),
            json!({ "iss": iss }),
        ] {
            assert_rejected(
                &org,
                &signer.sign(&with(
                    valid_claims(&org),
                    &json!({ "iss": wrong, "aud": aud }),
                )),
                "iss",
            )
            .await;
        }
    }
}

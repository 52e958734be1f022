//! Tokens of the ITSM platform: whom they speak for, what they may do, and everything that makes
//! one no good.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use muster_domain::{Contract::Itsm, OrganizationId, Timestamp};
use reqwest::Method;
use ring::{
    hmac,
    signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    auth::{
        SECOND, assert_forbidden, assert_unauthorized, endpoints, everything_said,
        everything_stored, status,
    },
    reliability::faults::assert_failed,
    shapes::{Speaks, assert_response},
    support::{
        Organization, Stack,
        fault_injection::{Fault, FaultScript},
        invoke::{self, Invocation},
        jwt::{SIGNERS, Signer, assemble, claims, with},
        table::text,
        ticket_items::assigned,
    },
};

/// The pair that an organization trusts here, and one of its own that it does not.
fn signers() -> (&'static Signer, &'static Signer) {
    (&SIGNERS[0], &SIGNERS[1])
}

/// Claims that are good now.
fn good(org: &Organization) -> Value {
    claims(&org.id, Timestamp::now())
}

async fn assert_refused(org: &Organization, token: &str, what: &str) {
    assert_unauthorized(
        &org.stack.client(token).get("/v1/teams").await,
        Speaks::Itsm,
        what,
    );
}

async fn assert_taken(org: &Organization, token: &str, what: &str) {
    let response = org.stack.client(token).get("/v1/teams").await;
    assert_response(&response, Speaks::Itsm, what);
    assert_eq!(response.status, 200, "{what}: {response}");
}

#[tokio::test]
async fn a_token_may_do_what_its_permissions_reach() {
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
        let client = org
            .stack
            .client(&signer.sign(&with(good(&org), &json!({ "permissions": permissions }))));
        let team = org
            .team(&permissions.to_string()[..permissions.to_string().len().min(200)])
            .await;
        org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
            .await;
        if !scopes.contains(&"teams:write") {
            org.member(&team, &org.users[0]).await;
        }
        for (method, path, body, needed) in endpoints(&team, &user, &Uuid::new_v4().to_string()) {
            let what = format!("{permissions}: {method} {path}");
            let response = client.call(&method, &path, body.as_ref()).await;
            assert_response(&response, Speaks::Itsm, &what);
            if scopes.contains(&needed) {
                assert!(response.status.is_success(), "{what}: {response}");
            } else {
                assert_forbidden(&response, Speaks::Itsm, needed, &what);
            }
        }
    }
}

#[tokio::test]
async fn only_rs256_is_verified() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = good(&org).to_string();
    let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": "a" }).to_string();
    assert_taken(&org, &signer.sign_text(&header("RS256"), &claims), "RS256").await;

    for alg in ["none", "None", "NONE", "nOnE", ""] {
        assert_refused(&org, &assemble(&header(alg), &claims, |_| Vec::new()), alg).await;
        assert_refused(&org, &signer.sign_text(&header(alg), &claims), alg).await;
    }
    // The public key taken for a shared secret, in each way in which it might be written down.
    let jwk = signer.jwk();
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let written = [
        signer.public_der(),
        &n,
        jwk["n"].as_str().unwrap().as_bytes(),
        jwk.to_string().as_bytes(),
        b"",
    ]
    .map(<[u8]>::to_vec);
    for secret in &written {
        for (alg, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let sign = |message: &[u8]| {
                hmac::sign(&hmac::Key::new(algorithm, secret), message)
                    .as_ref()
                    .to_vec()
            };
            assert_refused(&org, &assemble(&header(alg), &claims, sign), alg).await;
            assert_refused(&org, &assemble(&header("RS256"), &claims, sign), alg).await;
        }
    }
    // The right key, by an algorithm of its family; and by that, called RS256.
    let others: [(&str, &'static dyn ring::signature::RsaEncoding); 3] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (alg, encoding) in others {
        for said in [alg, "RS256"] {
            let token = assemble(&header(said), &claims, |message| {
                signer.signature(encoding, message)
            });
            assert_refused(&org, &token, &format!("{alg} called {said}")).await;
        }
    }
    for alg in [
        "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ", "RSA256", "HS256",
    ] {
        assert_refused(&org, &signer.sign_text(&header(alg), &claims), alg).await;
    }
}

#[tokio::test]
async fn a_header_is_taken_as_it_is_meant() {
    let org = Stack::shared().organization().await;
    let (signer, stranger) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = good(&org);
    for header in [
        json!({ "alg": "RS256" }),
        json!({ "alg": "RS256", "kid": "a" }),
        json!({ "alg": "RS256", "kid": "a", "typ": "at+jwt", "cty": "JWT", "more": { "of": ["this"] } }),
        // Where else a key could be had is nothing to go by.
        json!({ "alg": "RS256", "kid": "a", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u" }),
    ] {
        assert_taken(
            &org,
            &signer.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
    for header in [
        json!({}),
        json!({ "kid": "a" }),
        json!({ "alg": null, "kid": "a" }),
        json!({ "alg": 256, "kid": "a" }),
        json!({ "alg": ["RS256"], "kid": "a" }),
        json!({ "ALG": "RS256", "kid": "a" }),
        json!({ "alg": "RS256", "kid": 1 }),
        json!({ "alg": "RS256", "kid": ["a"] }),
        json!({ "alg": "RS256", "kid": "" }),
        json!({ "alg": "RS256", "kid": "A" }),
        json!({ "alg": "RS256", "kid": "b" }),
        json!({ "alg": "RS256", "kid": "a", "crit": ["exp"] }),
        json!({ "alg": "RS256", "kid": "a", "crit": [] }),
        json!({ "alg": "RS256", "kid": "a", "crit": ["b64"], "b64": false }),
        json!(["RS256", "a"]),
        json!("RS256"),
        json!(null),
    ] {
        assert_refused(
            &org,
            &signer.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
    for header in [
        "",
        "{",
        "{}}",
        "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"a\"}",
        "\u{0}",
    ] {
        let token = signer.sign_text(header, &claims.to_string());
        let speaks = if header.is_empty() {
            Speaks::Either
        } else {
            Speaks::Itsm
        };
        assert_unauthorized(
            &org.stack.client(&token).get("/v1/teams").await,
            speaks,
            header,
        );
    }
    // A stranger's key, brought along, or under the name of one that is trusted.
    for header in [
        json!({ "alg": "RS256", "kid": "a", "jwk": stranger.jwk() }),
        json!({ "alg": "RS256", "jwk": stranger.jwk() }),
        json!({ "alg": "RS256", "kid": "b", "jwk": stranger.jwk() }),
        json!({ "alg": "RS256", "kid": "a" }),
        json!({ "alg": "RS256" }),
    ] {
        assert_refused(
            &org,
            &stranger.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_kid() {
    let stack = Stack::shared();
    let [one, two, none] = [
        stack.organization().await,
        stack.organization().await,
        stack.organization().await,
    ];
    let (a, b) = signers();
    let without_kid = |signer: &Signer| with(signer.jwk(), &json!({ "kid": null }));
    one.trust(&[without_kid(a)]).await;
    two.trust(&[a.jwk(), b.jwk()]).await;
    let nameless = json!({ "alg": "RS256" });

    assert_taken(&one, &a.sign_with(&nameless, &good(&one)), "the only key").await;
    assert_refused(
        &one,
        &a.sign(&good(&one)),
        "the key has no kid, and the token one",
    )
    .await;
    assert_refused(&one, &b.sign_with(&nameless, &good(&one)), "another key").await;

    for signer in [a, b] {
        assert_taken(&two, &signer.sign(&good(&two)), "one of two").await;
        assert_refused(
            &two,
            &signer.sign_with(&nameless, &good(&two)),
            "it could be either",
        )
        .await;
        assert_refused(
            &two,
            &signer.sign_with(&json!({ "alg": "RS256", "kid": "c" }), &good(&two)),
            "neither",
        )
        .await;
    }
    assert_refused(
        &two,
        &a.sign_with(&b.header(), &good(&two)),
        "the other's kid",
    )
    .await;
    assert_refused(&none, &a.sign(&good(&none)), "an organization without keys").await;
}

#[tokio::test]
async fn a_token_that_was_changed_is_no_good() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let token = signer.sign(&with(
        good(&org),
        &json!({ "permissions": ["teams:read:org"] }),
    ));
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    assert_taken(&org, &token, "as it was signed").await;

    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    for changes in [
        json!({ "permissions": ["teams:delete:org"] }),
        json!({ "sub": "usr_2" }),
        json!({ "exp": 4_000_000_000_u64 }),
        json!({ "jti": null }),
    ] {
        let changed = encode(with(good(&org), &changes).to_string().as_bytes());
        assert_refused(
            &org,
            &format!("{header}.{changed}.{signature}"),
            &changes.to_string(),
        )
        .await;
    }
    let respelt = encode(format!("{} ", json!({ "alg": "RS256", "kid": "a" })).as_bytes());
    assert_refused(
        &org,
        &format!("{respelt}.{payload}.{signature}"),
        "the header",
    )
    .await;

    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        encode(&bytes)
    };
    let other = signer.sign(&good(&org));
    for (what, bad) in [
        ("the first bit", changed(0)),
        ("a bit in between", changed(100)),
        ("the last bit", changed(255)),
        ("no signature", String::new()),
        ("cut short", encode(&bytes[..255])),
        ("too long", encode(&[&bytes[..], &[0]].concat())),
        ("zeros before", encode(&[&[0][..], &bytes].concat())),
        ("zeros", encode(&[0; 256])),
        ("one", encode(&[&[0; 255][..], &[1]].concat())),
        ("ones", encode(&[0xff; 256])),
        (
            "another token's",
            other.rsplit('.').next().unwrap().to_owned(),
        ),
        ("padded", format!("{signature}=")),
        ("padded twice", format!("{signature}==")),
        (
            "other bits than base64url's",
            format!("{}_", &signature[..signature.len() - 1]),
        ),
    ] {
        assert_refused(&org, &format!("{header}.{payload}.{bad}"), what).await;
    }
    for (what, bad) in [
        ("a part more", format!("{token}.{signature}")),
        ("a part less", format!("{header}.{payload}")),
        (
            "another alphabet",
            format!("{header}.{payload}+/.{signature}"),
        ),
        ("an empty payload", format!("{header}..{signature}")),
        ("commas", token.replace('.', ",")),
        ("in quotes", format!("\"{token}\"")),
    ] {
        let response = org.stack.client(&bad).get("/v1/teams").await;
        assert_unauthorized(&response, Speaks::Either, what);
    }
}

#[tokio::test]
async fn every_claim_has_to_be_there_and_of_its_type() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = good(&org);
    for name in ["sub", "organizationId", "permissions", "exp", "jti"] {
        assert_refused(
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
            assert_refused(
                &org,
                &signer.sign(&claims),
                &format!("{name}: {}", claims[name]),
            )
            .await;
        }
        let mut null = claims.clone();
        null[name] = Value::Null;
        assert_refused(&org, &signer.sign(&null), &format!("{name}: null")).await;
        let twice = claims
            .to_string()
            .replacen('{', &format!("{{\"{name}\":{},", claims[name]), 1);
        assert_refused(
            &org,
            &signer.sign_text(&signer.header().to_string(), &twice),
            &format!("{name} twice"),
        )
        .await;
    }
    for (name, wrong) in [
        ("nbf", json!("0")),
        ("nbf", json!([0])),
        ("iss", json!(7)),
        ("iss", json!(["a"])),
    ] {
        let mut claims = claims.clone();
        claims[name] = wrong;
        assert_refused(
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
        assert_refused(&org, &signer.sign_text(&header, payload), payload).await;
    }
    let nested = format!(
        "{{\"more\":{}1{},{}",
        "[".repeat(1_000),
        "]".repeat(1_000),
        &claims.to_string()[1..]
    );
    assert_refused(&org, &signer.sign_text(&header, &nested), "too deep").await;

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
        assert_refused(&org, &token, organization).await;
    }
    // What else a token says is its own business.
    let more = json!({ "aud": ["anybody"], "iss": "https://anybody.example", "roles": { "a": [1] }, "scope": 7, "iat": "now" });
    assert_taken(&org, &signer.sign(&with(claims.clone(), &more)), "more").await;
    let permissions: Vec<_> = (0..300)
        .map(|n| format!("resource-{n}:read:org"))
        .chain(["teams:read:org".to_owned()])
        .collect();
    let long = signer.sign(&with(claims, &json!({ "permissions": permissions })));
    assert!(long.len() > 8_000);
    assert_taken(&org, &long, "as long as the gateway lets one be").await;
}

#[tokio::test]
async fn a_token_is_good_for_its_time_and_a_minute_around() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let start = 1_900_000_000;
    let client = |changes: Value| {
        let claims = with(claims(&org.id, Timestamp::from_secs(start)), &changes);
        stack.client(&signer.sign(&claims))
    };
    for (what, claims, cases) in [
        (
            "exp",
            json!({ "exp": start }),
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
            json!({ "nbf": start }),
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
            json!({ "nbf": start, "exp": start }),
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
    ] {
        let client = client(claims);
        for (millis, expected) in cases {
            clock.store(start * SECOND + millis, SeqCst);
            assert_eq!(
                status(&client).await,
                expected,
                "{what}, {millis} ms from it"
            );
        }
    }
    clock.store(start * SECOND + 60_000, SeqCst);
    assert_unauthorized(
        &client(json!({ "exp": start })).get("/v1/teams").await,
        Speaks::Itsm,
        "expired",
    );
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_set() {
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
                let token = signer.sign(&with(with(good(&org), issuer), audience));
                let what = format!("{issuer} {audience} for {checked_iss:?} {checked_aud:?}");
                if (*right_iss || checked_iss.is_none()) && (*right_aud || checked_aud.is_none()) {
                    assert_taken(&org, &token, &what).await;
                } else {
                    assert_refused(&org, &token, &what).await;
                }
            }
        }
        for wrong in [
            json!([iss]),
            json!(["https://id.evil.example", iss]),
            json!({ "iss": iss }),
        ] {
            assert_refused(
                &org,
                &signer.sign(&with(good(&org), &json!({ "iss": wrong, "aud": aud }))),
                "iss",
            )
            .await;
        }
    }
}

#[tokio::test]
async fn keys_are_an_organizations_own() {
    let stack = Stack::shared();
    let (ours, theirs) = (stack.organization().await, stack.organization().await);
    let (a, b) = signers();
    // By one kid in both, so that only the key itself makes the difference.
    ours.trust(&[a.jwk_called("key")]).await;
    theirs.trust(&[b.jwk_called("key")]).await;
    ours.team("Ours").await;
    let header = json!({ "alg": "RS256", "kid": "key" });
    for (org, signer, stranger, teams) in [(&ours, a, b, 1), (&theirs, b, a, 0)] {
        let response = stack
            .client(&signer.sign_with(&header, &good(org)))
            .get("/v1/teams")
            .await;
        assert_eq!(
            response.json["data"].as_array().map(Vec::len),
            Some(teams),
            "{response}"
        );
        assert_refused(
            org,
            &stranger.sign_with(&header, &good(org)),
            "the other's key",
        )
        .await;
        assert_refused(
            org,
            &stranger.sign_with(&json!({ "alg": "RS256" }), &good(org)),
            "without a kid",
        )
        .await;
    }
    // Nothing beside the claim says whose a token is.
    let client = stack.client(&b.sign_with(&header, &good(&theirs)));
    for (header, value) in [
        ("x-organization-id", ours.id.as_str()),
        ("organizationid", ours.id.as_str()),
    ] {
        let request = client.request(
            Method::GET,
            &format!("/v1/teams?organizationId={}", ours.id),
        );
        let response = crate::support::Client::send(request.header(header, value)).await;
        assert_eq!(response.json["data"], json!([]), "{response}");
    }
}

#[tokio::test]
async fn keys_that_were_replaced_are_gone_within_60_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (old, new) = signers();
    let start = clock.load(SeqCst);
    let [by_old, by_new] = [old, new]
        .map(|signer| stack.client(&signer.sign(&claims(&org.id, Timestamp::from_millis(start)))));
    let both = async || (status(&by_old).await, status(&by_new).await);

    assert_eq!(both().await, (401, 401));
    org.trust(&[old.jwk()]).await;
    clock.store(start + 5 * SECOND - 1, SeqCst);
    assert_eq!(
        both().await,
        (401, 401),
        "that there were none is remembered for some seconds"
    );
    let start = start + 5 * SECOND;
    clock.store(start, SeqCst);
    assert_eq!(both().await, (200, 401));

    // Both, and then the new one alone: nobody notices.
    org.trust(&[old.jwk(), new.jwk()]).await;
    assert_eq!(
        both().await,
        (200, 401),
        "the function knows the old one yet"
    );
    clock.store(start + 60 * SECOND, SeqCst);
    assert_eq!(both().await, (200, 200));
    org.trust(&[new.jwk()]).await;
    for seconds in [61, 90, 119] {
        clock.store(start + seconds * SECOND, SeqCst);
        assert_eq!(both().await, (200, 200), "after {seconds} s");
    }
    clock.store(start + 120 * SECOND - 1, SeqCst);
    assert_eq!(both().await, (200, 200));
    clock.store(start + 120 * SECOND, SeqCst);
    assert_eq!(both().await, (401, 200), "use does not keep it alive");

    assert!(stack.store().remove_token_issuer(&org.id).await.unwrap());
    assert!(!stack.store().remove_token_issuer(&org.id).await.unwrap());
    assert_eq!(both().await, (401, 200));
    clock.store(start + 180 * SECOND, SeqCst);
    assert_eq!(both().await, (401, 401));
    assert_eq!(
        status(&org.itsm).await,
        200,
        "keys of the API are another matter"
    );
}

#[tokio::test]
async fn an_issuer_that_is_changed_is_believed_anew_within_60_seconds() {
    let (stack, clock) = Stack::with_clock().await;
    let org = stack.organization().await;
    let (signer, _) = signers();
    let start = clock.load(SeqCst);
    let client = stack.client(&signer.sign(&claims(&org.id, Timestamp::from_millis(start))));
    org.trust(&[signer.jwk()]).await;
    assert_eq!(status(&client).await, 200);
    org.trust_only(&[signer.jwk()], Some("https://id.acme.example"), None)
        .await;
    clock.store(start + 60 * SECOND - 1, SeqCst);
    assert_eq!(status(&client).await, 200);
    clock.store(start + 60 * SECOND, SeqCst);
    assert_eq!(status(&client).await, 401);
}

#[tokio::test]
async fn a_table_that_fails_is_not_a_bad_token() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let token = signer.sign(&good(&org));
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let call = async |script: &FaultScript, token: &str| {
        let mut invocation = Invocation::new(token, Method::GET, team.as_str(), None);
        invocation.time = Duration::from_secs(2);
        invocation
            .call(&invoke::deps(&stack, script.client(&stack)))
            .await
    };
    for (fault, status) in [
        (Fault::Respond(400, "ThrottlingException"), 503),
        (Fault::Respond(500, "InternalServerError"), 503),
        (Fault::ConnectionRefused, 503),
        (Fault::Respond(400, "AccessDeniedException"), 500),
        (Fault::Respond(400, "ResourceNotFoundException"), 500),
    ] {
        let what = format!("{fault:?}");
        let script = FaultScript::default();
        script.always(&["GetItem"], fault.clone());
        assert_failed(&call(&script, &token).await, Itsm, status, &what);
        // What needs no key to be seen through is not looked up.
        let unsigned = assemble(
            &json!({ "alg": "none" }).to_string(),
            &good(&org).to_string(),
            |_| Vec::new(),
        );
        assert_unauthorized(&call(&script, &unsigned).await, Speaks::Itsm, &what);
        if status == 503 {
            let script = FaultScript::default();
            script.once(&["GetItem"], fault);
            let response = call(&script, &token).await;
            assert_eq!(
                (response.status.as_u16(), script.is_consumed()),
                (200, true),
                "once: {what}: {response}"
            );
        }
    }
}

/// What is not as this version writes it is our fault, and no reason to take a token.
#[tokio::test]
async fn keys_that_cannot_be_read_are_an_error() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let update = stack.dynamodb().update_item().table_name(&stack.table);
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let update = update
        .key("pk", text(format!("ORG#{}", org.id)))
        .key("sk", text("JWKS".to_owned()));
    update
        .update_expression("SET #k[0].n = :n")
        .expression_attribute_names("#k", "keys")
        .expression_attribute_values(":n", text("AQAB".to_owned()))
        .send()
        .await
        .unwrap();
    let response = stack
        .client(&signer.sign(&good(&org)))
        .get("/v1/teams")
        .await;
    assert_failed(&response, Itsm, 500, "a key too short");
}

#[tokio::test]
async fn of_a_key_file_only_the_public_keys_are_stored() {
    let stack = Stack::shared();
    let id = OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple())).unwrap();
    assert!(!stack.store().organization_exists(&id).await.unwrap());
    let (toptickets, itsm) = (stack.anonymous(), stack.anonymous());
    let org = Organization {
        stack: stack.clone(),
        id,
        users: Vec::new(),
        toptickets,
        itsm,
    };
    let (a, b) = signers();
    let more = json!({ "use": "sig", "alg": "RS256", "key_ops": ["verify"], "x5c": ["certificate"], "x5t": "thumb", "owner": "somebody" });
    org.trust_only(
        &[with(a.jwk(), &more), b.jwk()],
        Some("https://id.acme.example"),
        None,
    )
    .await;
    assert!(
        stack.store().organization_exists(&org.id).await.unwrap(),
        "an organization may begin with its tokens"
    );

    let key = |sk: &str| {
        let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
        let get = stack.dynamodb().get_item().table_name(&stack.table);
        get.key("pk", text(format!("ORG#{}", org.id)))
            .key("sk", text(sk.to_owned()))
            .send()
    };
    let item = key("JWKS").await.unwrap().item.expect("the keys are there");
    let mut attributes: Vec<_> = item.keys().map(String::as_str).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["issuer", "keys", "pk", "sk", "updated_at"]);
    for (stored, signer) in item["keys"].as_l().unwrap().iter().zip([a, b]) {
        let (stored, jwk) = (stored.as_m().unwrap(), signer.jwk());
        assert_eq!(stored.len(), 3);
        for name in ["kid", "n", "e"] {
            assert_eq!(text(stored, name), jwk[name], "{name}");
        }
    }
}

#[tokio::test]
async fn no_answer_and_no_item_ever_holds_a_token() {
    let stack = Stack::with(|_| {}).await;
    let org = stack.organization().await;
    let (signer, stranger) = signers();
    org.trust(&[signer.jwk()]).await;
    let user = org.users[0].id.uuid().to_string();
    let secret =
        json!({ "sub": "somebody-whose-name-is-a-secret", "jti": "an-id-that-is-a-secret" });
    let mut said = String::new();
    let mut parts = Vec::new();
    for token in [
        signer.sign(&with(good(&org), &secret)),
        signer.sign(&with(
            with(good(&org), &secret),
            &json!({ "permissions": [] }),
        )),
        signer.sign(&with(with(good(&org), &secret), &json!({ "exp": 1 }))),
        signer.sign(&with(with(good(&org), &secret), &json!({ "exp": "soon" }))),
        stranger.sign(&with(good(&org), &secret)),
    ] {
        let team = org.team(&Uuid::new_v4().to_string()).await;
        said += &everything_said(&stack.client(&token), &team, &user).await;
        parts.extend(token.split('.').map(str::to_owned));
    }
    said += &everything_stored(&stack).await;
    for part in parts
        .iter()
        .map(String::as_str)
        .chain(["somebody-whose-name", "an-id-that"])
    {
        assert!(!said.contains(part), "{part}");
    }
}

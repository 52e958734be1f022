//! The keys and the issuer that an organization trusts.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use muster_domain::{Contract::Itsm, OrganizationId, Timestamp};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{assert_accepted, assert_rejected, signers, valid_claims};
use crate::{
    reliability::faults::assert_failed,
    security::auth::{SECOND, all_responses, assert_unauthorized, status, table_dump},
    support::{
        Organization, Stack,
        fault_injection::{FaultScript, InjectedFault},
        invoke::{self, TestInvocation},
        jwt::{Signer, assemble, claims, with},
        response_shape::ErrorFormat,
        table::text,
    },
};

#[tokio::test]
async fn key_is_selected_by_its_kid() {
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

    assert_accepted(
        &one,
        &a.sign_with(&nameless, &valid_claims(&one)),
        "the only key",
    )
    .await;
    assert_rejected(
        &one,
        &a.sign(&valid_claims(&one)),
        "the key has no kid, and the token one",
    )
    .await;
    assert_rejected(
        &one,
        &b.sign_with(&nameless, &valid_claims(&one)),
        "another key",
    )
    .await;

    for signer in [a, b] {
        assert_accepted(&two, &signer.sign(&valid_claims(&two)), "one of two keys").await;
        assert_rejected(
            &two,
            &signer.sign_with(&nameless, &valid_claims(&two)),
            "the key is ambiguous",
        )
        .await;
        assert_rejected(
            &two,
            &signer.sign_with(&json!({ "alg": "RS256", "kid": "c" }), &valid_claims(&two)),
            "no key has this kid",
        )
        .await;
    }
    assert_rejected(
        &two,
        &a.sign_with(&b.header(), &valid_claims(&two)),
        "the other's kid",
    )
    .await;
    assert_rejected(
        &none,
        &a.sign(&valid_claims(&none)),
        "an organization without keys",
    )
    .await;
}

#[tokio::test]
async fn keys_are_scoped_to_their_organization() {
    let stack = Stack::shared();
    let (ours, theirs) = (stack.organization().await, stack.organization().await);
    let (a, b) = signers();
    // Both keys have the same kid, so that only the keys differ.
    ours.trust(&[a.jwk_called("key")]).await;
    theirs.trust(&[b.jwk_called("key")]).await;
    ours.team("Ours").await;
    let header = json!({ "alg": "RS256", "kid": "key" });
    for (org, signer, untrusted, teams) in [(&ours, a, b, 1), (&theirs, b, a, 0)] {
        let response = stack
            .client(&signer.sign_with(&header, &valid_claims(org)))
            .get("/v1/teams")
            .await;
        assert_eq!(
            response.json["data"].as_array().map(Vec::len),
            Some(teams),
            "{response}"
        );
        assert_rejected(
            org,
            &untrusted.sign_with(&header, &valid_claims(org)),
            "the other's key",
        )
        .await;
        assert_rejected(
            org,
            &untrusted.sign_with(&json!({ "alg": "RS256" }), &valid_claims(org)),
            "a token without a kid",
        )
        .await;
    }
    // Only the claim identifies the organization of a token.
    let client = stack.client(&b.sign_with(&header, &valid_claims(&theirs)));
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
async fn replaced_keys_end_within_60_seconds() {
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
        "the absence of keys is cached for five seconds"
    );
    let start = start + 5 * SECOND;
    clock.store(start, SeqCst);
    assert_eq!(both().await, (200, 401));

    // Rotation without downtime: both keys first, then the new one alone.
    org.trust(&[old.jwk(), new.jwk()]).await;
    assert_eq!(
        both().await,
        (200, 401),
        "the function has cached the old key"
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
    assert_eq!(
        both().await,
        (401, 200),
        "use does not extend the cache time"
    );

    assert!(stack.store().remove_token_issuer(&org.id).await.unwrap());
    assert!(!stack.store().remove_token_issuer(&org.id).await.unwrap());
    assert_eq!(both().await, (401, 200));
    clock.store(start + 180 * SECOND, SeqCst);
    assert_eq!(both().await, (401, 401));
    assert_eq!(status(&org.itsm).await, 200, "API keys are unaffected");
}

#[tokio::test]
async fn changed_issuer_applies_within_60_seconds() {
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
async fn table_failure_is_not_unauthorized() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let token = signer.sign(&valid_claims(&org));
    let team = format!("/v1/teams/{}", org.team("Team").await);
    let call = async |script: &FaultScript, token: &str| {
        let mut invocation = TestInvocation::new(token, Method::GET, team.as_str(), None);
        invocation.time = Duration::from_secs(2);
        invocation
            .call(&invoke::deps(&stack, script.client(&stack)))
            .await
    };
    for (fault, status) in [
        (InjectedFault::Respond(400, "ThrottlingException"), 503),
        (InjectedFault::Respond(500, "InternalServerError"), 503),
        (InjectedFault::ConnectionRefused, 503),
        (InjectedFault::Respond(400, "AccessDeniedException"), 500),
        (
            InjectedFault::Respond(400, "ResourceNotFoundException"),
            500,
        ),
    ] {
        let context = format!("{fault:?}");
        let script = FaultScript::default();
        script.always(&["GetItem"], fault.clone());
        assert_failed(&call(&script, &token).await, Itsm, status, &context);
        // A token that is invalid without a key causes no read.
        let unsigned = assemble(
            &json!({ "alg": "none" }).to_string(),
            &valid_claims(&org).to_string(),
            |_| Vec::new(),
        );
        assert_unauthorized(&call(&script, &unsigned).await, ErrorFormat::Itsm, &context);
        if status == 503 {
            let script = FaultScript::default();
            script.once(&["GetItem"], fault);
            let response = call(&script, &token).await;
            assert_eq!(
                (response.status.as_u16(), script.is_consumed()),
                (200, true),
                "once: {context}: {response}"
            );
        }
    }
}

/// Unreadable keys are an internal error, and the token is not accepted.
#[tokio::test]
async fn unreadable_keys_are_a_500() {
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
        .client(&signer.sign(&valid_claims(&org)))
        .get("/v1/teams")
        .await;
    assert_failed(&response, Itsm, 500, "a key too short");
}

#[tokio::test]
async fn table_stores_only_the_public_keys_of_a_jwks() {
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
        "an organization can start with a token issuer"
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
async fn response_or_item_never_contains_a_token() {
    let stack = Stack::with(|_| {}).await;
    let org = stack.organization().await;
    let (signer, untrusted) = signers();
    org.trust(&[signer.jwk()]).await;
    let user = org.users[0].id.uuid().to_string();
    let secret =
        json!({ "sub": "somebody-whose-name-is-a-secret", "jti": "an-id-that-is-a-secret" });
    let mut reported = String::new();
    let mut parts = Vec::new();
    for token in [
        signer.sign(&with(valid_claims(&org), &secret)),
        signer.sign(&with(
            with(valid_claims(&org), &secret),
            &json!({ "permissions": [] }),
        )),
        signer.sign(&with(
            with(valid_claims(&org), &secret),
            &json!({ "exp": 1 }),
        )),
        signer.sign(&with(
            with(valid_claims(&org), &secret),
            &json!({ "exp": "soon" }),
        )),
        untrusted.sign(&with(valid_claims(&org), &secret)),
    ] {
        let team = org.team(&Uuid::new_v4().to_string()).await;
        reported += &all_responses(&stack.client(&token), &team, &user).await;
        parts.extend(token.split('.').map(str::to_owned));
    }
    reported += &table_dump(&stack).await;
    for part in parts
        .iter()
        .map(String::as_str)
        .chain(["somebody-whose-name", "an-id-that"])
    {
        assert!(!reported.contains(part), "{part}");
    }
}

//! What may never be told: credentials, and what a profile says of a person.

use std::{sync::Arc, time::Duration};

use muster_domain::{KeyKind, Timestamp};
use muster_service::store::Table;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Stack, bare,
    fault_injection::{Fault, FaultScript, READS, WRITES},
    invoke::{self, Invocation},
    jwt::{SIGNERS, claims},
    log_capture::LogCapture,
    sqs::{SqsRecorder, invoke_directory_within},
    unknown_key,
};

/// All that a function can be had to log by Lambda's configuration: what the SDK says too.
const EVERYTHING: &str = "debug";

#[tokio::test]
async fn no_line_holds_a_credential_or_a_profile() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    org.trust(&[SIGNERS[0].jwk()]).await;
    let team = org.team("Discreet").await;
    org.member(&team, &org.users[0]).await;
    let claims = claims(&org.id, Timestamp::now());
    let tokens = [
        org.itsm.token().to_owned(),
        org.toptickets.token().to_owned(),
        unknown_key(KeyKind::TtAdmin),
        unknown_key(KeyKind::Itsm),
        SIGNERS[0].sign(&claims),
        SIGNERS[1].sign(&claims),
        "tt_admin_half".to_owned(),
        format!("tt_live_{}\u{e9}", "x".repeat(43)),
        "e30.e30.e30".to_owned(),
        "plain-secret".to_owned(),
    ];
    let faults: [(&'static [&'static str], Option<Fault>); 6] = [
        (READS, None),
        (
            &["Query"],
            Some(Fault::Respond(400, "AccessDeniedException")),
        ),
        (READS, Some(Fault::Respond(400, "ValidationException"))),
        (READS, Some(Fault::ConnectionRefused)),
        (WRITES, Some(Fault::Canceled("ValidationError"))),
        (WRITES, Some(Fault::Respond(500, "InternalServerError"))),
    ];
    let listener = LogCapture::to("teams", EVERYTHING, None);
    let mut told = String::new();
    for (operations, fault) in faults {
        let script = FaultScript::default();
        // What is tried until the time is up needs no more of it than what is told of it.
        let is_endless = matches!(
            fault,
            Some(Fault::ConnectionRefused | Fault::Respond(500, _))
        );
        let most = if is_endless {
            Duration::from_millis(560)
        } else {
            Duration::MAX
        };
        if let Some(fault) = fault {
            script.always(operations, fault);
        }
        for token in &tokens {
            // A mistaken client may put its credential anywhere.
            let email = &org.users[1].email;
            let body = json!({ "name": token, "description": email, "lead_id": token });
            let joins = json!({ "user_id": bare(&org.users[1]), "skills": [token, email] });
            for (method, target, body) in [
                (Method::GET, format!("/v1/teams/{team}"), None),
                (Method::GET, format!("/v1/teams/{token}"), None),
                (Method::GET, format!("/v1/{token}?token={token}"), None),
                (
                    Method::GET,
                    format!("/v1/teams?search={token}&page={token}"),
                    None,
                ),
                (
                    Method::from_bytes(token.replace('\u{e9}', "").as_bytes()).expect("a method"),
                    token.clone(),
                    None,
                ),
                (Method::POST, "/v1/teams".to_owned(), Some(body)),
                (
                    Method::POST,
                    format!("/v1/teams/{team}/members"),
                    Some(joins),
                ),
                (Method::POST, "/v1/teams".to_owned(), Some(json!(token))),
            ] {
                let deps = invoke::deps(&stack, script.client(&stack));
                let invocation = Invocation::new(token, method, target, body)
                    .with("idempotency-key", token)
                    .with("if-match", token)
                    .with("x-amzn-trace-id", token)
                    .with("cookie", token);
                let invocation = Invocation {
                    time: invocation.time.min(most),
                    ..invocation
                };
                listener.invoke(true, invocation.call(&deps)).await;
                told += &listener.text();
            }
        }
    }
    assert!(
        told.contains("AccessDenied") && told.contains("called") && told.contains("\"status\":201"),
        "{told}"
    );
    for token in &tokens {
        // No part of one either, such as a signature.
        for secret in token.split('.').filter(|part| part.len() > 3) {
            assert!(!told.contains(secret), "{secret} is told");
        }
    }
    for user in &org.users[..2] {
        for secret in [&user.email, &user.name] {
            assert!(!told.contains(&**secret), "{secret} is told");
        }
    }
}

#[tokio::test]
async fn no_line_holds_what_an_event_says_of_a_person() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let event = |organization: &str, changes: Value| {
        let mut user = json!({
            "id": bare(&org.users[0]),
            "email": "ada@secret.example",
            "full_name": "Ada Secret",
            "role": "agent",
            "status": "active",
            "updated_at": Timestamp::now().iso8601(),
        });
        for (field, value) in changes.as_object().expect("an object") {
            user[field] = value.clone();
        }
        let data = json!({ "organization_id": organization, "user": user });
        json!({ "specversion": "1.0", "id": "e", "source": "desk", "type": "user.updated", "data": data }).to_string()
    };
    let good = event(org.id.as_str(), json!({}));
    let bodies = [
        good.clone(),
        event("nobody", json!({})),
        event(org.id.as_str(), json!({ "status": "Ada Secret" })),
        event(org.id.as_str(), json!({ "id": "ada@secret.example" })),
        event(org.id.as_str(), json!({ "email": ["ada@secret.example"] })),
        good[..good.len() - 1].to_owned(),
        "Ada Secret".to_owned(),
    ];
    let listener = LogCapture::to("directory", EVERYTHING, None);
    let mut told = String::new();
    for fault in [
        Some(Fault::Respond(400, "ValidationException")),
        Some(Fault::ConnectionRefused),
        None,
    ] {
        let script = FaultScript::default();
        let is_faulty = fault.is_some();
        if let Some(fault) = fault {
            script.always(&["PutItem", "TransactWriteItems", "UpdateItem"], fault);
        }
        let deps = muster_directory::Deps {
            table: Table::new(script.client(&stack), stack.table.as_str()),
            dead_letters: SqsRecorder::default().queue(),
            clock: Arc::new(Timestamp::now),
        };
        let (_, failed) = listener
            .invoke(
                false,
                invoke_directory_within(&deps, &bodies, Duration::from_secs(5)),
            )
            .await;
        assert_eq!(failed.is_empty(), !is_faulty, "{failed:?}");
        told += &listener.text();
    }
    assert!(
        told.contains("poison") && told.contains("data.user."),
        "{told}"
    );
    for secret in ["Ada", "Secret", "secret.example"] {
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }
}

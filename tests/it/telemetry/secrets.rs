//! Credentials and personal data never appear in the log.

use std::{sync::Arc, time::Duration};

use muster_domain::{KeyKind, Timestamp, User};
use muster_service::store::Table;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Organization, Stack, bare,
    fault_injection::{FaultScript, InjectedFault, READS, WRITES},
    invoke::{self, TestInvocation},
    jwt::{SIGNERS, claims},
    log_capture::LogCapture,
    sqs::{SqsRecorder, invoke_directory_within},
    unknown_key,
};

/// The most verbose level that Lambda can configure, which includes the lines of the SDK.
const EVERYTHING: &str = "debug";

/// The name of a field that no endpoint knows.
const IGNORED: &str = "ignored-field-of-a-client";

/// Returns operations, each with the fault that they get.
fn faults() -> [(&'static [&'static str], Option<InjectedFault>); 6] {
    [
        (READS, None),
        (
            &["Query"],
            Some(InjectedFault::Respond(400, "AccessDeniedException")),
        ),
        (
            READS,
            Some(InjectedFault::Respond(400, "ValidationException")),
        ),
        (READS, Some(InjectedFault::ConnectionRefused)),
        (WRITES, Some(InjectedFault::Canceled("ValidationError"))),
        (
            WRITES,
            Some(InjectedFault::Respond(500, "InternalServerError")),
        ),
    ]
}

/// Returns requests with a credential in wrong places, which a client may send.
fn misplaced_credentials(
    org: &Organization,
    team: &str,
    token: &str,
) -> Vec<(Method, String, Option<Value>)> {
    let email = &org.users[1].email;
    let body = json!({ "name": token, "description": email, "lead_id": token, IGNORED: token });
    let joins = json!({ "user_id": bare(&org.users[1]), "skills": [token, email], IGNORED: token });
    vec![
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
            token.to_owned(),
            None,
        ),
        (Method::POST, "/v1/teams".to_owned(), Some(body)),
        (
            Method::POST,
            format!("/v1/teams/{team}/members"),
            Some(joins),
        ),
        (
            Method::POST,
            format!("/v1/teams?strict={token}"),
            Some(json!(token)),
        ),
    ]
}

/// Asserts that the log contains no part of a token and no personal data of a user.
fn assert_no_secrets(logged: &str, tokens: &[String], users: &[User]) {
    for token in tokens {
        // Parts of a credential, such as a signature, must not appear either.
        for secret in token.split('.').filter(|part| part.len() > 3) {
            assert!(!logged.contains(secret), "the log contains {secret}");
        }
    }
    for user in users {
        for secret in [&user.email, &user.name] {
            assert!(!logged.contains(&**secret), "the log contains {secret}");
        }
    }
}

#[tokio::test]
async fn line_never_contains_a_credential_or_a_profile() {
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
    let capture = LogCapture::to("teams", EVERYTHING, None);
    let mut logged = String::new();
    for (operations, fault) in faults() {
        let script = FaultScript::default();
        // Faults that are retried until the deadline get a short one, which suffices to log them.
        let is_endless = matches!(
            fault,
            Some(InjectedFault::ConnectionRefused | InjectedFault::Respond(500, _))
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
            for (method, target, body) in misplaced_credentials(&org, &team, token) {
                let deps = invoke::deps(&stack, script.client(&stack));
                let invocation = TestInvocation::new(token, method, target, body)
                    .with("idempotency-key", token)
                    .with("if-match", token)
                    .with("x-amzn-trace-id", token)
                    .with("cookie", token);
                let invocation = TestInvocation {
                    time: invocation.time.min(most),
                    ..invocation
                };
                capture.invoke(true, invocation.call(&deps)).await;
                logged += &capture.text();
            }
        }
    }
    assert!(
        logged.contains("AccessDenied")
            && logged.contains("called")
            && logged.contains("\"status\":201"),
        "{logged}"
    );
    assert_no_secrets(&logged, &tokens, &org.users[..2]);
    assert!(!logged.contains(IGNORED), "the log contains a field's name");
}

#[tokio::test]
async fn line_never_contains_personal_data_of_an_event() {
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
    let capture = LogCapture::to("directory", EVERYTHING, None);
    let mut logged = String::new();
    for fault in [
        Some(InjectedFault::Respond(400, "ValidationException")),
        Some(InjectedFault::ConnectionRefused),
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
        let (_, failed) = capture
            .invoke(
                false,
                invoke_directory_within(&deps, &bodies, Duration::from_secs(5)),
            )
            .await;
        assert_eq!(failed.is_empty(), !is_faulty, "{failed:?}");
        logged += &capture.text();
    }
    assert!(
        logged.contains("poison") && logged.contains("data.user."),
        "{logged}"
    );
    for secret in ["Ada", "Secret", "secret.example"] {
        assert!(
            !logged.contains(secret),
            "the log contains {secret}: {logged}"
        );
    }
}

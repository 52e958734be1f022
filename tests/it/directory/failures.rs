//! Messages that fail: permanently, transiently, or by a lost response.

use std::{sync::Arc, time::Duration};

use muster_domain::{EventVersion, OrganizationId, Timestamp, UserSnapshot};
use serde_json::json;

use super::{DirectoryFixture, dead_letter_server::queue_at, event_of, new_id, user_fields};
use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault},
};

#[tokio::test]
async fn poison_is_dead_lettered_with_its_reason() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let unknown = OrganizationId::parse("nobody-here").expect("a valid id");
    let bodies = [
        "{".to_owned(),
        fixture.event("user.created", 1, &user_fields(id, "Ann")),
        event_of(&unknown, "user.created", 1, &user_fields(id, "Ann")),
        fixture.event("user.created", 1, &json!({"id": "bob"})),
        fixture.event("user.merged", 1, &user_fields(id, "Ann")),
    ];
    fixture.handle_all(&bodies).await;
    assert_eq!(fixture.user(id).await.expect("the user exists").name, "Ann");
    assert_eq!(
        fixture
            .store()
            .user(&unknown, id)
            .await
            .expect("the table can be read"),
        None
    );
    let mut received = fixture.dead_letters.received();
    received.sort();
    let mut expected = [
        (
            0,
            "not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (2, "data.organization_id: there is no such organization"),
        (3, "data.user.id: must be a user's UUID"),
        (
            4,
            "type: must be user.created, user.updated, user.deactivated or user.deleted",
        ),
    ]
    .map(|(at, reason): (usize, &str)| (bodies[at].clone(), reason.to_owned()));
    expected.sort();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn poison_without_dead_letter_queue_fails_alone() {
    let mut fixture = DirectoryFixture::new().await;
    fixture.deps.dead_letters = queue_at("http://127.0.0.1:1");
    fixture.time = Duration::from_secs(5);
    let id = new_id();
    let bodies = [
        fixture.event("user.created", 1, &user_fields(id, "Ann")),
        "[]".to_owned(),
    ];
    assert_eq!(fixture.handle_batch(&bodies).await, [1]);
    assert!(fixture.user(id).await.is_some());
}

#[tokio::test]
async fn transient_fault_fails_only_its_messages() {
    let org = Stack::shared().organization().await;
    let script = FaultScript::default();
    let client = script.client(&org.stack);
    let mut fixture = DirectoryFixture::over(org, client).await;
    fixture.time = Duration::from_secs(5);
    let known = fixture.org.users[0].id;
    let bodies = [
        fixture.event("user.updated", 1, &user_fields(known, "Old")),
        "{".to_owned(),
        fixture.event("user.updated", 2, &user_fields(known, "New")),
    ];
    script.always(
        &["PutItem"],
        InjectedFault::Respond(400, "ThrottlingException"),
    );
    assert_eq!(fixture.handle_batch(&bodies).await, [0, 2]);
    assert_eq!(fixture.dead_letters.received().len(), 1);

    script.always(&["GetItem"], InjectedFault::NoResponse);
    assert_eq!(fixture.handle_batch(&bodies).await, [0, 2]);
}

#[tokio::test]
async fn lost_response_or_concurrent_writer_is_harmless() {
    for lost in [true, false] {
        let org = Stack::shared().organization().await;
        let script = FaultScript::default();
        let client = script.client(&org.stack);
        let fixture = DirectoryFixture::over(org, client).await;
        let id = new_id();
        let fault = if lost {
            InjectedFault::ResponseDropped
        } else {
            let (store, org) = (fixture.store(), fixture.org.id.clone());
            InjectedFault::RunFirst(Arc::new(move || {
                let (store, org) = (store.clone(), org.clone());
                Box::pin(async move {
                    let user_fields = |name: &str| {
                        let version = EventVersion {
                            at: Timestamp::from_millis(5),
                            time: None,
                            event_id: String::new(),
                        };
                        let user = UserSnapshot {
                            name: Some(name.to_owned()),
                            role: Some("manager".to_owned()),
                            ..UserSnapshot::empty(id)
                        };
                        (version, user)
                    };
                    store
                        .apply_user_events(&org, id, &[user_fields("Other")], Timestamp::now())
                        .await
                        .expect("the profile is written");
                })
            }))
        };
        script.once(&["PutItem"], fault);
        fixture
            .handle_all(&[fixture.event("user.created", 1, &user_fields(id, "Ann"))])
            .await;
        assert!(script.is_consumed());
        let user = fixture.user(id).await.expect("the user exists");
        assert_eq!(
            (user.name.as_str(), user.role.as_str()),
            ("Ann", if lost { "agent" } else { "manager" })
        );
    }
}

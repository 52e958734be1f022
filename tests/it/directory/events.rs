//! User events, their order and their batches.

use muster_domain::{UserId, UserStatus};
use serde_json::{Value, json};

use super::{DirectoryFixture, new_id, user_fields};
use crate::support::{Stack, fault_injection::FaultScript};

#[tokio::test]
async fn user_events_create_update_and_deactivate_a_profile() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let prefixed = format!("usr_{}", id.uuid());
    fixture.handle_all(&[fixture.event("user.created", 1, &json!({
        "id": prefixed, "full_name": "Ann Lee", "email": "ann@acme.example", "is_active": true, "avatar_url": "https://x/a",
    }))]).await;
    let created = fixture.user(id).await.expect("the user exists");
    assert_eq!(
        (created.name.as_str(), created.role.as_str()),
        ("Ann Lee", "agent")
    );
    assert_eq!(
        (created.avatar_url.as_deref(), created.status),
        (Some("https://x/a"), UserStatus::Active)
    );
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &created).await;

    fixture
        .handle_all(&[fixture.event(
            "user.updated",
            2,
            &json!({"id": prefixed, "name": "Ann Li", "role": "manager"}),
        )])
        .await;
    let updated = fixture.user(id).await.expect("the user exists");
    assert_eq!(
        (updated.name.as_str(), updated.email.as_str()),
        ("Ann Li", "ann@acme.example")
    );
    assert!(updated.version > created.version);

    fixture
        .handle_all(&[fixture.event("user.deactivated", 3, &user_fields(id, "Ann"))])
        .await;
    assert_eq!(
        fixture.user(id).await.expect("the user exists").status,
        UserStatus::Inactive
    );
    assert_eq!(fixture.dead_letters.received(), []);
}

#[tokio::test]
async fn duplicate_and_late_events_change_no_profile() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let events: Vec<String> = (1..=3)
        .map(|at| fixture.event("user.updated", at, &user_fields(id, &format!("n{at}"))))
        .collect();
    fixture.handle_all(&events[2..]).await;
    let before = fixture.user(id).await;
    fixture.handle_all(&events).await;
    fixture
        .handle_all(&[events[0].clone(), events[2].clone(), events[0].clone()])
        .await;
    assert_eq!(fixture.user(id).await, before);
    assert_eq!(before.expect("it is there").name, "n3");
}

#[tokio::test]
async fn same_second_later_event_time_sets_each_field() {
    let fixture = DirectoryFixture::new().await;
    let event = |kind: &str, event_id: &str, time: &str, mut user: Value| {
        user["updated_at"] = json!("2026-03-02T09:00:00Z");
        json!({
            "specversion": "1.0", "id": event_id, "source": "desk", "type": kind, "time": time,
            "data": {"organization_id": fixture.org.id.as_str(), "user": user},
        })
        .to_string()
    };
    let updated = |id| {
        event(
            "user.updated",
            "z-9",
            "2026-03-02T09:00:00.1Z",
            user_fields(id, "Kim"),
        )
    };
    let only_id = |id: UserId| json!({"id": id.uuid().to_string()});
    let deactivated = |id| {
        event(
            "user.deactivated",
            "a-9",
            "2026-03-02T09:00:00.9Z",
            only_id(id),
        )
    };
    let ids = [new_id(), new_id(), new_id()];
    fixture.handle_all(&[updated(ids[0])]).await;
    fixture.handle_all(&[deactivated(ids[0])]).await;
    fixture.handle_all(&[deactivated(ids[1])]).await;
    fixture.handle_all(&[updated(ids[1])]).await;
    fixture
        .handle_all(&[deactivated(ids[2]), updated(ids[2])])
        .await;
    for id in ids {
        let user = fixture.user(id).await.expect("the profile exists");
        assert_eq!(
            (user.name.as_str(), user.status),
            ("Kim", UserStatus::Inactive)
        );
    }
}

#[tokio::test]
async fn batch_writes_each_user_once_in_version_order() {
    let org = Stack::shared().organization().await;
    let script = FaultScript::default();
    let client = script.client(&org.stack);
    let fixture = DirectoryFixture::over(org, client).await;
    let ids: Vec<UserId> = (0..30).map(|_| new_id()).collect();
    let at = |second: i64| {
        ids.iter()
            .map(move |&id| (second, user_fields(id, &format!("n{second}"))))
    };
    let events: Vec<String> = at(2)
        .chain(at(3))
        .chain(at(1))
        .map(|(second, user)| fixture.event("user.updated", second, &user))
        .collect();
    fixture.handle_all(&events).await;
    assert_eq!(
        (script.calls(&["GetItem"]), script.calls(&["PutItem"])),
        (31, 30)
    );
    for id in ids {
        assert_eq!(fixture.user(id).await.expect("it is there").name, "n3");
    }
}

//! Shared fixtures of the tests.

use serde_json::Value;

use super::{Announcement, announcements};
use muster_domain::{Change, ChangeKind, OrganizationId, TeamId, Timestamp, UserId};

pub(super) const MORNING: Timestamp = Timestamp::from_millis(1_736_064_000_123);

pub(super) fn org() -> OrganizationId {
    OrganizationId::parse("org").unwrap()
}

pub(super) fn team_id() -> TeamId {
    TeamId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap()
}

pub(super) fn alex() -> UserId {
    UserId::parse("f6e5d4c3-b2a1-0987-fedc-ba9876543210").unwrap()
}

pub(super) fn robin() -> UserId {
    UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()
}

pub(super) fn later(ms: i64) -> Timestamp {
    Timestamp::from_millis(MORNING.millis() + ms)
}

pub(super) fn announced(record: &str, kind: ChangeKind) -> Vec<Announcement> {
    announcements(&Change {
        record: record.to_owned(),
        organization_id: org(),
        at: later(5_000),
        kind,
    })
}

pub(super) fn kinds(announcements: &[Announcement]) -> Vec<&'static str> {
    announcements
        .iter()
        .map(|announcement| announcement.kind)
        .collect()
}

/// Returns the only announced event.
pub(super) fn event(announcements: &[Announcement]) -> Value {
    let [
        Announcement {
            record,
            kind,
            at: _,
            event,
        },
    ] = announcements
    else {
        panic!("{announcements:?}")
    };
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["type"], *kind);
    assert!(event["id"].as_str().unwrap().starts_with(record));
    event
}

//! The user events: `user.created`, `user.updated`, `user.deactivated`, `user.deleted`.

use serde_json::Value;

use super::{
    event::{self, Event},
    fault::{Fault, Faults, Poison},
    fields::{Fields, text, user_id},
};
use muster_domain::{Timestamp, User, UserEvent, UserId, UserSnapshot, UserStatus};

/// The kind of a user event.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Snapshot,
    Deactivated,
    Deleted,
}

/// Parses the body of a message on the user queue.
///
/// Of a deleted user, only the id is read. An `avatar_url` that is `null` or empty removes the
/// picture: the platforms have no other way to express it.
///
/// # Errors
/// The faults for which the message can never succeed.
pub fn user_event(body: &str, now: Timestamp) -> Result<UserEvent, Poison> {
    let event = event::parse(body, "user", now, kind, read)?;
    let Event {
        kind: _,
        organization_id,
        version,
        object: user,
    } = event;
    Ok(UserEvent {
        organization_id,
        version,
        user,
    })
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "user.created" | "user.updated" => Ok(Kind::Snapshot),
        "user.deactivated" => Ok(Kind::Deactivated),
        "user.deleted" => Ok(Kind::Deleted),
        _ => Err("must be user.created, user.updated, user.deactivated or user.deleted".to_owned()),
    }
}

fn read(fields: &Fields<'_>, kind: Option<Kind>, faults: &mut Faults) -> Option<UserSnapshot> {
    let id = faults.required(fields.required("id", user_id));
    match kind {
        Some(Kind::Snapshot) | None => snapshot(fields, id, faults),
        // A deactivated user is inactive, regardless of the status in the event, except that a
        // suspended user stays suspended.
        Some(Kind::Deactivated) => snapshot(fields, id, faults).map(|user| match user.status {
            Some(UserStatus::Suspended) => user,
            _ => UserSnapshot {
                status: Some(UserStatus::Inactive),
                ..user
            },
        }),
        Some(Kind::Deleted) => Some(UserSnapshot {
            status: Some(UserStatus::Deleted),
            ..UserSnapshot::empty(id?)
        }),
    }
}

fn snapshot(fields: &Fields<'_>, id: Option<UserId>, faults: &mut Faults) -> Option<UserSnapshot> {
    let name = faults.optional(fields.optional(&["name", "full_name"], line));
    let email = faults.optional(fields.optional(&["email"], line));
    let role = faults.optional(fields.optional(&["role"], line));
    let avatar_url = faults.optional(avatar_url(fields));
    let status = faults.optional(status(fields));
    Some(UserSnapshot {
        id: id?,
        name,
        email,
        role,
        avatar_url,
        status,
    })
}

fn line(value: &Value) -> Result<String, String> {
    User::parse_text(&text(value)?).map_err(|rule| rule.to_string())
}

#[expect(clippy::option_option, reason = "absent is not the same as null")]
fn avatar_url(fields: &Fields<'_>) -> Result<Option<Option<String>>, Fault> {
    let url = |value: &Value| User::parse_url(&text(value)?).map_err(|rule| rule.to_string());
    let read = fields.optional(&["avatar_url"], url)?;
    Ok(if fields.has("avatar_url") {
        Some(read)
    } else {
        None
    })
}

/// Reads the status from the field of either platform. `status` has precedence.
fn status(fields: &Fields<'_>) -> Result<Option<UserStatus>, Fault> {
    let word = |value: &Value| {
        let rule = || {
            format!(
                "must be one of {}",
                UserStatus::REPORTED.map(UserStatus::as_str).join(", ")
            )
        };
        value
            .as_str()
            .and_then(UserStatus::parse_reported)
            .ok_or_else(rule)
    };
    if let Some(status) = fields.optional(&["status"], word)? {
        return Ok(Some(status));
    }
    let is_active = |value: &Value| match value {
        Value::Bool(true) => Ok(UserStatus::Active),
        Value::Bool(false) => Ok(UserStatus::Inactive),
        _ => Err("must be true or false".to_owned()),
    };
    fields.optional(&["is_active"], is_active)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use muster_domain::{EventVersion, OrganizationId};

    const USER: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn now() -> Timestamp {
        Timestamp::from_secs(1_736_067_600)
    }

    fn parse(kind: &str, user: &Value) -> Result<UserEvent, String> {
        let event = json!({
            "specversion": "1.0", "id": "e-1", "source": "desk", "type": kind, "time": "2025-01-05T08:00:00Z",
            "data": {"organization_id": "acme", "user": user},
        });
        user_event(&event.to_string(), now()).map_err(|poison| poison.to_string())
    }

    fn status(kind: &str, mut said: Value) -> Option<UserStatus> {
        said["id"] = json!(USER);
        parse(kind, &said).unwrap().user.status
    }

    #[test]
    fn both_platforms_users_are_parsed_alike() {
        let toptickets = json!({
            "id": USER, "full_name": " Alice Johnson ", "email": "a@acme.example", "role": "agent", "is_active": true,
            "avatar_url": "https://acme.example/a", "updated_at": "2025-01-05T07:30:00Z", "last_login": "yesterday",
        });
        let itsm = json!({
            "id": format!("usr_{USER}"), "name": "Alice Johnson", "email": "a@acme.example", "role": "agent",
            "avatar_url": "https://acme.example/a", "status": "active", "updated_at": 1_736_062_200,
        });
        let expected = UserEvent {
            organization_id: OrganizationId::parse("acme").unwrap(),
            version: EventVersion {
                at: Timestamp::from_secs(1_736_062_200),
                time: Some(Timestamp::from_secs(1_736_064_000)),
                event_id: "e-1".to_owned(),
            },
            user: UserSnapshot {
                id: UserId::parse(USER).unwrap(),
                name: Some("Alice Johnson".to_owned()),
                email: Some("a@acme.example".to_owned()),
                role: Some("agent".to_owned()),
                avatar_url: Some(Some("https://acme.example/a".to_owned())),
                status: Some(UserStatus::Active),
            },
        };
        assert_eq!(parse("user.created", &toptickets), Ok(expected.clone()));
        assert_eq!(parse("user.updated", &itsm), Ok(expected));
    }

    #[test]
    fn absent_field_is_not_set() {
        let said = parse(
            "user.updated",
            &json!({"id": USER, "name": null, "email": " ", "role": ""}),
        )
        .unwrap();
        assert_eq!(said.user, UserSnapshot::empty(UserId::parse(USER).unwrap()));
        assert_eq!(said.version.at, Timestamp::from_secs(1_736_064_000));
        for none in [Value::Null, json!(""), json!("  ")] {
            let said = parse("user.updated", &json!({"id": USER, "avatar_url": none})).unwrap();
            assert_eq!(said.user.avatar_url, Some(None));
        }
    }

    #[test]
    fn status_follows_from_kind_and_either_field() {
        use UserStatus::{Active, Deleted, Inactive, Suspended};
        for (kind, said, expected) in [
            ("user.created", json!({}), None),
            ("user.updated", json!({"is_active": false}), Some(Inactive)),
            ("user.updated", json!({"is_active": true}), Some(Active)),
            (
                "user.updated",
                json!({"is_active": true, "status": "suspended"}),
                Some(Suspended),
            ),
            ("user.deactivated", json!({}), Some(Inactive)),
            (
                "user.deactivated",
                json!({"is_active": true}),
                Some(Inactive),
            ),
            (
                "user.deactivated",
                json!({"status": "active"}),
                Some(Inactive),
            ),
            (
                "user.deactivated",
                json!({"status": "suspended"}),
                Some(Suspended),
            ),
            (
                "user.deleted",
                json!({"status": "nonsense", "name": 7}),
                Some(Deleted),
            ),
        ] {
            assert_eq!(status(kind, said.clone()), expected, "{kind} {said}");
        }
    }

    #[test]
    fn empty_text_is_absent_but_for_the_picture() {
        let nothing = UserSnapshot::empty(UserId::parse(USER).unwrap());
        for empty in ["", " \t"] {
            for field in [
                "name",
                "full_name",
                "email",
                "role",
                "status",
                "is_active",
                "updated_at",
            ] {
                assert_eq!(
                    parse("user.updated", &json!({"id": USER, field: empty}))
                        .unwrap()
                        .user,
                    nothing,
                    "{field}"
                );
            }
            let said = json!({"id": USER, "name": empty, "full_name": "Ann", "status": empty, "is_active": false});
            let user = parse("user.updated", &said).unwrap().user;
            assert_eq!(
                (user.name.as_deref(), user.status),
                (Some("Ann"), Some(UserStatus::Inactive))
            );
            assert_eq!(
                parse("user.updated", &json!({"id": empty})).unwrap_err(),
                "data.user.id: must be a user's UUID"
            );
        }
    }

    #[test]
    fn status_is_read_without_case() {
        assert_eq!(
            status("user.updated", json!({"status": "SUSPENDED"})),
            Some(UserStatus::Suspended)
        );
        assert_eq!(
            status("user.updated", json!({"status": " Active"})),
            Some(UserStatus::Active)
        );
    }

    #[test]
    fn poison_names_the_field_and_the_rule() {
        for (field, value, reason) in [
            ("id", json!(null), "data.user.id: is required"),
            ("id", json!("bob"), "data.user.id: must be a user's UUID"),
            ("name", json!(7), "data.user.name: must be a string"),
            (
                "full_name",
                json!("a\u{0}b"),
                "data.user.full_name: must not have control characters",
            ),
            (
                "email",
                json!("x".repeat(256)),
                "data.user.email: must have at most 255 characters",
            ),
            ("role", json!(["agent"]), "data.user.role: must be a string"),
            (
                "avatar_url",
                json!("x".repeat(2049)),
                "data.user.avatar_url: must have at most 2048 characters",
            ),
            (
                "status",
                json!("deleted"),
                "data.user.status: must be one of active, inactive, suspended",
            ),
            (
                "is_active",
                json!("yes"),
                "data.user.is_active: must be true or false",
            ),
            (
                "updated_at",
                json!(1_736_067_600 + 301),
                "data.user.updated_at: is more than 5 minutes in the future",
            ),
        ] {
            let mut user = json!({"id": USER});
            user[field] = value;
            assert_eq!(parse("user.updated", &user).unwrap_err(), reason);
        }
        let kinds = "type: must be user.created, user.updated, user.deactivated or user.deleted";
        assert_eq!(
            parse("ticket.created", &json!({"id": USER})).unwrap_err(),
            kinds
        );
        assert_eq!(
            parse("user.deleted", &Value::Null).unwrap_err(),
            "data.user: is required"
        );
        let faults = parse(
            "user.updated",
            &json!({"name": 7, "role": 8, "status": "on"}),
        )
        .unwrap_err();
        assert_eq!(faults.split("; ").count(), 4, "{faults}");
    }
}

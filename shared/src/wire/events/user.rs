//! The user events: `user.created`, `user.updated`, `user.deactivated`, `user.deleted`.

use serde_json::Value;

use super::{CloudEvent, Fields, Poison};
use crate::domain::{TextError, Timestamp, User, UserEvent, UserId, UserSnapshot, UserStatus};

/// Parses the body of a message on the user queue.
///
/// Of a deleted user only the id is read. An empty name, address or role was not said; an `avatar_url` that is `null` or empty
/// says that there is no picture, since platforms have no other word for it.
///
/// # Errors
/// What keeps it from ever being understood.
pub fn user_event(body: &str, now: Timestamp) -> Result<UserEvent, Poison> {
    let event = CloudEvent::parse(body)?;
    let read = match event.kind.as_str() {
        "user.created" | "user.updated" => snapshot,
        "user.deactivated" => deactivated,
        "user.deleted" => deleted,
        _ => {
            let known = "must be user.created, user.updated, user.deactivated or user.deleted";
            return Err(Poison::field("type", known));
        }
    };
    let organization_id = event.organization_id()?;
    let fields = event.data.object("user")?;
    let version = event.version(fields.time("updated_at")?, &fields.path_of("updated_at"), now)?;
    Ok(UserEvent { organization_id, version, user: read(&fields)? })
}

fn id(fields: &Fields) -> Result<UserId, Poison> {
    fields.user_id("id")?.ok_or_else(|| fields.broken("id", "is required"))
}

fn snapshot(fields: &Fields) -> Result<UserSnapshot, Poison> {
    let said = |field: &str| parsed(fields, field, User::parse_text);
    let avatar_url = match fields.values.get("avatar_url") {
        None => None,
        Some(_) => Some(parsed(fields, "avatar_url", User::parse_url)?),
    };
    Ok(UserSnapshot {
        id: id(fields)?,
        name: said(fields.named(&["name", "full_name"]))?,
        email: said("email")?,
        role: said("role")?,
        avatar_url,
        status: status(fields)?,
    })
}

/// Somebody deactivated is inactive, whatever else is said, unless it is that they are suspended.
fn deactivated(fields: &Fields) -> Result<UserSnapshot, Poison> {
    let snapshot = snapshot(fields)?;
    let status = match snapshot.status {
        Some(UserStatus::Suspended) => UserStatus::Suspended,
        _ => UserStatus::Inactive,
    };
    Ok(UserSnapshot { status: Some(status), ..snapshot })
}

fn deleted(fields: &Fields) -> Result<UserSnapshot, Poison> {
    Ok(UserSnapshot { status: Some(UserStatus::Deleted), ..UserSnapshot::nothing_of(id(fields)?) })
}

/// A text by a rule of its own; the empty one was not said.
fn parsed(
    fields: &Fields,
    field: &str,
    parse: fn(&str) -> Result<String, TextError>,
) -> Result<Option<String>, Poison> {
    match fields.text(field)?.as_deref().map(parse) {
        None | Some(Err(TextError::Empty)) => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(rule)) => Err(fields.broken(field, rule)),
    }
}

/// The status by either platform's word; `status` counts where both are there.
fn status(fields: &Fields) -> Result<Option<UserStatus>, Poison> {
    if let Some(text) = fields.text("status")? {
        let words = UserStatus::SAID.map(UserStatus::as_str).join(", ");
        let rule = format!("must be one of {words}");
        return UserStatus::parse_said(&text).map(Some).ok_or_else(|| fields.broken("status", rule));
    }
    match fields.get("is_active").map(Value::as_bool) {
        None => Ok(None),
        Some(Some(true)) => Ok(Some(UserStatus::Active)),
        Some(Some(false)) => Ok(Some(UserStatus::Inactive)),
        Some(None) => Err(fields.broken("is_active", "must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{EventVersion, OrganizationId};

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
    fn both_platforms_users_mean_the_same() {
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
    fn what_is_absent_was_not_said() {
        let said = parse("user.updated", &json!({"id": USER, "name": null, "email": " ", "role": ""})).unwrap();
        assert_eq!(said.user, UserSnapshot::nothing_of(UserId::parse(USER).unwrap()));
        assert_eq!(said.version.at, Timestamp::from_secs(1_736_064_000));
        for none in [Value::Null, json!(""), json!("  ")] {
            let said = parse("user.updated", &json!({"id": USER, "avatar_url": none})).unwrap();
            assert_eq!(said.user.avatar_url, Some(None));
        }
    }

    #[test]
    fn the_kind_of_event_and_either_word_say_the_status() {
        use UserStatus::{Active, Deleted, Inactive, Suspended};
        for (kind, said, expected) in [
            ("user.created", json!({}), None),
            ("user.updated", json!({"is_active": false}), Some(Inactive)),
            ("user.updated", json!({"is_active": true}), Some(Active)),
            ("user.updated", json!({"is_active": true, "status": "suspended"}), Some(Suspended)),
            ("user.deactivated", json!({}), Some(Inactive)),
            ("user.deactivated", json!({"is_active": true}), Some(Inactive)),
            ("user.deactivated", json!({"status": "active"}), Some(Inactive)),
            ("user.deactivated", json!({"status": "suspended"}), Some(Suspended)),
            ("user.deleted", json!({"status": "nonsense", "name": 7}), Some(Deleted)),
        ] {
            assert_eq!(status(kind, said.clone()), expected, "{kind} {said}");
        }
    }

    #[test]
    fn poison_names_the_field_and_the_rule() {
        for (field, value, reason) in [
            ("id", json!(null), "data.user.id: is required"),
            ("id", json!("bob"), "data.user.id: must be a user's UUID"),
            ("name", json!(7), "data.user.name: must be a string"),
            ("full_name", json!("a\u{0}b"), "data.user.full_name: must not have control characters"),
            ("email", json!("x".repeat(256)), "data.user.email: must have at most 255 characters"),
            ("role", json!(["agent"]), "data.user.role: must be a string"),
            ("avatar_url", json!("x".repeat(2049)), "data.user.avatar_url: must have at most 2048 characters"),
            ("status", json!("deleted"), "data.user.status: must be one of active, inactive, suspended"),
            ("is_active", json!("yes"), "data.user.is_active: must be true or false"),
            ("updated_at", json!(1_736_067_600 + 301), "data.user.updated_at: is more than 5 minutes in the future"),
        ] {
            let mut user = json!({"id": USER});
            user[field] = value;
            assert_eq!(parse("user.updated", &user).unwrap_err(), reason);
        }
        let kinds = "type: must be user.created, user.updated, user.deactivated or user.deleted";
        assert_eq!(parse("ticket.created", &json!({"id": USER})).unwrap_err(), kinds);
        assert_eq!(parse("user.deleted", &Value::Null).unwrap_err(), "data.user: is required");
    }
}

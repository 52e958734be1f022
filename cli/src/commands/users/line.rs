//! A line of the file of `muster users import`.

use std::collections::BTreeMap;

use muster_domain::{TextError, User, UserId, UserSnapshot, UserStatus};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

/// A user in the fields of either platform.
#[derive(Deserialize)]
struct UserLine {
    id: String,
    #[serde(alias = "full_name")]
    name: String,
    email: String,
    role: Option<String>,
    #[expect(clippy::option_option, reason = "absent is not the same as null")]
    #[serde(default, deserialize_with = "explicit")]
    avatar_url: Option<Option<String>>,
    status: Option<String>,
    is_active: Option<bool>,
    /// The names of all other fields.
    #[serde(flatten)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "serde flattens into a map, and its values are not needed"
    )]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Distinguishes `null` from an absent field.
#[expect(clippy::option_option, reason = "absent is not the same as null")]
fn explicit<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Parses one line of the file. An unknown field is an error unless `ignore_unknown` is set: a
/// misspelt `status` would import an inactive user as active.
pub(super) fn parse(line: &str, ignore_unknown: bool) -> Result<UserSnapshot, String> {
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let UserLine {
        id,
        name,
        email,
        role,
        avatar_url,
        status,
        is_active,
        unknown,
    } = serde_json::from_str(line).map_err(|error| {
        // The column is dropped: the caller reports the line number.
        let message = error.to_string();
        message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned()
    })?;
    if !ignore_unknown && !unknown.is_empty() {
        let names: Vec<_> = unknown.keys().map(|name| format!("{name:?}")).collect();
        return Err(format!(
            "unknown field {}: fix it, or pass --ignore-unknown",
            names.join(", ")
        ));
    }
    let text = |field: &str, value: &str| {
        User::parse_text(value).map_err(|rule| format!("{field} {rule}"))
    };
    let url = |value: Option<String>| match value.as_deref().map(User::parse_url) {
        None | Some(Err(TextError::Empty)) => Ok(None),
        Some(Ok(url)) => Ok(Some(url)),
        Some(Err(rule)) => Err(format!("avatar_url {rule}")),
    };
    let status = match (status.as_deref(), is_active) {
        (Some(status), _) => Some(
            UserStatus::parse_reported(status)
                .ok_or("status must be one of: active, inactive, suspended")?,
        ),
        (None, Some(true)) => Some(UserStatus::Active),
        (None, Some(false)) => Some(UserStatus::Inactive),
        (None, None) => None,
    };
    Ok(UserSnapshot {
        id: UserId::parse(&id).map_err(|_| "id must be a UUID, with or without the prefix usr_")?,
        name: Some(text("name", &name)?),
        email: Some(text("email", &email)?),
        role: role.map(|role| text("role", &role)).transpose()?,
        avatar_url: avatar_url.map(url).transpose()?,
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    #[test]
    fn line_of_either_platform_is_parsed() {
        let toptickets = format!(
            r#"{{"id":"{ID}","full_name":" Alice Johnson ","email":"a@b.c","is_active":false}}"#
        );
        let itsm = format!(
            r#"{{"id":"usr_{ID}","name":"Alice Johnson","email":"a@b.c","role":"manager","avatar_url":"https://x/y","status":"suspended"}}"#
        );
        let parse = |line: &str| parse(line, false);
        let user = parse(&toptickets).unwrap();
        assert_eq!(
            (user.name.as_deref(), user.role.as_deref()),
            (Some("Alice Johnson"), None)
        );
        assert_eq!(
            (user.avatar_url, user.status),
            (None, Some(UserStatus::Inactive))
        );
        let user = parse(&itsm).unwrap();
        assert_eq!(
            (user.role.as_deref(), user.status),
            (Some("manager"), Some(UserStatus::Suspended))
        );
        assert_eq!(user.avatar_url, Some(Some("https://x/y".to_owned())));
        let cleared = parse(&format!(
            r#"{{"id":"{ID}","name":"A","email":"a@b.c","avatar_url":null}}"#
        ))
        .unwrap();
        assert_eq!((cleared.avatar_url, cleared.status), (Some(None), None));
    }

    #[test]
    fn invalid_line_error_names_the_rule() {
        let fault = |line: &str| parse(line, false).unwrap_err();
        assert!(fault("{").contains("EOF"), "{}", fault("{"));
        assert_eq!(fault(r#"["a","b","c"]"#), "not a JSON object");
        assert_eq!(
            fault(&format!(r#"{{"id":"{ID}","email":"a@b.c"}}"#)),
            "missing field `name`"
        );
        assert_eq!(
            fault(r#"{"id":"7","name":"A","email":"a@b.c"}"#),
            "id must be a UUID, with or without the prefix usr_"
        );
        assert_eq!(
            fault(&format!(r#"{{"id":"{ID}","name":" ","email":"a@b.c"}}"#)),
            "name must not be empty"
        );
        assert!(
            fault(&format!(
                r#"{{"id":"{ID}","name":"A","email":"a@b.c","status":"away"}}"#
            ))
            .contains("status")
        );
    }

    #[test]
    fn unknown_field_is_rejected_unless_ignored() {
        let misspelt = format!(
            r#"{{"id":"{ID}","name":"A","email":"a@b.c","stauts":"inactive","last login":[{{}}]}}"#
        );
        let expected = r#"unknown field "last login", "stauts": fix it, or pass --ignore-unknown"#;
        assert_eq!(parse(&misspelt, false).unwrap_err(), expected);
        assert_eq!(parse(&misspelt, true).unwrap().status, None);

        let twice = format!(
            r#"{{"id":"{ID}","name":"A","email":"a@b.c","status":"active","status":"inactive"}}"#
        );
        assert_eq!(parse(&twice, true).unwrap_err(), "duplicate field `status`");
    }
}

//! `muster users`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader},
};

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use muster::{
    domain::{
        EventVersion, OrganizationId, TextError, Timestamp, User, UserId, UserSnapshot, UserStatus,
    },
    store::Table,
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use tokio::time::Instant;

use super::PATIENCE;
use crate::{
    args::{Target, UsersErase, UsersImport},
    output,
};

/// A user as either platform writes one.
#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(alias = "full_name")]
    name: String,
    email: String,
    role: Option<String>,
    #[expect(clippy::option_option, reason = "absent is not the same as null")]
    #[serde(default, deserialize_with = "said")]
    avatar_url: Option<Option<String>>,
    status: Option<String>,
    is_active: Option<bool>,
    /// Every other field, by name.
    #[serde(flatten)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "serde flattens into a map, and its values are not needed"
    )]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Tells `null` from what is absent.
#[expect(clippy::option_option, reason = "absent is not the same as null")]
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Parses one line of the file. An unknown field is an error unless `ignore_unknown`: a misspelt
/// `status` would import an inactive user as active.
fn parse(line: &str, ignore_unknown: bool) -> Result<UserSnapshot, String> {
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let Line {
        id,
        name,
        email,
        role,
        avatar_url,
        status,
        is_active,
        unknown,
    } = serde_json::from_str(line).map_err(|error| {
        // The position is within a line that the caller names anyway.
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
            "unknown field {}: correct it, or pass --ignore-unknown",
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
            UserStatus::parse_said(status)
                .ok_or("status must be one of: active, inactive, suspended")?,
        ),
        (None, Some(true)) => Some(UserStatus::Active),
        (None, Some(false)) => Some(UserStatus::Inactive),
        (None, None) => None,
    };
    Ok(UserSnapshot {
        id: UserId::parse(&id).map_err(|_| "id must be a UUID, with or without usr_ before it")?,
        name: Some(text("name", &name)?),
        email: Some(text("email", &email)?),
        role: role.map(|role| text("role", &role)).transpose()?,
        avatar_url: avatar_url.map(url).transpose()?,
        status,
    })
}

/// Writes the profiles of a file.
///
/// # Errors
/// The file cannot be read, the table fails, or some lines were bad (the others are written).
pub async fn import(arguments: UsersImport) -> anyhow::Result<()> {
    let UsersImport {
        organization,
        file,
        ignore_unknown,
        target,
    } = arguments;
    let opened = File::open(&file).with_context(|| format!("could not open {}", file.display()))?;
    let progress = ProgressBar::new(opened.metadata().map_or(0, |metadata| metadata.len()))
        .with_style(
            ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
    let mut import = Import {
        table: target.table().await?,
        target: &target,
        organization: &organization,
        started: Timestamp::now(),
        batch: HashMap::new(),
        written: 0,
        deleted: 0,
        bad: 0,
    };
    import.begin().await?;
    let report = |number: usize, why: &str| {
        progress.suspend(|| output::note(format_args!("{}:{number}: {why}", file.display())));
    };
    let mut lines = BufReader::new(progress.wrap_read(opened));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines
            .read_until(b'\n', &mut line)
            .with_context(|| format!("could not read {}", file.display()))?;
        if read == 0 {
            break;
        }
        let parsed = match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => continue,
            // Some editors begin a file with a byte order mark.
            Ok(text) => parse(text.trim_start_matches('\u{feff}'), ignore_unknown),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        match parsed {
            Ok(user) => {
                import.batch.insert(user.id, (number, user));
            }
            Err(why) => {
                import.bad += 1;
                report(number, &why);
            }
        }
        if import.batch.len() == BATCH {
            import.flush(&report).await?;
        }
        progress.set_message(format!("{} users", import.written));
    }
    import.flush(&report).await?;
    progress.finish_and_clear();
    let Import {
        written,
        deleted,
        bad,
        ..
    } = import;
    let printed = output::write(|out| {
        writeln!(out, "Imported {written} users into {organization}.")?;
        if deleted > 0 {
            writeln!(
                out,
                "{deleted} lines are of deleted users and changed nothing."
            )?;
        }
        Ok(())
    });
    if bad > 0 {
        bail!("{bad} lines were left out: correct them, and import the file again");
    }
    Ok(printed?)
}

/// Erases the personal data of users.
///
/// # Errors
/// There is no such organization, or the table fails; users named before were erased by then.
pub async fn erase(
    UsersErase {
        organization,
        users,
        target,
    }: UsersErase,
) -> anyhow::Result<()> {
    let table = target.table().await?;
    let store = || table.until(Instant::now() + PATIENCE);
    let exists = store()
        .organization_exists(&organization)
        .await
        .map_err(|error| target.explain(error))?;
    // A misspelt organization would leave the personal data in place without an error.
    ensure!(
        exists,
        "there is no organization {organization} in table {:?}: check --organization",
        target.table
    );
    // A reader that closes its end must not keep the other users from being erased.
    let mut printed = Ok(());
    for user in users {
        let before = store()
            .erase_user(&organization, user, Timestamp::now())
            .await;
        let outcome = match before.map_err(|error| target.explain(error))? {
            Some(UserStatus::Deleted) => "was erased before; its memberships are erased again",
            Some(UserStatus::Active | UserStatus::Inactive | UserStatus::Suspended) => "is erased",
            None => "had no profile; a tombstone keeps later events out",
        };
        printed = printed.and(output::line(format_args!("{}: {outcome}.", user.uuid())));
    }
    Ok(printed?)
}

/// How many users are written at once.
const BATCH: usize = 25;

/// Profiles on their way to the table.
struct Import<'i> {
    table: Table,
    target: &'i Target,
    organization: &'i OrganizationId,
    /// The moment for which the file speaks: what was said later stands.
    started: Timestamp,
    /// By id, with the number of the line; the later line of a user counts.
    batch: HashMap<UserId, (usize, UserSnapshot)>,
    /// Number of users written.
    written: usize,
    /// Number of lines without effect, because their user is deleted.
    deleted: usize,
    /// Number of lines that were left out.
    bad: usize,
}

impl Import<'_> {
    /// Events of the organization are listened to from now on.
    async fn begin(&self) -> anyhow::Result<()> {
        let store = self.table.until(Instant::now() + PATIENCE);
        store
            .begin_organization(self.organization)
            .await
            .map_err(|error| self.target.explain(error))
    }

    /// Writes the batch, each user by the rules of the users' events.
    async fn flush(&mut self, report: &impl Fn(usize, &str)) -> anyhow::Result<()> {
        let store = self.table.until(Instant::now() + PATIENCE);
        let writes: Vec<_> = std::mem::take(&mut self.batch)
            .into_values()
            .map(|(number, user)| {
                // Of two batches of one file, too, the later line counts.
                let version = EventVersion {
                    at: self.started,
                    time: None,
                    event_id: format!("import, line {number:012}"),
                };
                let (store, org) = (&store, self.organization);
                let now = Timestamp::now();
                async move {
                    (
                        number,
                        version.clone(),
                        store
                            .hear_of_user(org, user.id, &[(version, user)], now)
                            .await,
                    )
                }
            })
            .collect();
        let mut writes = stream::iter(writes).buffer_unordered(BATCH);
        while let Some((number, version, outcome)) = writes.next().await {
            let profile = outcome.map_err(|error| self.target.explain(error))?;
            match profile {
                Some(profile) if profile.user.status == UserStatus::Deleted => {
                    self.deleted += 1;
                    report(
                        number,
                        "this user is deleted, which is final: the line changes nothing",
                    );
                }
                Some(profile) if profile.said.name.as_ref() != Some(&version) => {
                    self.bad += 1;
                    report(number, "the platform has sent something newer of this user");
                }
                _ => self.written += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    #[test]
    fn a_line_of_either_platform_is_a_user() {
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
    fn a_bad_line_says_what_is_wrong() {
        let why = |line: &str| parse(line, false).unwrap_err();
        assert!(why("{").contains("EOF"), "{}", why("{"));
        assert_eq!(why(r#"["a","b","c"]"#), "not a JSON object");
        assert_eq!(
            why(&format!(r#"{{"id":"{ID}","email":"a@b.c"}}"#)),
            "missing field `name`"
        );
        assert_eq!(
            why(r#"{"id":"7","name":"A","email":"a@b.c"}"#),
            "id must be a UUID, with or without usr_ before it"
        );
        assert_eq!(
            why(&format!(r#"{{"id":"{ID}","name":" ","email":"a@b.c"}}"#)),
            "name must not be empty"
        );
        assert!(
            why(&format!(
                r#"{{"id":"{ID}","name":"A","email":"a@b.c","status":"away"}}"#
            ))
            .contains("status")
        );
    }

    #[test]
    fn unknown_field_is_refused_unless_ignored() {
        let misspelt = format!(
            r#"{{"id":"{ID}","name":"A","email":"a@b.c","stauts":"inactive","last login":[{{}}]}}"#
        );
        let expected =
            r#"unknown field "last login", "stauts": correct it, or pass --ignore-unknown"#;
        assert_eq!(parse(&misspelt, false).unwrap_err(), expected);
        assert_eq!(parse(&misspelt, true).unwrap().status, None);

        let twice = format!(
            r#"{{"id":"{ID}","name":"A","email":"a@b.c","status":"active","status":"inactive"}}"#
        );
        assert_eq!(parse(&twice, true).unwrap_err(), "duplicate field `status`");
    }
}

//! `muster users`.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use muster::{
    domain::{OrganizationId, Timestamp, User, UserId, UserStatus},
    store::{Store, Table},
};
use serde::Deserialize;
use tokio::time::Instant;

use super::PATIENCE;
use crate::args::{Target, UsersImport};

/// A user as either platform writes one.
#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(alias = "full_name")]
    name: String,
    email: String,
    role: Option<String>,
    avatar_url: Option<String>,
    status: Option<String>,
    is_active: Option<bool>,
}

/// Reads one line of the file.
fn parse(line: &str, version: i64) -> Result<User, String> {
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let Line { id, name, email, role, avatar_url, status, is_active } =
        serde_json::from_str(line).map_err(|error| {
            // The position is within a line that the caller names anyway.
            let message = error.to_string();
            message.split(" at line ").next().unwrap_or_default().to_owned()
        })?;
    let text = |field: &str, value: String| match value.trim() {
        "" => Err(format!("{field} must not be empty")),
        trimmed if trimmed.chars().count() > 255 => Err(format!("{field} must have at most 255 characters")),
        trimmed if trimmed.chars().any(char::is_control) => Err(format!("{field} must not have control characters")),
        trimmed => Ok(trimmed.to_owned()),
    };
    let status = match (status.as_deref(), is_active) {
        (Some(status), _) => UserStatus::parse(status).ok_or("status must be one of: active, inactive, suspended")?,
        (None, Some(false)) => UserStatus::Inactive,
        (None, Some(true) | None) => UserStatus::Active,
    };
    Ok(User {
        id: UserId::parse(&id).map_err(|_| "id must be a UUID, with or without usr_ before it")?,
        name: text("name", name)?,
        email: text("email", email)?,
        role: role.map_or_else(|| Ok("agent".to_owned()), |role| text("role", role))?,
        avatar_url: avatar_url.map(|url| text("avatar_url", url)).transpose()?,
        status,
        version,
    })
}

/// Writes the profiles of a file.
///
/// # Errors
/// The file cannot be read, the table fails, or some lines were bad (the others are written).
pub async fn import(UsersImport { organization, file, target }: UsersImport) -> anyhow::Result<()> {
    let opened = File::open(&file).with_context(|| format!("could not open {}", file.display()))?;
    let progress = ProgressBar::new(opened.metadata().map_or(0, |metadata| metadata.len())).with_style(
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut import = Import {
        table: target.table().await?,
        target: &target,
        organization: &organization,
        batch: HashMap::new(),
        written: 0,
    };
    let version = Timestamp::now().millis();
    let mut bad = 0_usize;
    let mut lines = BufReader::new(progress.wrap_read(opened));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).with_context(|| format!("could not read {}", file.display()))?;
        if read == 0 {
            break;
        }
        let parsed = match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => continue,
            // Some editors begin a file with a byte order mark.
            Ok(text) => parse(text.trim_start_matches('\u{feff}'), version),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        match parsed {
            Ok(user) => import.add(user).await?,
            Err(why) => {
                bad += 1;
                progress.suspend(|| eprintln!("{}:{number}: {why}", file.display()));
            }
        }
        progress.set_message(format!("{} users", import.written));
    }
    import.flush().await?;
    progress.finish_and_clear();
    println!("Imported {} users into {organization}.", import.written);
    if bad > 0 {
        bail!("{bad} lines were left out: mend them and import the file again, which does no harm to the rest");
    }
    Ok(())
}

/// Profiles on their way to the table.
struct Import<'i> {
    table: Table,
    target: &'i Target,
    organization: &'i OrganizationId,
    /// By id, since a batch may not hold an id twice; the later line counts.
    batch: HashMap<UserId, User>,
    written: usize,
}

impl Import<'_> {
    async fn add(&mut self, user: User) -> anyhow::Result<()> {
        self.batch.insert(user.id, user);
        if self.batch.len() == Store::MAX_USERS_PER_BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let users: Vec<User> = self.batch.drain().map(|(_, user)| user).collect();
        let store = self.table.until(Instant::now() + PATIENCE);
        store.put_users(self.organization, &users).await.map_err(|error| self.target.explain(error))?;
        self.written += users.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    #[test]
    fn a_line_of_either_platform_is_a_user() {
        let toptickets = format!(r#"{{"id":"{ID}","full_name":" Alice Johnson ","email":"a@b.c","is_active":false}}"#);
        let itsm = format!(
            r#"{{"id":"usr_{ID}","name":"Alice Johnson","email":"a@b.c","role":"manager","avatar_url":"https://x/y","status":"suspended","more":1}}"#
        );
        let user = parse(&toptickets, 1).unwrap();
        assert_eq!(
            (user.name.as_str(), user.role.as_str(), user.status),
            ("Alice Johnson", "agent", UserStatus::Inactive)
        );
        let user = parse(&itsm, 1).unwrap();
        assert_eq!((user.role.as_str(), user.status), ("manager", UserStatus::Suspended));
        assert_eq!(user.avatar_url.as_deref(), Some("https://x/y"));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        let why = |line: &str| parse(line, 1).unwrap_err();
        assert!(why("{").contains("EOF"), "{}", why("{"));
        assert_eq!(why(r#"["a","b","c"]"#), "not a JSON object");
        assert_eq!(why(&format!(r#"{{"id":"{ID}","email":"a@b.c"}}"#)), "missing field `name`");
        assert_eq!(
            why(r#"{"id":"7","name":"A","email":"a@b.c"}"#),
            "id must be a UUID, with or without usr_ before it"
        );
        assert_eq!(why(&format!(r#"{{"id":"{ID}","name":" ","email":"a@b.c"}}"#)), "name must not be empty");
        assert!(why(&format!(r#"{{"id":"{ID}","name":"A","email":"a@b.c","status":"away"}}"#)).contains("status"));
    }
}

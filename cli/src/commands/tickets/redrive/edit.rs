//! Editing the body of a dead letter before it is sent again.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context, bail};
use muster_contracts::events::inbound::{Poison, event_in, ticket_event, user_event};
use muster_domain::Timestamp;
use serde::de::IgnoredAny;
use serde_json::Value;
use tempfile::TempDir;

/// The operator's editor: a shell command, as in `VISUAL` and `EDITOR`.
pub(super) struct Editor {
    command: String,
}

/// The result of an editing session.
#[derive(Debug)]
pub(super) enum Edited {
    /// The text is unchanged.
    Unchanged,
    /// The function would reject the body. The file has the edited text.
    Invalid { reason: String, file: PathBuf },
    /// A body that the function accepts. The file has the edited text until the folder is dropped.
    Valid { body: String, folder: TempDir },
}

impl Editor {
    /// Finds the editor in the environment: `VISUAL`, else `EDITOR`.
    ///
    /// # Errors
    /// Neither is set.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let set = |name| {
            env::var(name)
                .ok()
                .filter(|command| !command.trim().is_empty())
        };
        match set("VISUAL").or_else(|| set("EDITOR")) {
            Some(command) => Ok(Self { command }),
            None => bail!("--edit needs an editor: set EDITOR to its command, such as EDITOR=vi"),
        }
    }

    /// Opens the editor on a body and checks the result. The file begins with `notes`.
    ///
    /// # Errors
    /// The editor cannot be started or fails, or the file cannot be written or read.
    pub(super) async fn edit(&self, notes: &[String], body: &str) -> anyhow::Result<Edited> {
        let text = with_notes(notes, body);
        // Only the operator may read this folder. Editors that replace the file, or save a copy
        // beside it, do so in this folder.
        let folder =
            TempDir::with_prefix("muster-").context("cannot create a folder for the text")?;
        let file = folder.path().join("dead-letter.json");
        fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        let (command, opened) = (self.command.clone(), file.clone());
        let status = tokio::task::spawn_blocking(move || open(&command, &opened)).await?;
        let status =
            status.with_context(|| format!("cannot start the editor {:?}", self.command))?;
        if !status.success() {
            bail!("the editor {:?} failed ({status})", self.command);
        }
        let saved =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if saved == text {
            return Ok(Edited::Unchanged);
        }
        match validated_body(&saved, Timestamp::now()) {
            Ok(body) => Ok(Edited::Valid { body, folder }),
            Err(reason) => {
                let _kept = folder.keep();
                Ok(Edited::Invalid {
                    reason: reason.to_string(),
                    file,
                })
            }
        }
    }
}

/// Runs the editor on a file, and waits for its end.
#[cfg(unix)]
fn open(command: &str, file: &Path) -> std::io::Result<ExitStatus> {
    // The shell splits a command such as `code --wait` into words. The file stays one word.
    Command::new("sh")
        .args(["-c", &format!("{command} \"$@\""), command])
        .arg(file)
        .status()
}

/// Runs the editor on a file, and waits for its end.
#[cfg(windows)]
fn open(command: &str, file: &Path) -> std::io::Result<ExitStatus> {
    Command::new("cmd")
        .arg("/C")
        .args(command.split_whitespace())
        .arg(file)
        .status()
}

/// Returns the text for the editor: the notes as lines that begin with `#`, and the body as
/// indented JSON.
fn with_notes(notes: &[String], body: &str) -> String {
    let is_json = serde_json::from_str::<IgnoredAny>(body).is_ok();
    let body = if is_json {
        reformat(body, Layout::Indented)
    } else {
        body.to_owned()
    };
    let lines: Vec<_> = notes
        .iter()
        .map(|note| format!("# {note}"))
        .chain([body, String::new()])
        .collect();
    lines.join("\n")
}

/// Returns the body of an edited text on one line, checked by the function's own parser.
///
/// # Errors
/// The function would reject the body.
fn validated_body(saved: &str, now: Timestamp) -> Result<String, Poison> {
    // A JSON text never begins with `#`.
    let is_note = |line: &&str| line.starts_with('#') || line.trim().is_empty();
    let notes: usize = saved
        .split_inclusive('\n')
        .take_while(is_note)
        .map(str::len)
        .sum();
    let body = saved[notes..].trim();
    let event = event_in(body)?;
    let is_of_user = event
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.starts_with("user."));
    if is_of_user {
        user_event(body, now)?;
    } else {
        ticket_event(body, now)?;
    }
    Ok(reformat(body, Layout::OneLine))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Indented,
    OneLine,
}

/// Changes the white space between the tokens of a JSON text. Every token stays as it is: a number
/// that is parsed and printed can lose digits.
fn reformat(json: &str, layout: Layout) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    let new_line = |out: &mut String, depth: usize| {
        if layout == Layout::Indented {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    for c in json.chars() {
        if is_in_string {
            is_in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            out.push(c);
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                depth += 1;
                out.push(c);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                let end = out.trim_end().len();
                if out[..end].ends_with(['{', '[']) {
                    out.truncate(end);
                } else {
                    new_line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(if layout == Layout::Indented {
                ": "
            } else {
                ":"
            }),
            _ => {
                is_in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ticket(status: &str) -> Value {
        let ticket =
            json!({ "id": "INC-1", "status": status, "updated_at": "2025-03-03T09:00:00Z" });
        let data = json!({ "organization_id": "acme", "ticket": ticket });
        json!({ "specversion": "1.0", "id": "1", "source": "/desk", "type": "ticket.created", "data": data })
    }

    #[test]
    fn reformatted_json_keeps_its_tokens() {
        let json = r#" {"a":[1.10,12345678901234567890123,{}, [ ]],"b, \" c\\":{"d" : "{[:,]}","d":null}} "#;
        let indented = reformat(json, Layout::Indented);
        assert_eq!(
            indented,
            "{\n  \"a\": [\n    1.10,\n    12345678901234567890123,\n    {},\n    []\n  ],\n  \"b, \\\" c\\\\\": {\n    \
             \"d\": \"{[:,]}\",\n    \"d\": null\n  }\n}"
        );
        let one_line =
            r#"{"a":[1.10,12345678901234567890123,{},[]],"b, \" c\\":{"d":"{[:,]}","d":null}}"#;
        assert_eq!(reformat(&indented, Layout::OneLine), one_line);
        assert_eq!(reformat(one_line, Layout::OneLine), one_line);
    }

    #[test]
    fn body_without_json_is_shown_unchanged() {
        let notes = ["one".to_owned(), "two".to_owned()];
        assert_eq!(
            with_notes(&notes, "{\"a\": oops"),
            "# one\n# two\n{\"a\": oops\n"
        );
        assert_eq!(
            with_notes(&notes, "{\"a\":1}"),
            "# one\n# two\n{\n  \"a\": 1\n}\n"
        );
    }

    #[test]
    fn edited_body_is_validated_by_its_function() {
        let now = Timestamp::from_secs(1_800_000_000);
        let validated_body =
            |body: &Value| validated_body(&format!("# note\n\n#\n{body:#}\n\n"), now);
        assert_eq!(
            validated_body(&ticket("new")),
            Ok(ticket("new").to_string())
        );
        assert!(
            validated_body(&ticket("lost"))
                .unwrap_err()
                .to_string()
                .contains("data.ticket.status")
        );
        let user = json!({ "id": "10000000-0000-4000-8000-000000000001", "updated_at": "2025-03-03T09:00:00Z" });
        let data = json!({ "organization_id": "acme", "user": user });
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/hr", "type": "user.deleted", "data": data });
        assert_eq!(validated_body(&event), Ok(event.to_string()));
        event["data"]["user"]["id"] = json!("alex");
        assert!(
            validated_body(&event)
                .unwrap_err()
                .to_string()
                .contains("data.user.id")
        );
        assert!(validated_body(&json!({ "job": "drain_team" })).is_err());
        for text in ["", "# note", "no JSON", "[]"] {
            assert!(super::validated_body(text, now).is_err(), "{text:?}");
        }
    }
}

//! `muster dev env`.

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::{
    output,
    running::{self, RunningStack},
};

/// `muster dev env`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(muster dev env)\"
  muster dev env --output dotenv > .env
  muster dev env --json | jq -r .MUSTER_ITSM_KEY")]
pub struct Env {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Export)]
    pub output: Form,
    /// Print one line of JSON; the same as --output json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

/// The forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// `export` commands for a shell: sh, bash, zsh or fish
    Export,
    /// One line of JSON: an object of names and values
    Json,
    /// Lines of NAME=value, as in a file .env
    Dotenv,
}

impl Env {
    /// Prints the addresses, the keys and a user id of the running stack.
    ///
    /// # Errors
    /// No local stack runs, or the output cannot be written.
    pub(in crate::commands) async fn run(self) -> anyhow::Result<()> {
        let Self { output: form, json } = self;
        let stack = running::find()
            .await
            .context("there is no running local stack: start `muster dev` in another terminal")?;
        let form = if json { Form::Json } else { form };
        Ok(output::write(|out| {
            out.write_all(text(&variables(&stack), form).as_bytes())
        })?)
    }
}

/// Returns the names and the values.
fn variables(stack: &RunningStack) -> Vec<(&'static str, String)> {
    let organization = stack.greeted();
    let origin = |url: &url::Url| url.origin().ascii_serialization();
    let keys = &organization.keys;
    let mut variables = vec![
        ("MUSTER_URL", origin(&stack.url)),
        ("MUSTER_ORGANIZATION", organization.organization_id.clone()),
        ("MUSTER_TOPTICKETS_KEY", keys.toptickets.admin.clone()),
        (
            "MUSTER_TOPTICKETS_READ_ONLY_KEY",
            keys.toptickets.read_only.clone(),
        ),
        ("MUSTER_ITSM_KEY", keys.itsm.admin.clone()),
        ("MUSTER_ITSM_READ_ONLY_KEY", keys.itsm.read_only.clone()),
    ];
    if let Some(user) = organization.users.first() {
        variables.push(("MUSTER_USER_ID", user.id.clone()));
    }
    // The engine and the queues accept any credentials, but the tools of AWS require some.
    variables.extend([
        ("TABLE_NAME", stack.table.clone()),
        ("AWS_ENDPOINT_URL", stack.aws_url.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", origin(&stack.dynamodb_url)),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("TICKETS_QUEUE_URL", stack.tickets_queue_url.clone()),
        ("USERS_QUEUE_URL", stack.users_queue_url.clone()),
        ("JOBS_QUEUE_URL", stack.jobs_queue_url.clone()),
        ("LONG_JOBS_QUEUE_URL", stack.long_jobs_queue_url.clone()),
    ]);
    variables
}

/// Returns the output, with a line feed at its end.
fn text(variables: &[(&'static str, String)], form: Form) -> String {
    let lines = |line: fn(&str, &str) -> String| {
        variables
            .iter()
            .map(|(name, value)| line(name, value))
            .collect()
    };
    match form {
        Form::Export => lines(|name, value| format!("export {name}={}\n", shell_word(value))),
        Form::Dotenv => lines(|name, value| format!("{name}={}\n", dotenv_value(value))),
        Form::Json => {
            let object: Map<_, _> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
                .collect();
            format!("{}\n", Value::Object(object))
        }
    }
}

/// Tells whether no shell and no reader of `.env` files treats a character of the value specially.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

/// Returns a value as one word of a shell (POSIX.1-2024, Shell Command Language, "Single-Quotes").
fn shell_word(value: &str) -> String {
    if is_plain(value) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// Returns a value for a file `.env`.
fn dotenv_value(value: &str) -> String {
    if is_plain(value) {
        value.to_owned()
    } else {
        let escaped = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('$', r"\$")
            .replace('\n', r"\n");
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [(&str, &str, &str); 4] = [
        (
            "http://127.0.0.1:3000",
            "http://127.0.0.1:3000",
            "http://127.0.0.1:3000",
        ),
        ("", "''", "\"\""),
        ("$(rm x) `y`", "'$(rm x) `y`'", r#""\$(rm x) `y`""#),
        (
            "it's\n\"a\\b\"",
            "'it'\\''s\n\"a\\b\"'",
            r#""it's\n\"a\\b\"""#,
        ),
    ];

    #[test]
    fn values_are_quoted_for_each_form() {
        for (value, word, dotenv) in VALUES {
            let variables = [("NAME", value.to_owned())];
            assert_eq!(
                text(&variables, Form::Export),
                format!("export NAME={word}\n")
            );
            assert_eq!(text(&variables, Form::Dotenv), format!("NAME={dotenv}\n"));
            let json: Value = serde_json::from_str(&text(&variables, Form::Json)).unwrap();
            assert_eq!(json["NAME"], value);
        }
    }

    #[cfg(unix)]
    #[test]
    fn shell_reads_each_exported_value() {
        for (value, ..) in VALUES {
            let script = text(&[("NAME", value.to_owned())], Form::Export);
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("{script}printf %s \"$NAME\"")])
                .output()
                .unwrap();
            assert_eq!(output.stdout, value.as_bytes());
        }
    }
}

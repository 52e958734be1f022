//! `muster jwks set`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use muster_domain::{OrganizationId, Timestamp, TokenIssuer};

use super::{key_set::describe, parse};
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster jwks set`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster jwks set --organization acme --issuer https://id.acme.example --audience muster jwks.json")]
pub struct Set {
    /// Organization of the tokens
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Required value of a token's "iss" claim, an exact match [default: not checked]
    #[arg(long, value_name = "URL", value_parser = claim)]
    pub issuer: Option<String>,
    /// Required member of a token's "aud" claim, an exact match [default: not checked]
    #[arg(long, value_name = "TEXT", value_parser = claim)]
    pub audience: Option<String>,
    /// JSON Web Key Set to read
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
    /// Print one line of JSON: the keys, as `muster jwks show` prints them
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Set {
    /// Stores the organization's keys.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            issuer,
            audience,
            file,
            json,
            target,
        } = self;
        let content =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // Some editors write a byte order mark at the start of a file.
        let keys = parse(content.trim_start_matches('\u{feff}'))
            .with_context(|| file.display().to_string())?;
        let count = keys.as_slice().len();
        let issuer = TokenIssuer {
            organization_id: organization,
            keys,
            issuer,
            audience,
            updated_at: Timestamp::now(),
        };
        let target = target.resolve().await?;
        target
            .store()
            .await?
            .put_token_issuer(&issuer)
            .await
            .map_err(|error| target.explain(error))?;
        if json {
            return Ok(output::line(describe(&issuer))?);
        }
        Ok(output::line(format_args!(
            "Tokens of {} are verified with {}. Functions cache the previous keys for up to 60 seconds.",
            issuer.organization_id,
            if count == 1 {
                "this key".to_owned()
            } else {
                format!("these {count} keys")
            }
        ))?)
    }
}

fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        values::line(text)
    }
}

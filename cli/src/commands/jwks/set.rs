//! `muster jwks set`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use muster_domain::{OrganizationId, Timestamp, TokenIssuer};

use super::parse;
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster jwks set`
#[derive(Debug, Args)]
pub struct Set {
    /// Whose tokens
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// What a token's "iss" has to be, to the letter [default: not checked]
    #[arg(long, value_name = "URL", value_parser = claim)]
    pub issuer: Option<String>,
    /// What has to be in a token's "aud", to the letter [default: not checked]
    #[arg(long, value_name = "TEXT", value_parser = claim)]
    pub audience: Option<String>,
    /// The file
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
    /// Which table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Set {
    /// Stores an organization's keys.
    ///
    /// # Errors
    /// The file's or the table's.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            issuer,
            audience,
            file,
            target,
        } = self;
        let content = fs::read_to_string(&file)
            .with_context(|| format!("could not read {}", file.display()))?;
        // Some editors begin a file with a byte order mark.
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
        target
            .store()
            .await?
            .put_token_issuer(&issuer)
            .await
            .map_err(|error| target.explain(error))?;
        Ok(output::line(format_args!(
            "Tokens of {} are verified with {}. Functions that know what was set before believe it for up to 60 seconds.",
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

//! `muster keys revoke`.

use anyhow::bail;
use clap::Args;
use muster_domain::{ApiKey, OrganizationId, SecretKey, Timestamp};

use super::description::{describe, id};
use crate::{
    commands::{Confirmation, TableTarget, values},
    output,
};

/// `muster keys revoke`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster keys revoke --organization acme 4f0c6a1be2d39a57
  muster keys revoke --organization acme --yes 4f0c6a1be2d39a57")]
pub struct Revoke {
    /// Organization of the key
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Id of the key in `muster keys list`, its first digits, or the key itself
    #[arg(value_name = "KEY-ID")]
    pub id: String,
    /// Print one line of JSON: the key, as `muster keys list` prints it
    #[arg(long)]
    pub json: bool,
    /// The confirmation.
    #[command(flatten)]
    pub confirmation: Confirmation,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Revoke {
    /// Revokes a key.
    ///
    /// # Errors
    /// No key or several keys have the id, the user declines, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            id: wanted,
            json,
            confirmation,
            target,
        } = self;
        let target = target.resolve().await?;
        let store = target.store().await?;
        // The list of keys is an eventually consistent index. The hash of a complete key needs no
        // list.
        let (keys, wanted) = match SecretKey::parse(&wanted) {
            Some(secret) => (
                store.api_key(secret.hash()).await.map(Vec::from_iter),
                secret.hash().to_string(),
            ),
            None => (store.api_keys(&organization).await, wanted.to_lowercase()),
        };
        let keys = keys.map_err(|error| target.explain(error))?;
        let is_meant = |key: &&ApiKey| {
            key.organization_id == organization
                && !wanted.is_empty()
                && key.hash.to_string().starts_with(&wanted)
        };
        let found: Vec<_> = keys.iter().filter(is_meant).collect();
        let [key] = found[..] else {
            let count = if found.is_empty() {
                "no"
            } else {
                "more than one"
            };
            // The id is not quoted: it can be a part of a secret.
            bail!(
                "the organization {organization} has {count} key with this id: run `muster keys list` for the ids; a new key \
                 appears after a moment"
            );
        };
        if key.revoked_at.is_some() {
            if json {
                output::line(describe(key))?;
            } else {
                output::line(format_args!("The key {} is already revoked.", id(key)))?;
            }
            return Ok(());
        }
        confirmation.confirm(&format!(
            "Revoke the key {} of {organization} in {}",
            described(key),
            target.place()
        ))?;
        // The confirmation can take longer than the deadline of the first operation.
        let store = target.store().await?;
        let now = Timestamp::now();
        store
            .revoke_api_key(key.hash, now)
            .await
            .map_err(|error| target.explain(error))?;
        if json {
            let revoked = ApiKey {
                revoked_at: Some(now),
                ..key.clone()
            };
            return Ok(output::line(describe(&revoked))?);
        }
        Ok(output::line(format_args!(
            "Revoked {}. Functions cache the key for up to 60 seconds.",
            id(key)
        ))?)
    }
}

/// Returns the key's id, kind and name.
fn described(key: &ApiKey) -> String {
    let name = key.name.as_deref().unwrap_or("without a name");
    format!("{} ({}, {name})", id(key), key.kind.as_str())
}

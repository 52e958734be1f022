//! `muster keys revoke`.

use anyhow::bail;
use clap::Args;
use muster_domain::{ApiKey, OrganizationId, SecretKey, Timestamp};

use super::description::id;
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster keys revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// Whose key
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// The key's id as `muster keys list` shows it, the first digits of it, or the key itself
    #[arg(value_name = "KEY-ID")]
    pub id: String,
    /// Which table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Revoke {
    /// Revokes a key.
    ///
    /// # Errors
    /// No such key, or more than one; or the table's.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            id: wanted,
            target,
        } = self;
        let store = target.store().await?;
        // Whoever has the key itself need not wait for the list, nor read it repeated.
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
            // It may be a part of a key that somebody pasted, so it is not repeated.
            bail!(
                "the organization {organization} has {count} key with this id: `muster keys list` shows the ids, those of new \
                 keys after a moment"
            );
        };
        if key.revoked_at.is_some() {
            return Ok(output::line(format_args!(
                "The key {} is revoked already.",
                id(key)
            ))?);
        }
        store
            .revoke_api_key(key.hash, Timestamp::now())
            .await
            .map_err(|error| target.explain(error))?;
        Ok(output::line(format_args!(
            "Revoked {}. Functions that know it stop taking it within 60 seconds.",
            id(key)
        ))?)
    }
}

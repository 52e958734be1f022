//! `muster keys`.

mod create;
mod description;
mod list;
mod revoke;

use clap::Subcommand;

pub use create::{Create, issue};
pub use list::List;
pub use revoke::Revoke;

/// `muster keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key and show its secret once
    ///
    /// A key with an unprinted secret (the pipe is closed, or the disk is full) is deleted. The
    /// exit code is then 1.
    Create(Create),
    /// List an organization's keys, without the secrets
    List(List),
    /// Revoke a key. Functions cache keys for up to 60 seconds
    Revoke(Revoke),
}

impl KeysCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

//! `muster jwks`.

mod key_set;
mod remove;
mod set;
mod show;

use clap::Subcommand;
use muster_domain::OrganizationId;

pub use key_set::parse;
pub use remove::Remove;
pub use set::Set;
pub use show::Show;

/// `muster jwks`
#[derive(Debug, Subcommand)]
pub enum JwksCommand {
    /// Replace the keys that verify an organization's tokens by the keys of a file
    ///
    /// The file is a JSON Web Key Set with 1 to 20 public RSA keys of 2048 to 8192 bits for RS256.
    /// A token names its key by "kid"; a token without "kid" is accepted if the set has one key.
    /// Functions cache keys for up to 60 seconds. To rotate keys: set both, wait a minute, sign
    /// with the new one, and set it alone when the old tokens have expired.
    Set(Set),
    /// Show the keys of an organization
    Show(Show),
    /// Remove the keys of an organization, so that its tokens are rejected. Functions cache keys
    /// for up to 60 seconds
    Remove(Remove),
}

impl JwksCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Set(set) => set.run().await,
            Self::Show(show) => show.run().await,
            Self::Remove(remove) => remove.run().await,
        }
    }
}

fn none(organization: &OrganizationId) -> String {
    format!(
        "the organization {organization} has no keys for tokens: set them with `muster jwks set`"
    )
}

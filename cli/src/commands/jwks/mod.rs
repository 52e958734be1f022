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
    /// Have tokens verified with the keys of a file, in place of those before
    ///
    /// The file is a JSON Web Key Set with 1 to 20 public RSA keys of 2048 to 8192 bits for RS256.
    /// A token names its key by "kid"; one that names none is taken if there is one key. Functions
    /// that know the keys before believe them for up to 60 seconds, so to change keys: set both,
    /// wait a minute, sign with the new one, and set it alone when the old tokens have ended.
    Set(Set),
    /// Show what is set
    Show(Show),
    /// Take no token of an organization any more; functions that know its keys stop within 60
    /// seconds
    Remove(Remove),
}

impl JwksCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// See the command.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Set(set) => set.run().await,
            Self::Show(show) => show.run().await,
            Self::Remove(remove) => remove.run().await,
        }
    }
}

fn none(organization: &OrganizationId) -> String {
    format!("the organization {organization} has no keys for tokens: `muster jwks set` stores them")
}

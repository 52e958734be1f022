//! `muster users`.

mod erase;
mod import;
mod line;

use clap::Subcommand;

pub use erase::Erase;
pub use import::Import;

/// `muster users`
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Import the profiles of a file of JSON lines
    ///
    /// Each line is one object. Required fields: "id", "name" (or "full_name"), "email". Optional
    /// fields: "role" (default: agent), "avatar_url" and "status" (active, inactive, suspended; or
    /// "is_active", true or false). An absent optional field keeps its value. The command imports
    /// the valid lines and reports the others by number: a line with an error or an unknown field,
    /// or of a user with a newer user event. The exit code is then 1. A line of a deleted user
    /// has no effect; the command reports it, and the exit code stays 0.
    Import(Import),
    /// Erase the personal data of users permanently
    ///
    /// Replaces the profile of each user by a tombstone, as the event user.deleted does: the id
    /// stays, and both contracts show "Deleted user". The user can be unknown to Muster. A job
    /// erases memberships and leads within seconds; run the command again if the job was lost.
    /// docs/operations.md lists the copies that remain, and for how long.
    Erase(Erase),
}

impl UsersCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import(import) => import.run().await,
            Self::Erase(erase) => erase.run().await,
        }
    }
}

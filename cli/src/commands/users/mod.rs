//! `muster users`.

mod erase;
mod import;
mod line;
mod list;

use clap::Subcommand;

pub use erase::Erase;
pub use import::Import;
pub use list::List;

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
    /// List an organization's users by name
    ///
    /// The command reads the users from an index: two calls for each 100 users. A deleted user is
    /// not in it. A profile that an earlier version wrote is missing until its next write: import
    /// it again, or send an event of the user.
    List(List),
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
            Self::List(list) => list.run().await,
            Self::Erase(erase) => erase.run().await,
        }
    }
}

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
    /// Write the profiles of a file of JSON lines, as what the platform says of its users now
    ///
    /// Each line is one object. Required fields: "id", "name" (or "full_name"), "email". Optional
    /// fields: "role" (agent), "avatar_url" and "status" (active, inactive, suspended; or
    /// "is_active", true or false). An absent optional field keeps its value. The command reports
    /// each line that it leaves out, by number: one with an error, with an unknown field, or of a
    /// user of whom the platform has sent something newer. It imports the other lines and ends with
    /// exit code 1. A line of a deleted user changes nothing; the command reports it, and that is
    /// no failure.
    Import(Import),
    /// Erase the personal data of users, for good
    ///
    /// Replaces the profile of each user by the tombstone that the event user.deleted makes: the id
    /// stays, and both contracts show "Deleted user". The user can be unknown to Muster so far.
    /// Memberships and leads follow within seconds, by a job. Run the command again if that job was
    /// lost. docs/operations.md says which copies remain, and for how long.
    Erase(Erase),
}

impl UsersCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// See the command.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import(import) => import.run().await,
            Self::Erase(erase) => erase.run().await,
        }
    }
}

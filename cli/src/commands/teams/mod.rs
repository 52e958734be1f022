//! `muster teams`.

mod list;

use clap::Subcommand;

pub use list::List;

/// `muster teams`
#[derive(Debug, Subcommand)]
pub enum TeamsCommand {
    /// List an organization's teams by name, with their members and tickets
    ///
    /// The command reads all teams of the organization with one query, and their loads.
    List(List),
}

impl TeamsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
        }
    }
}

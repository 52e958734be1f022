//! `muster changes`.

mod redrive;

use clap::Subcommand;

pub use redrive::Redrive;

/// `muster changes`
#[derive(Debug, Subcommand)]
pub enum ChangesCommand {
    /// Replay the bucket of failed records: publish their announcements and start their jobs
    ///
    /// The bucket has stream records of the table that the changes function rejected, and records
    /// that Lambda discarded by age. Fix the cause first; `muster changes redrive --dry-run` shows
    /// each object with its reason. An object is deleted after all of its records are announced and
    /// their jobs are queued, so this command is idempotent and can be interrupted: a second
    /// announcement has the same id. This program parses the records, so use the version that has
    /// the fix.
    ///
    /// An object with a record that still fails is left in the bucket and reported; the exit code
    /// is then 1.
    Redrive(Redrive),
}

impl ChangesCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Redrive(redrive) => redrive.run().await,
        }
    }
}

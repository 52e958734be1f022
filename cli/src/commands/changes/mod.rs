//! `muster changes`.

mod redrive;

use clap::Subcommand;

pub use redrive::Redrive;

/// `muster changes`
#[derive(Debug, Subcommand)]
pub enum ChangesCommand {
    /// Replay the bucket of failed records: announce the changes and start the jobs that follow
    /// from them
    ///
    /// The bucket has the records of the table's stream that the changes function put aside, and
    /// those that Lambda gave up. First fix the cause; `muster changes redrive --dry-run` shows the
    /// objects with their reasons. Each object is deleted after all of its records were announced
    /// on the bus and their jobs are on their queues. So this can be interrupted anywhere and run
    /// again: a second announcement has the same id. This program reads the records, so use the
    /// version that has the fix.
    ///
    /// An object with records that still fail is left and reported. The exit code is then 1.
    Redrive(Redrive),
}

impl ChangesCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// See the command.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Redrive(redrive) => redrive.run().await,
        }
    }
}

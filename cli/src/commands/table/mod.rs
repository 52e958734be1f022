//! `muster table`.

mod create;

use clap::Subcommand;

pub use create::Create;

/// `muster table`
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Create the table as template.yaml defines it; succeeds if it exists
    Create(Create),
}

impl TableCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
        }
    }
}

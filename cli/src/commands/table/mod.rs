//! `muster table`.

mod create;

use clap::Subcommand;

pub use create::Create;

/// `muster table`
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Create the table as template.yaml defines it; says so and succeeds if it exists
    Create(Create),
}

impl TableCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// See the command.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
        }
    }
}

//! The commands: each file has a command's arguments and its `run`. The doc comments of arguments
//! are the help texts, which have no Markdown.
#![expect(clippy::doc_markdown, reason = "backticks would show in a terminal")]

mod aws;
pub mod changes;
pub mod dev;
pub mod jwks;
pub mod keys;
mod openapi;
pub mod table;
mod target;
pub mod tickets;
pub mod users;
mod values;

use std::time::Duration;

use clap::{Parser, Subcommand};

use changes::ChangesCommand;
pub use dev::Dev;
use jwks::JwksCommand;
use keys::KeysCommand;
use openapi::Openapi;
use table::TableCommand;
pub use target::TableTarget;
use tickets::TicketsCommand;
use users::UsersCommand;

/// How long a command may wait for one answer of the table, retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// Teams, memberships and ticket routing for help desks
///
/// `muster dev` runs everything on this machine. The commands for tables, keys, JWKS and users work
/// on the table that --table names, in AWS by the usual environment (AWS_REGION, AWS_PROFILE, …) or
/// wherever --endpoint-url points; those for tickets on a queue, and those for changes on the
/// bucket of failed records.
///
/// The exit code is 0 if the command succeeds or its reader closes the pipe, 1 if it fails, and 2
/// for a usage error.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole service on this machine, with a demo organization
    Dev(Dev),
    /// Work on the DynamoDB table
    #[command(subcommand)]
    Table(TableCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Say which keys the ITSM platform signs an organization's tokens with
    #[command(subcommand)]
    Jwks(JwksCommand),
    /// Work on user profiles
    #[command(subcommand)]
    Users(UsersCommand),
    /// Make up ticket events, check them, send them, and send dead letters again
    #[command(subcommand)]
    Tickets(TicketsCommand),
    /// Announce changes of the table again that failed
    #[command(subcommand)]
    Changes(ChangesCommand),
    /// Print a contract's OpenAPI document
    Openapi(Openapi),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The command fails; the error says what to do.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Dev(dev) => dev.run().await,
            Command::Table(table) => table.run().await,
            Command::Keys(keys) => keys.run().await,
            Command::Jwks(jwks) => jwks.run().await,
            Command::Users(users) => users.run().await,
            Command::Tickets(tickets) => tickets.run().await,
            Command::Changes(changes) => changes.run().await,
            Command::Openapi(openapi) => openapi.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }
}

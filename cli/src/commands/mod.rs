//! The commands. Each file has a command's arguments and its `run`. The doc comments of arguments
//! are the help texts, which have no Markdown.
#![expect(clippy::doc_markdown, reason = "backticks would show in a terminal")]

mod aws;
pub mod changes;
mod columns;
mod completions;
mod confirm;
pub mod dev;
pub mod jwks;
pub mod keys;
mod local_stack;
mod man;
mod openapi;
mod schema;
mod status;
pub mod table;
mod target;
pub mod teams;
pub mod tickets;
pub mod users;
mod values;

use std::time::Duration;

use clap::{Parser, Subcommand};

use changes::ChangesCommand;
use completions::Completions;
pub use confirm::Confirmation;
pub use dev::Dev;
use jwks::JwksCommand;
use keys::KeysCommand;
use man::Man;
use openapi::Openapi;
use schema::SchemaCommand;
use status::Status;
use table::TableCommand;
pub use target::{TableLocation, TableTarget};
use teams::TeamsCommand;
use tickets::TicketsCommand;
use users::UsersCommand;

/// Timeout of one operation on the table or a queue, retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// Timeout of a list of all items of a kind.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// Teams, memberships and ticket routing for help desks
///
/// `muster dev` runs the service on this machine, and the other commands find it. They use AWS
/// only on request: commands for tables, keys, JWKS and users with --aws or the name of a --table,
/// by the usual AWS environment (AWS_REGION, AWS_PROFILE, …) or at --endpoint-url; commands for
/// tickets with the URL of an SQS queue; commands for changes with the name of the bucket of failed
/// records.
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
    /// Show the queues, and the waiting and unrouted tickets of an organization
    ///
    /// The local stack shows its queues itself. For AWS, name the queues with --queue. The waiting
    /// tickets are the sum of the counters of the teams. The unrouted tickets are counted in the
    /// index, up to 20,000.
    Status(Status),
    /// Create the DynamoDB table
    #[command(subcommand)]
    Table(TableCommand),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Set, show and remove the keys that verify an organization's tokens
    #[command(subcommand)]
    Jwks(JwksCommand),
    /// List teams
    #[command(subcommand)]
    Teams(TeamsCommand),
    /// Import, list and erase user profiles
    #[command(subcommand)]
    Users(UsersCommand),
    /// Check, send and generate ticket events, and redrive dead letters
    #[command(subcommand)]
    Tickets(TicketsCommand),
    /// Replay stream records that failed
    #[command(subcommand)]
    Changes(ChangesCommand),
    /// Print a contract's OpenAPI document
    Openapi(Openapi),
    /// Print the JSON Schema of an event
    Schema(SchemaCommand),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write manual pages
    Man(Man),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The command fails. The error says how to fix it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Dev(dev) => dev.run().await,
            Command::Status(status) => status.run().await,
            Command::Table(table) => table.run().await,
            Command::Keys(keys) => keys.run().await,
            Command::Jwks(jwks) => jwks.run().await,
            Command::Teams(teams) => teams.run().await,
            Command::Users(users) => users.run().await,
            Command::Tickets(tickets) => tickets.run().await,
            Command::Changes(changes) => changes.run().await,
            Command::Openapi(openapi) => openapi.run(),
            Command::Schema(schema) => schema.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}

//! `muster`: exits with 0 if the command succeeds or its reader closes the pipe, 1 if it fails, and
//! 2 for a usage error.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use muster_cli::{
    args::{
        Arguments, ChangesCommand, Command, JwksCommand, KeysCommand, TableCommand, TicketsCommand,
        UsersCommand,
    },
    commands, dev, output,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(&error),
    };
    dev::log_to_stderr();
    let outcome = match arguments.command {
        Command::Dev(dev) => dev::run(dev).await,
        Command::Table {
            command: TableCommand::Create(create),
        } => commands::table::create(create).await,
        Command::Keys {
            command: KeysCommand::Create(create),
        } => commands::keys::create(create).await,
        Command::Keys {
            command: KeysCommand::List(list),
        } => commands::keys::list(list).await,
        Command::Keys {
            command: KeysCommand::Revoke(revoke),
        } => commands::keys::revoke(revoke).await,
        Command::Jwks {
            command: JwksCommand::Set(set),
        } => commands::jwks::set(set).await,
        Command::Jwks {
            command: JwksCommand::Show(show),
        } => commands::jwks::show(show).await,
        Command::Jwks {
            command: JwksCommand::Remove(remove),
        } => commands::jwks::remove(remove).await,
        Command::Users {
            command: UsersCommand::Import(import),
        } => commands::users::import(import).await,
        Command::Users {
            command: UsersCommand::Erase(erase),
        } => commands::users::erase(erase).await,
        Command::Tickets {
            command: TicketsCommand::Check(check),
        } => commands::tickets::check(check).await,
        Command::Tickets {
            command: TicketsCommand::Send(send),
        } => commands::tickets::send(send).await,
        Command::Tickets {
            command: TicketsCommand::Generate(generate),
        } => commands::tickets::generate(&generate),
        Command::Tickets {
            command: TicketsCommand::Redrive(redrive),
        } => commands::tickets::redrive(redrive).await,
        Command::Changes {
            command: ChangesCommand::Redrive(redrive),
        } => commands::changes::redrive(redrive).await,
        Command::Openapi(openapi) => commands::openapi::print(&openapi),
    };
    output::exit_code(outcome)
}

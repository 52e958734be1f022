//! `muster`: exits with 0 if the command succeeds or its reader closes the pipe, 1 if it fails, and
//! 2 for a usage error.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use muster_cli::{commands::Cli, output};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::log_to_stderr();
    output::exit_code(cli.run().await)
}

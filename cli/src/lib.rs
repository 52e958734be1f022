//! The command line `muster`: the local stack and the operator's commands. Nothing that is deployed
//! depends on it.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod args;
pub mod commands;
pub mod dev;
pub mod emulator;
pub mod generate;
pub mod output;
pub mod template;

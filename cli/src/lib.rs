//! The command line `muster`: the local stack and the operator's commands. Nothing that is deployed
//! depends on it.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod commands;
pub mod emulator;
pub mod local;
pub mod output;
pub mod sam;
pub mod scenario;

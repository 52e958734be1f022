//! The `muster` command line: the local stack and the operator's commands. Deployed functions do
//! not depend on this crate.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod commands;
pub mod emulator;
pub mod local;
pub mod output;
pub mod running;
pub mod sam;
pub mod scenario;

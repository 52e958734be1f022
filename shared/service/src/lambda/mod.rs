//! The connection between a function and its runtime, shared by the `main` of every function.

mod environment;
mod payload;
mod run;

pub use environment::{Environment, aws_config};
pub use payload::request;
pub use run::{run, run_events};

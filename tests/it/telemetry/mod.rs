//! Log lines, metrics and traces of the functions.

mod calls;
mod log;
mod metrics;
mod process;
mod secrets;

//! What functions tell of themselves: log lines, metrics and traces.

mod calls;
mod log;
mod metrics;
mod process;
mod secrets;

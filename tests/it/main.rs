//! Black-box tests: HTTP to the local stack, which calls the `handle` of each function.
//!
//! The tests of a process share one stack. Each test has its own organizations, so tests run in
//! parallel. A test that controls the clock, ids or calls to the table starts a separate stack.

mod api;
mod cost;
mod directory;
mod jobs;
mod openapi;
mod pipeline;
mod real_time;
mod reliability;
mod routing;
mod sample_events;
mod scale;
mod security;
mod support;
mod telemetry;
mod tickets;

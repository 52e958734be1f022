//! Black-box tests of the whole: real HTTP to the local stack, the functions' own `handle` behind
//! it.
//!
//! The stack is shared by the tests of a process, and each test has organizations of its own, so
//! they run in parallel. What a test needs to hold still (the clock, ids, calls to the table) it
//! has a stack of its own for.

mod addresses;
mod auth;
mod contracts;
mod cors;
mod costs;
mod directory;
mod docs;
mod hostile;
mod isolation;
mod jobs;
mod jwt;
mod openapi;
mod pipeline;
mod rates;
mod real_time;
mod reliability;
mod routing;
mod sample_events;
mod scale;
mod shapes;
mod support;
mod telemetry;
mod tickets;

//! The invariants of routing under duplicates, reordering, throttling and crashes.
//!
//!
//! The tests invoke the assignment and the jobs function with SQS events over the engine, and audit
//! the table without the store.

mod choice;
mod faults;
mod history;
mod pass;
mod races;

//! Routing held to the design's invariants: whatever is duplicated, reordered, throttled, or killed
//! between any two calls.
//!
//! The ticket and job queues' functions are handed the events of SQS over the engine, and their end
//! is audited past the store.

mod choice;
mod faults;
mod history;
mod pass;
mod races;

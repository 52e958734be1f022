//! Muster's service crate: requests and batches against one DynamoDB table, on AWS Lambda.
//!
//! Dependencies point one way. [`store`] keeps the domain in the table. [`auth`] resolves a
//! credential, and [`rate_limit`] counts its requests. [`http`] puts these together for one
//! request, [`assignment`] for one batch of tickets. [`lambda`] connects a function to its runtime.
//! [`aws`] and [`jobs`] send and receive messages. [`telemetry`] has logs, metrics and traces. Wire
//! types never reach the store, and item types never leave it.

pub mod assignment;
pub mod auth;
pub mod aws;
mod aws_error;
pub mod deadline;
mod error_chain;
pub mod http;
pub mod jobs;
pub mod lambda;
pub mod rate_limit;
pub mod store;
pub mod telemetry;

pub use error_chain::error_chain;

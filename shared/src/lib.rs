//! Muster's domain crate: teams, memberships and ticket routing for help desks, under two
//! documented HTTP contracts.
//!
//! Dependencies point one way. [`domain`] knows nothing but itself; [`routing`] decides over it
//! with no I/O; [`store`] keeps it in a DynamoDB table; [`wire`] says it in two contracts and as
//! events; [`auth`] finds out who asks. [`http`] puts these together for one request, [`assign`]
//! for one batch of tickets; [`sqs`] and [`lambda`] put that into a function. [`queue`], [`bus`],
//! [`bucket`] and [`jobs`] are how functions reach each other and other services. [`telemetry`] has
//! their logs, metrics and traces. Wire types never reach the store, and item types never reach the
//! wire.

pub mod assign;
pub mod auth;
pub mod bucket;
pub mod bus;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod lambda;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod queue;
pub mod routing;
pub mod sqs;
pub mod store;
pub mod telemetry;
pub mod wire;

mod backoff;

//! The events from the platforms, and the events that Muster publishes.

pub mod inbound;
pub mod outbound;
#[cfg(feature = "openapi")]
pub mod schemas;

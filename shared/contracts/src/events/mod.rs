//! The events that arrive on the queues, and the events that go out.

pub mod inbound;
pub mod outbound;

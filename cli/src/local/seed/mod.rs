//! The data that a stack starts with.

mod demo;
mod samples;

pub(super) use demo::prepare;
pub use demo::{ContractKeys, DemoKeys, DemoUser, Organization};
pub(super) use samples::put as put_samples;

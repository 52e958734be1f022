//! The data that a stack starts with.

mod demo;
mod samples;

pub(super) use demo::seed_demo;
pub use demo::{ContractKeys, DemoKeys, DemoOrganization, DemoUser};
pub(super) use samples::seed_samples;

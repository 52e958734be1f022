//! The data that a stack starts with.

mod demo;
mod organizations;
mod prepared_table;
mod samples;

pub use demo::{Demo, DemoTeam, DemoTicket};
pub use organizations::{ContractKeys, DemoKeys, DemoOrganization, DemoUser};
pub(super) use prepared_table::{PreparedTable, SeedData};

//! Bounds: requests and batches whose cost does not grow with the data that they do not return.
//!
//! Each test compares consumed capacity and round trips at two sizes, and never a duration.

mod assignments;
mod choice;
mod leads;
mod lists;
mod team_partition;
mod tenants;

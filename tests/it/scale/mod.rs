//! Cost bounds: the cost of a request or batch does not grow with data that it does not return.
//!
//!
//! Each test compares consumed capacity and round trips at two sizes, and never a duration.

mod assignments;
mod choice;
mod leads;
mod lists;
mod team_partition;
mod tenants;

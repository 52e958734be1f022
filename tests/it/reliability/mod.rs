//! The API and the functions under faults, retries, concurrent writes and crashes.

mod concurrency;
mod crash;
pub(crate) mod faults;
mod retries;

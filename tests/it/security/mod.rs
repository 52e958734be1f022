//! Authentication, authorization, isolation of organizations, and hostile input.

mod addresses;
pub mod auth;
mod cors;
mod hostile;
mod isolation;
mod jwt;
mod rate_limits;

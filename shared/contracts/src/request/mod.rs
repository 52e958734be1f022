//! Parsers of JSON bodies, query strings and headers, by the rules that both contracts share.

mod body;
mod fields;
mod query;
mod violation;

pub use body::{Body, MAX_BODY_BYTES, MAX_DEPTH};
pub use fields::{
    description, idempotency_key, listed_state, member_role, queue_strategy, skills,
    specializations, team_name, user_id,
};
pub use query::Query;
pub use violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation};

//! Parsers of JSON bodies, query strings and headers, by the rules that both contracts share.

mod body;
mod excerpt;
mod fields;
mod malformed;
mod query;
mod unknown_fields;
mod violation;

pub use body::{Body, MAX_BODY_BYTES};
pub use excerpt::excerpt;
pub use fields::{
    description, idempotency_key, listed_state, member_changes, member_role, on_unknown_field,
    queue_strategy, skills, specializations, team_name, user_id,
};
pub use malformed::{MAX_DEPTH, MalformedBody};
pub use query::Query;
pub use unknown_fields::{OnUnknownField, UnknownFields};
pub use violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation};

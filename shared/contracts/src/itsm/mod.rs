//! The contract of the ITSM platform.

mod errors;
mod ids;
mod requests;
mod responses;

pub use errors::{Audience, error_response, message};
pub use requests::{
    add_member, create_team, list_teams, list_tickets, page, update_member, update_team,
};
pub use responses::{
    decision, decisions, found_tickets, members, membership, team, teams, workload,
};

#[cfg(feature = "openapi")]
pub(crate) use errors::{constraint, error_schemas, status_and_code};
#[cfg(feature = "openapi")]
pub(crate) use responses::schemas;

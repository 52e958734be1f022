//! The TopTickets contract.

mod errors;
mod requests;
mod responses;

pub use errors::error_response;
pub(super) use errors::status_and_detail;
#[cfg(feature = "openapi")]
pub(crate) use errors::{MALFORMED, error_schemas, status_and_type};
pub use requests::{
    add_member, create_team, list_teams, list_tickets, page, update_member, update_team,
};
#[cfg(feature = "openapi")]
pub(crate) use responses::schemas;
pub use responses::{decision, decisions, found_tickets, members, team, teams};

//! The TopTickets contract.

mod errors;
mod requests;
mod responses;

pub use errors::failure;
pub(super) use errors::plain;
pub use requests::{add_member, create_team, list_teams, page, update_team};
pub use responses::{decision, decisions, members, team, teams};

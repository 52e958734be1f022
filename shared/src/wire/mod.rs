//! The two wire contracts: what a request of each may say, and how each is answered.
//!
//! [`toptickets`] and [`itsm`] hold the shapes of their own document, side by side and under the same names; conversions to
//! and from the domain stand beside them. [`input`] reads bodies and query strings by the rules that both share. The
//! functions of this module only choose the contract.

pub mod announcements;
pub mod events;
pub mod input;
pub mod itsm;
pub mod toptickets;

mod failure;

pub use failure::{Failure, Occurrence};

use crate::domain::{Contract, ListTeams, Load, Member, NewMember, NewTeam, Roster, TeamChanges, TeamPage, Timestamp};
use input::Invalid;

/// Parses the query of `GET /v1/teams`. The parsed page knows everything that its answer has to repeat.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_teams(contract: Contract, query: &str) -> Result<ListTeams, Invalid> {
    match contract {
        Contract::Toptickets => toptickets::list_teams(query),
        Contract::Itsm => itsm::list_teams(query),
    }
}

/// Parses the body of `POST /v1/teams`.
///
/// # Errors
/// The fields that break a rule.
pub fn create_team(contract: Contract, body: &[u8]) -> Result<NewTeam, Invalid> {
    match contract {
        Contract::Toptickets => toptickets::create_team(body),
        Contract::Itsm => itsm::create_team(body),
    }
}

/// Parses the body of `PATCH /v1/teams/{id}`.
///
/// # Errors
/// The fields that break a rule.
pub fn update_team(contract: Contract, body: &[u8]) -> Result<TeamChanges, Invalid> {
    match contract {
        Contract::Toptickets => toptickets::update_team(body),
        Contract::Itsm => itsm::update_team(body),
    }
}

/// Parses the body of `POST /v1/teams/{id}/members`.
///
/// # Errors
/// The fields that break a rule.
pub fn add_member(contract: Contract, body: &[u8]) -> Result<NewMember, Invalid> {
    match contract {
        Contract::Toptickets => toptickets::add_member(body),
        Contract::Itsm => itsm::add_member(body),
    }
}

/// Renders one team.
#[must_use]
pub fn team(contract: Contract, roster: &Roster) -> String {
    match contract {
        Contract::Toptickets => toptickets::team(roster),
        Contract::Itsm => itsm::team(roster),
    }
}

/// Renders one page of teams.
#[must_use]
pub fn teams(contract: Contract, list: &ListTeams, page: &TeamPage) -> String {
    match contract {
        Contract::Toptickets => toptickets::teams(page),
        Contract::Itsm => itsm::teams(list, page),
    }
}

/// Renders the answer to adding `member` to the team.
#[must_use]
pub fn added_member(contract: Contract, roster: &Roster, member: &Member) -> String {
    match contract {
        Contract::Toptickets => toptickets::team(roster),
        Contract::Itsm => itsm::membership(&roster.team, member),
    }
}

/// Renders a team's workload, which only the ITSM document knows.
#[must_use]
pub fn workload(roster: &Roster, load: Load, now: Timestamp) -> String {
    itsm::workload(roster, load, now)
}

/// Serializes what cannot fail to serialize: the wire types have text keys and no maps of anything else.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("wire types are structs of text, numbers and lists")
}

/// A list length as JSON can carry it.
fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

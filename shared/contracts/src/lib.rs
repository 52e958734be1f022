//! The two wire contracts, their routes, events, job messages and `OpenAPI` documents.
//!
//! [`toptickets`] and [`itsm`] define the requests and responses of one document each, under the
//! same names, with the conversions to and from the domain. [`request`] reads bodies and query
//! strings by the rules that both contracts share. The functions of this module select the
//! contract.

pub mod events;
pub mod itsm;
pub mod jobs;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod request;
pub mod response_size;
pub mod route;
#[cfg(feature = "openapi")]
pub(crate) mod schema;
pub mod toptickets;

mod cursor;
mod decision;
mod error;
mod find_tickets;
mod health;
mod json;

pub use error::{ApiError, ErrorContext, UnauthorizedReason, WrongIdKind};
pub use find_tickets::find_tickets;
pub use health::health;
pub use json::json;

use muster_domain::{
    Contract, FindTickets, FoundTickets, ListTeams, ListTickets, Load, Member, MemberChanges,
    NewMember, NewTeam, OrganizationId, PageRange, Roster, TeamChanges, TeamPage, Ticket,
    TicketPage, Timestamp,
};
use request::{Body, FieldRejected, InvalidRequest, OnUnknownField, Query, UnknownFields};
use route::Endpoint;

/// Parses the query of `GET /v1/teams`. The parsed page has everything that the
/// response repeats.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_teams(contract: Contract, query: &str) -> Result<ListTeams, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::list_teams(query),
        Contract::Itsm => itsm::list_teams(query),
    }
}

/// Parses the query of `GET /v1/teams/{id}/assignments`.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_tickets(contract: Contract, query: &str) -> Result<ListTickets, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::list_tickets(query),
        Contract::Itsm => itsm::list_tickets(query),
    }
}

/// Parses the query of a list that has pages and no filter.
///
/// # Errors
/// The parameters that break a rule.
pub fn page(contract: Contract, query: &str) -> Result<PageRange, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::page(query),
        Contract::Itsm => itsm::page(query),
    }
}

/// Parses the query of `GET /openapi.json`. Returns the contract of the requested document; the
/// default is ITSM.
///
/// # Errors
/// The parameter that breaks a rule.
pub fn documented_contract(query: &str) -> Result<Contract, InvalidRequest> {
    let mut query = Query::parse(query);
    query
        .one_of(
            "contract",
            &["toptickets", "itsm"],
            &Contract::ALL,
            Contract::Itsm,
        )
        .map_err(|FieldRejected| query.invalid())
}

/// The parsers of an endpoint's body, by contract.
struct BodyParsers<T> {
    toptickets: BodyParser<T>,
    itsm: BodyParser<T>,
}

type BodyParser<T> = fn(&mut Body<'_>) -> Result<T, FieldRejected>;

impl<T> BodyParsers<T> {
    fn of(&self, contract: Contract) -> BodyParser<T> {
        match contract {
            Contract::Toptickets => self.toptickets,
            Contract::Itsm => self.itsm,
        }
    }
}

const CREATE_TEAM: BodyParsers<NewTeam> = BodyParsers {
    toptickets: toptickets::create_team,
    itsm: itsm::create_team,
};
const UPDATE_TEAM: BodyParsers<TeamChanges> = BodyParsers {
    toptickets: toptickets::update_team,
    itsm: itsm::update_team,
};
const ADD_MEMBER: BodyParsers<NewMember> = BodyParsers {
    toptickets: toptickets::add_member,
    itsm: itsm::add_member,
};
const UPDATE_MEMBER: BodyParsers<MemberChanges> = BodyParsers {
    toptickets: toptickets::update_member,
    itsm: itsm::update_member,
};

/// Parses the body of `POST /v1/teams`.
///
/// # Errors
/// The body is malformed, or has fields that break a rule.
pub fn create_team(
    contract: Contract,
    body: &[u8],
    on_unknown_field: OnUnknownField,
) -> Result<NewTeam, InvalidRequest> {
    Body::parse_with(body, on_unknown_field, CREATE_TEAM.of(contract))
}

/// Parses the body of `PATCH /v1/teams/{id}`.
///
/// # Errors
/// The body is malformed, or has fields that break a rule.
pub fn update_team(
    contract: Contract,
    body: &[u8],
    on_unknown_field: OnUnknownField,
) -> Result<TeamChanges, InvalidRequest> {
    Body::parse_with(body, on_unknown_field, UPDATE_TEAM.of(contract))
}

/// Parses the body of `POST /v1/teams/{id}/members`.
///
/// # Errors
/// The body is malformed, or has fields that break a rule.
pub fn add_member(
    contract: Contract,
    body: &[u8],
    on_unknown_field: OnUnknownField,
) -> Result<NewMember, InvalidRequest> {
    Body::parse_with(body, on_unknown_field, ADD_MEMBER.of(contract))
}

/// Parses the body of `PATCH /v1/teams/{id}/members/{user_id}`.
///
/// # Errors
/// The body is malformed, or has fields that break a rule.
pub fn update_member(
    contract: Contract,
    body: &[u8],
    on_unknown_field: OnUnknownField,
) -> Result<MemberChanges, InvalidRequest> {
    Body::parse_with(body, on_unknown_field, UPDATE_MEMBER.of(contract))
}

/// Returns the fields of a body that have no effect: the parser of the endpoint does not know them,
/// and they are not read-only fields of responses.
#[must_use]
pub fn unknown_fields(contract: Contract, endpoint: Endpoint, body: &[u8]) -> UnknownFields {
    match endpoint {
        Endpoint::CreateTeam => Body::unknown_to(body, CREATE_TEAM.of(contract)),
        Endpoint::UpdateTeam => Body::unknown_to(body, UPDATE_TEAM.of(contract)),
        Endpoint::AddMember => Body::unknown_to(body, ADD_MEMBER.of(contract)),
        Endpoint::UpdateMember => Body::unknown_to(body, UPDATE_MEMBER.of(contract)),
        _ => UnknownFields::default(),
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
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn teams(
    contract: Contract,
    list: &ListTeams,
    page: &TeamPage,
) -> Result<String, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::teams(page),
        Contract::Itsm => itsm::teams(list, page),
    }
}

/// Renders one page of a team's members.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn members(
    contract: Contract,
    page: PageRange,
    roster: &Roster,
) -> Result<String, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::members(page, roster),
        Contract::Itsm => itsm::members(page, roster),
    }
}

/// Renders the response to adding `member` to the team, or to updating the membership.
#[must_use]
pub fn member(contract: Contract, roster: &Roster, member: &Member) -> String {
    match contract {
        Contract::Toptickets => toptickets::team(roster),
        Contract::Itsm => itsm::membership(&roster.team, member),
    }
}

/// Renders a team's workload, which only the ITSM document has.
#[must_use]
pub fn workload(roster: &Roster, load: Load, now: Timestamp) -> String {
    itsm::workload(roster, load, now)
}

/// Renders the latest decision about a ticket.
#[must_use]
pub fn decision(contract: Contract, ticket: &Ticket) -> String {
    match contract {
        Contract::Toptickets => toptickets::decision(ticket),
        Contract::Itsm => itsm::decision(ticket),
    }
}

/// Renders one page of a team's open tickets, each with its latest decision.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn decisions(
    contract: Contract,
    page: PageRange,
    tickets: &TicketPage,
) -> Result<String, InvalidRequest> {
    match contract {
        Contract::Toptickets => toptickets::decisions(tickets),
        Contract::Itsm => itsm::decisions(page, tickets),
    }
}

/// A page of tickets, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedPage {
    /// The body.
    pub body: String,
    /// The value of the header `Link` with the next page, if the contract has the header and there
    /// is a next page.
    pub link: Option<String>,
}

/// Renders one page of an organization's tickets, each with its latest decision.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn found_tickets(
    contract: Contract,
    organization: &OrganizationId,
    find: &FindTickets,
    found: &FoundTickets,
) -> Result<RenderedPage, InvalidRequest> {
    let cursor = find_tickets::next_cursor(organization, find, found);
    Ok(match contract {
        Contract::Toptickets => RenderedPage {
            body: toptickets::found_tickets(&found.tickets)?,
            link: cursor.map(|cursor| find_tickets::next_link(find, &cursor)),
        },
        Contract::Itsm => RenderedPage {
            body: itsm::found_tickets(&found.tickets, find.limit, cursor)?,
            link: None,
        },
    })
}

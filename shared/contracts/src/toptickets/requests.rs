//! Parsers of the requests of the TopTickets contract.
//!
//! This document does not have `lead_id`, `queue_strategy` and `specializations`, so they are
//! ignored like other unknown fields.

use crate::{
    request::{self, Body, FieldRejected, InvalidRequest, Query},
    response_size::MAX_ITEMS_BYTES,
};
use muster_domain::{
    ListTeams, ListTickets, MemberChanges, MemberRole, NewMember, NewTeam, Order, PageRange,
    QueueStrategy, SortBy, Tags, TeamChanges,
};

/// The fields of a team in responses that no request can set.
const TEAM_READ_ONLY: [&str; 4] = ["id", "members", "created_at", "updated_at"];
/// The fields of a member in responses that no request can set.
const MEMBER_READ_ONLY: [&str; 7] = [
    "id",
    "email",
    "full_name",
    "team_role",
    "open_tickets",
    "in_progress_tickets",
    "added_at",
];

/// Parses the query of `GET /v1/teams`: a page, oldest first.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_teams(query: &str) -> Result<ListTeams, InvalidRequest> {
    let page = page(query)?;
    Ok(ListTeams {
        page,
        search: None,
        sort_by: SortBy::CreatedAt,
        order: Order::Ascending,
        count: false,
        loads: false,
        max_bytes: MAX_ITEMS_BYTES,
    })
}

/// Parses the query of `GET /v1/teams/{id}/assignments`: a page and the optional `state`.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_tickets(query: &str) -> Result<ListTickets, InvalidRequest> {
    let mut query = Query::parse(query);
    let page = skip_and_limit(&mut query);
    let state = request::listed_state(&mut query);
    let (Ok(page), Ok(state)) = (page, state) else {
        return Err(query.invalid());
    };
    Ok(ListTickets { page, state })
}

/// Parses the page of a list: `skip` or its synonym `offset`, and `limit`.
///
/// # Errors
/// The parameters that break a rule.
pub fn page(query: &str) -> Result<PageRange, InvalidRequest> {
    let mut query = Query::parse(query);
    skip_and_limit(&mut query).map_err(|FieldRejected| query.invalid())
}

/// Reads `skip` or `offset`, and `limit`.
fn skip_and_limit(query: &mut Query) -> Result<PageRange, FieldRejected> {
    let skip = if query.has("offset") && !query.has("skip") {
        "offset"
    } else {
        "skip"
    };
    let skip = query.integer(skip, 0, 0, i64::MAX);
    let limit = query.integer("limit", 50, 1, 100);
    let (skip, limit) = (skip?, limit?);
    Ok(PageRange {
        skip: skip as u128,
        limit,
    })
}

/// Parses the body of `POST /v1/teams`.
///
/// # Errors
/// A field breaks a rule.
pub fn create_team(body: &mut Body<'_>) -> Result<NewTeam, FieldRejected> {
    body.ignore(&TEAM_READ_ONLY);
    let name = body.required("name", request::team_name);
    let description = body.optional("description", request::description);
    let (Ok(name), Ok(description)) = (name, description) else {
        return Err(FieldRejected);
    };
    Ok(NewTeam {
        name,
        description,
        lead_id: None,
        queue_strategy: QueueStrategy::default(),
        specializations: Tags::default(),
    })
}

/// Parses the body of `PATCH /v1/teams/{id}`.
///
/// # Errors
/// A field breaks a rule.
pub fn update_team(body: &mut Body<'_>) -> Result<TeamChanges, FieldRejected> {
    body.ignore(&TEAM_READ_ONLY);
    let name = body.change("name", request::team_name);
    let description = body.clearable("description", request::description);
    let (Ok(name), Ok(description)) = (name, description) else {
        return Err(FieldRejected);
    };
    Ok(TeamChanges {
        name,
        description,
        ..TeamChanges::default()
    })
}

/// Parses the body of `POST /v1/teams/{id}/members`.
///
/// # Errors
/// A field breaks a rule.
pub fn add_member(body: &mut Body<'_>) -> Result<NewMember, FieldRejected> {
    body.ignore(&MEMBER_READ_ONLY);
    Ok(NewMember {
        user_id: body.required("user_id", request::user_id)?,
        role: MemberRole::Member,
        skills: Tags::default(),
    })
}

/// Parses the body of `PATCH /v1/teams/{id}/members/{user_id}`.
///
/// # Errors
/// A field breaks a rule.
pub fn update_member(body: &mut Body<'_>) -> Result<MemberChanges, FieldRejected> {
    body.ignore(&MEMBER_READ_ONLY);
    request::member_changes(body)
}

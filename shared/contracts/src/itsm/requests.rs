//! Parsers of the requests of the ITSM contract.

use crate::{
    request::{self, Body, FieldRejected, InvalidRequest, Query},
    response_size::MAX_ITEMS_BYTES,
};
use muster_domain::{
    Folded, ListTeams, ListTickets, MemberChanges, MemberRole, NewMember, NewTeam, Order,
    PageRange, SortBy, TeamChanges,
};

/// The fields of a team in responses that no request can set.
const TEAM_READ_ONLY: [&str; 7] = [
    "id",
    "members",
    "member_count",
    "open_tickets",
    "organization_id",
    "created_at",
    "updated_at",
];
/// The fields of a member in responses that no request can set.
const MEMBER_READ_ONLY: [&str; 11] = [
    "id",
    "team_id",
    "user_id",
    "name",
    "email",
    "avatar_url",
    "status",
    "team_role",
    "open_tickets",
    "in_progress_tickets",
    "added_at",
];

/// Parses the query of `GET /v1/teams`: `search`, `page`, `limit`, `sortBy` and `sortOrder`. The
/// default is newest first. `cursor` is rejected.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_teams(query: &str) -> Result<ListTeams, InvalidRequest> {
    let mut query = Query::parse(query);
    let search = query.text("search");
    let page = page_and_limit(&mut query);
    let sorts = [SortBy::CreatedAt, SortBy::UpdatedAt, SortBy::Name];
    let sort_by = query.one_of(
        "sortBy",
        &["createdAt", "updatedAt", "name"],
        &sorts,
        SortBy::CreatedAt,
    );
    let orders = [Order::Ascending, Order::Descending];
    let order = query.one_of("sortOrder", &["asc", "desc"], &orders, Order::Descending);
    let cursor = query.unsupported("cursor");
    let (Ok(search), Ok(page), Ok(sort_by), Ok(order), Ok(())) =
        (search, page, sort_by, order, cursor)
    else {
        return Err(query.invalid());
    };
    let search = Folded::of(&search);
    Ok(ListTeams {
        page,
        search: (!search.is_empty()).then_some(search),
        sort_by,
        order,
        count: true,
        loads: true,
        max_bytes: MAX_ITEMS_BYTES,
    })
}

/// Parses the query of `GET /v1/teams/{id}/assignments`: `page`, `limit` and the optional `state`.
/// `cursor` is rejected, as for teams.
///
/// # Errors
/// The parameters that break a rule.
pub fn list_tickets(query: &str) -> Result<ListTickets, InvalidRequest> {
    let mut query = Query::parse(query);
    let page = page_and_limit(&mut query);
    let state = request::listed_state(&mut query);
    let cursor = query.unsupported("cursor");
    let (Ok(page), Ok(state), Ok(())) = (page, state, cursor) else {
        return Err(query.invalid());
    };
    Ok(ListTickets { page, state })
}

/// Parses the query of a list without search and order: `page` and `limit`. `cursor` is rejected,
/// as for teams.
///
/// # Errors
/// The parameters that break a rule.
pub fn page(query: &str) -> Result<PageRange, InvalidRequest> {
    let mut query = Query::parse(query);
    let page = page_and_limit(&mut query);
    let cursor = query.unsupported("cursor");
    let (Ok(page), Ok(())) = (page, cursor) else {
        return Err(query.invalid());
    };
    Ok(page)
}

/// Reads `page` and `limit`.
fn page_and_limit(query: &mut Query) -> Result<PageRange, FieldRejected> {
    let page = query.integer("page", 1, 1, i64::MAX);
    let limit = query.integer("limit", 20, 1, 1000);
    let (page, limit) = (page?, limit?);
    Ok(PageRange {
        skip: (page - 1) as u128 * limit as u128,
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
    let lead_id = body.optional("lead_id", request::user_id);
    let queue_strategy = body.optional("queue_strategy", request::queue_strategy);
    let specializations = body.optional("specializations", request::specializations);
    let (Ok(name), Ok(description), Ok(lead_id), Ok(queue_strategy), Ok(specializations)) =
        (name, description, lead_id, queue_strategy, specializations)
    else {
        return Err(FieldRejected);
    };
    Ok(NewTeam {
        name,
        description,
        lead_id,
        queue_strategy: queue_strategy.unwrap_or_default(),
        specializations: specializations.unwrap_or_default(),
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
    let lead_id = body.clearable("lead_id", request::user_id);
    let queue_strategy = body.change("queue_strategy", request::queue_strategy);
    let specializations = body.change("specializations", request::specializations);
    let (Ok(name), Ok(description), Ok(lead_id), Ok(queue_strategy), Ok(specializations)) =
        (name, description, lead_id, queue_strategy, specializations)
    else {
        return Err(FieldRejected);
    };
    Ok(TeamChanges {
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
    })
}

/// Parses the body of `POST /v1/teams/{id}/members`.
///
/// # Errors
/// A field breaks a rule.
pub fn add_member(body: &mut Body<'_>) -> Result<NewMember, FieldRejected> {
    body.ignore(&MEMBER_READ_ONLY);
    let user_id = body.required("user_id", request::user_id);
    let role = body.optional("role", request::member_role);
    let skills = body.optional("skills", request::skills);
    let (Ok(user_id), Ok(role), Ok(skills)) = (user_id, role, skills) else {
        return Err(FieldRejected);
    };
    Ok(NewMember {
        user_id,
        role: role.unwrap_or(MemberRole::Member),
        skills: skills.unwrap_or_default(),
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

//! The routes `/v1/teams` and `/v1/teams/{team_id}`, and the gateway's `$default` route: unknown
//! paths and methods get their error response here, in the caller's contract.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster_contracts::{ApiError, route::Route};
use muster_domain::{Contract, Roster, Team, TeamId};
use muster_service::{
    http::{self, ApiRequest, ApiResponse, Deps, Error},
    store::{OnOpenTickets, RenderedResponse},
};

/// Handles one request.
///
/// # Errors
/// Infallible: every failure becomes a response.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |request| async move {
        match request.route {
            Route::ListTeams => list(&request).await,
            Route::CreateTeam => create(&request).await,
            Route::GetTeam(id) => get(&request, id).await,
            Route::UpdateTeam(id) => update(&request, id).await,
            Route::DeleteTeam(id) => delete(&request, id).await,
            // A route of another function: the gateway sends it here only if its routes differ from
            // those of the template.
            Route::ListMembers(_)
            | Route::AddMember(_)
            | Route::UpdateMember(..)
            | Route::RemoveMember(..)
            | Route::GetWorkload(_)
            | Route::ListAssignments(_)
            | Route::FindAssignments
            | Route::GetAssignment(_) => Err(ApiError::RouteNotFound.into()),
        }
    })
    .await
}

async fn list(request: &ApiRequest) -> Result<ApiResponse, Error> {
    let list = muster_contracts::list_teams(request.contract(), &request.query)?;
    let page = request
        .store
        .list_teams(&request.principal.organization_id, &list)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::teams(
        request.contract(),
        &list,
        &page,
    )?))
}

async fn create(request: &ApiRequest) -> Result<ApiResponse, Error> {
    let new =
        muster_contracts::create_team(request.contract(), &request.body, request.on_unknown_field)?;
    let id = (request.new_team_id)(request.now);
    let team = Team::create(
        id,
        request.principal.organization_id.clone(),
        new,
        request.now,
    );
    let roster = Roster {
        team,
        members: Vec::new(),
    };
    let response = RenderedResponse::created(
        muster_contracts::team(request.contract(), &roster),
        Some(roster.team.version),
    );
    request
        .store
        .create_team(&roster.team, &response, request.idempotency.as_ref())
        .await?;
    Ok(response.into())
}

async fn get(request: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let (roster, _) = request
        .store
        .team(&request.principal.organization_id, id)
        .await?;
    Ok(shown(request, &roster))
}

async fn update(request: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let changes =
        muster_contracts::update_team(request.contract(), &request.body, request.on_unknown_field)?;
    let org = &request.principal.organization_id;
    let roster = request
        .store
        .change_team(org, id, &changes, &request.if_version, request.now)
        .await?;
    Ok(shown(request, &roster))
}

async fn delete(request: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let on_open_tickets = match request.contract() {
        Contract::Toptickets => OnOpenTickets::Unassign,
        Contract::Itsm => OnOpenTickets::Reject,
    };
    let org = &request.principal.organization_id;
    request
        .store
        .delete_team(org, id, &request.if_version, on_open_tickets, request.now)
        .await?;
    Ok(ApiResponse::no_content())
}

/// 200 with a team, and the version by which it can be changed on condition.
fn shown(request: &ApiRequest, roster: &Roster) -> ApiResponse {
    ApiResponse::ok(muster_contracts::team(request.contract(), roster))
        .of_version(roster.team.version)
}

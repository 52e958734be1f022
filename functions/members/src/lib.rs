//! The routes `/v1/teams/{team_id}/members` and below.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster_contracts::{ApiError, route::Route};
use muster_domain::{Contract, Member, Roster, TeamId, UserId};
use muster_service::{
    http::{self, ApiRequest, ApiResponse, Deps, Error},
    store::{OnLead, RenderedResponse},
};

/// Handles one request.
///
/// # Errors
/// Infallible: every failure becomes a response.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |request| async move {
        match request.route {
            Route::ListMembers(team) => list(&request, team).await,
            Route::AddMember(team) => add(&request, team).await,
            Route::UpdateMember(team, user) => update(&request, team, user).await,
            Route::RemoveMember(team, user) => remove(&request, team, user).await,
            // A route of another function: the gateway sends it here only if its routes differ from
            // those of the template.
            Route::ListTeams
            | Route::CreateTeam
            | Route::GetTeam(_)
            | Route::UpdateTeam(_)
            | Route::DeleteTeam(_)
            | Route::GetWorkload(_)
            | Route::ListAssignments(_)
            | Route::FindAssignments
            | Route::GetAssignment(_) => Err(ApiError::RouteNotFound.into()),
        }
    })
    .await
}

async fn list(request: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let page = muster_contracts::page(request.contract(), &request.query)?;
    let (roster, _) = request
        .store
        .team(&request.principal.organization_id, team)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::members(
        request.contract(),
        page,
        &roster,
    )?))
}

async fn add(request: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let new =
        muster_contracts::add_member(request.contract(), &request.body, request.on_unknown_field)?;
    let response = |roster: &Roster, member: &Member| {
        RenderedResponse::created(
            muster_contracts::member(request.contract(), roster, member),
            shown_version(request, roster),
        )
    };
    let org = &request.principal.organization_id;
    let response = request
        .store
        .add_member(
            org,
            team,
            &new,
            response,
            request.idempotency.as_ref(),
            request.now,
        )
        .await?;
    Ok(response.into())
}

async fn update(request: &ApiRequest, team: TeamId, user: UserId) -> Result<ApiResponse, Error> {
    let changes = muster_contracts::update_member(
        request.contract(),
        &request.body,
        request.on_unknown_field,
    )?;
    let (roster, member) = request
        .store
        .change_member(
            &request.principal.organization_id,
            team,
            user,
            &changes,
            request.now,
        )
        .await?;
    Ok(ApiResponse::ok(muster_contracts::member(
        request.contract(),
        &roster,
        &member,
    ))
    .of_version(shown_version(request, &roster)))
}

/// The version of the one team that the response to a change of its roster shows: in ITSM's words
/// it shows none.
fn shown_version(request: &ApiRequest, roster: &Roster) -> Option<u64> {
    match request.contract() {
        Contract::Toptickets => Some(roster.team.version),
        Contract::Itsm => None,
    }
}

async fn remove(request: &ApiRequest, team: TeamId, user: UserId) -> Result<ApiResponse, Error> {
    let on_lead = match request.contract() {
        Contract::Toptickets => OnLead::Clear,
        Contract::Itsm => OnLead::Reject,
    };
    request
        .store
        .remove_member(
            &request.principal.organization_id,
            team,
            user,
            on_lead,
            request.now,
        )
        .await?;
    Ok(ApiResponse::no_content())
}

//! `/v1/teams/{team_id}/members` and what is below it.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster_contracts::{ApiError, route::Route};
use muster_domain::{Contract, Member, Roster, TeamId, UserId};
use muster_service::{
    http::{self, ApiRequest, ApiResponse, Deps, Error},
    store::{OnLead, RenderedResponse},
};

/// Answers one request.
///
/// # Errors
/// Never: every failure is an answer.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |call| async move {
        match call.route {
            Route::ListMembers(team) => list(&call, team).await,
            Route::AddMember(team) => add(&call, team).await,
            Route::UpdateMember(team, user) => update(&call, team, user).await,
            Route::RemoveMember(team, user) => remove(&call, team, user).await,
            // Another function's: the gateway sends it here only if its routes are not the
            // template's.
            Route::ListTeams
            | Route::CreateTeam
            | Route::GetTeam(_)
            | Route::UpdateTeam(_)
            | Route::DeleteTeam(_)
            | Route::GetWorkload(_)
            | Route::ListAssignments(_)
            | Route::GetAssignment(_) => Err(ApiError::RouteNotFound.into()),
        }
    })
    .await
}

async fn list(call: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let page = muster_contracts::page(call.contract(), &call.query)?;
    let (roster, _) = call
        .store
        .team(&call.principal.organization_id, team)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::members(
        call.contract(),
        page,
        &roster,
    )?))
}

async fn add(call: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let new = muster_contracts::add_member(call.contract(), &call.body)?;
    let answer = |roster: &Roster, member: &Member| {
        RenderedResponse::created(
            muster_contracts::member(call.contract(), roster, member),
            shown_version(call, roster),
        )
    };
    let org = &call.principal.organization_id;
    let answer = call
        .store
        .add_member(org, team, &new, answer, call.idempotency.as_ref(), call.now)
        .await?;
    Ok(answer.into())
}

async fn update(call: &ApiRequest, team: TeamId, user: UserId) -> Result<ApiResponse, Error> {
    let changes = muster_contracts::update_member(&call.body)?;
    let (roster, member) = call
        .store
        .change_member(
            &call.principal.organization_id,
            team,
            user,
            &changes,
            call.now,
        )
        .await?;
    Ok(
        ApiResponse::ok(muster_contracts::member(call.contract(), &roster, &member))
            .of_version(shown_version(call, &roster)),
    )
}

/// The version of the one team that the answer to a change of its roster shows: in ITSM's words it
/// shows none.
fn shown_version(call: &ApiRequest, roster: &Roster) -> Option<u64> {
    match call.contract() {
        Contract::Toptickets => Some(roster.team.version),
        Contract::Itsm => None,
    }
}

async fn remove(call: &ApiRequest, team: TeamId, user: UserId) -> Result<ApiResponse, Error> {
    let on_lead = match call.contract() {
        Contract::Toptickets => OnLead::Clear,
        Contract::Itsm => OnLead::Reject,
    };
    call.store
        .remove_member(
            &call.principal.organization_id,
            team,
            user,
            on_lead,
            call.now,
        )
        .await?;
    Ok(ApiResponse::no_content())
}

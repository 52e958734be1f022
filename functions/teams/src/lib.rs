//! `/v1/teams` and `/v1/teams/{team_id}`, and the `$default` route: unknown paths and methods are
//! answered here, in the caller's own contract.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster_contracts::{ApiError, route::Route};
use muster_domain::{Contract, Roster, Team, TeamId};
use muster_service::{
    http::{self, ApiRequest, ApiResponse, Deps, Error},
    store::{OnOpenTickets, RenderedResponse},
};

/// Answers one request.
///
/// # Errors
/// Never: every failure is an answer.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |call| async move {
        match call.route {
            Route::ListTeams => list(&call).await,
            Route::CreateTeam => create(&call).await,
            Route::GetTeam(id) => get(&call, id).await,
            Route::UpdateTeam(id) => update(&call, id).await,
            Route::DeleteTeam(id) => delete(&call, id).await,
            // Another function's: the gateway sends it here only if its routes are not the
            // template's.
            Route::ListMembers(_)
            | Route::AddMember(_)
            | Route::UpdateMember(..)
            | Route::RemoveMember(..)
            | Route::GetWorkload(_)
            | Route::ListAssignments(_)
            | Route::GetAssignment(_) => Err(ApiError::RouteNotFound.into()),
        }
    })
    .await
}

async fn list(call: &ApiRequest) -> Result<ApiResponse, Error> {
    let list = muster_contracts::list_teams(call.contract(), &call.query)?;
    let page = call
        .store
        .list_teams(&call.principal.organization_id, &list)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::teams(
        call.contract(),
        &list,
        &page,
    )?))
}

async fn create(call: &ApiRequest) -> Result<ApiResponse, Error> {
    let new = muster_contracts::create_team(call.contract(), &call.body)?;
    let id = (call.new_team_id)(call.now);
    let team = Team::create(id, call.principal.organization_id.clone(), new, call.now);
    let roster = Roster {
        team,
        members: Vec::new(),
    };
    let answer = RenderedResponse::created(
        muster_contracts::team(call.contract(), &roster),
        Some(roster.team.version),
    );
    call.store
        .create_team(&roster.team, &answer, call.idempotency.as_ref())
        .await?;
    Ok(answer.into())
}

async fn get(call: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let (roster, _) = call.store.team(&call.principal.organization_id, id).await?;
    Ok(shown(call, &roster))
}

async fn update(call: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let changes = muster_contracts::update_team(call.contract(), &call.body)?;
    let org = &call.principal.organization_id;
    let roster = call
        .store
        .change_team(org, id, &changes, &call.if_version, call.now)
        .await?;
    Ok(shown(call, &roster))
}

async fn delete(call: &ApiRequest, id: TeamId) -> Result<ApiResponse, Error> {
    let on_open_tickets = match call.contract() {
        Contract::Toptickets => OnOpenTickets::Unassign,
        Contract::Itsm => OnOpenTickets::Reject,
    };
    let org = &call.principal.organization_id;
    call.store
        .delete_team(org, id, &call.if_version, on_open_tickets, call.now)
        .await?;
    Ok(ApiResponse::no_content())
}

/// 200 with a team, and the version by which it can be changed on condition.
fn shown(call: &ApiRequest, roster: &Roster) -> ApiResponse {
    ApiResponse::ok(muster_contracts::team(call.contract(), roster)).of_version(roster.team.version)
}

//! The read side of routing: a team's workload, and the decisions.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster_contracts::{ApiError, route::Route};
use muster_domain::{TeamId, TicketId};
use muster_service::http::{self, ApiRequest, ApiResponse, Deps, Error};

/// Answers one request.
///
/// # Errors
/// Never: every failure is an answer.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |call| async move {
        match &call.route {
            Route::GetWorkload(team) => workload(&call, *team).await,
            Route::ListAssignments(team) => assignments(&call, *team).await,
            Route::GetAssignment(ticket) => assignment(&call, ticket).await,
            // Another function's: the gateway sends it here only if its routes are not the
            // template's.
            Route::ListTeams
            | Route::CreateTeam
            | Route::GetTeam(_)
            | Route::UpdateTeam(_)
            | Route::DeleteTeam(_)
            | Route::ListMembers(_)
            | Route::AddMember(_)
            | Route::UpdateMember(..)
            | Route::RemoveMember(..) => Err(ApiError::RouteNotFound.into()),
        }
    })
    .await
}

async fn workload(call: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let (roster, load) = call
        .store
        .team(&call.principal.organization_id, team)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::workload(
        &roster, load, call.now,
    )))
}

async fn assignments(call: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let list = muster_contracts::list_tickets(call.contract(), &call.query)?;
    let tickets = call
        .store
        .open_tickets(&call.principal.organization_id, team, list)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::decisions(
        call.contract(),
        list.page,
        &tickets,
    )?))
}

async fn assignment(call: &ApiRequest, ticket: &TicketId) -> Result<ApiResponse, Error> {
    let ticket = call
        .store
        .decided_ticket(&call.principal.organization_id, ticket)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::decision(
        call.contract(),
        &ticket,
    )))
}

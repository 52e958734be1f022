//! The routes of a team's workload and of routing decisions.

use std::convert::Infallible;

use lambda_http::{
    Body, Request, Response,
    http::{HeaderValue, header::LINK},
};
use muster_contracts::{ApiError, RenderedPage, route::Route};
use muster_domain::{TeamId, TicketId};
use muster_service::http::{self, ApiRequest, ApiResponse, Deps, Error};

/// Handles one request.
///
/// # Errors
/// Infallible: every failure becomes a response.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |request| async move {
        match &request.route {
            Route::GetWorkload(team) => workload(&request, *team).await,
            Route::ListAssignments(team) => assignments(&request, *team).await,
            Route::FindAssignments => find_assignments(&request).await,
            Route::GetAssignment(ticket) => assignment(&request, ticket).await,
            // A route of another function: the gateway sends it here only if its routes differ from
            // those of the template.
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

async fn workload(request: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let (roster, load) = request
        .store
        .team(&request.principal.organization_id, team)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::workload(
        &roster,
        load,
        request.now,
    )))
}

async fn assignments(request: &ApiRequest, team: TeamId) -> Result<ApiResponse, Error> {
    let list = muster_contracts::list_tickets(request.contract(), &request.query)?;
    let tickets = request
        .store
        .open_tickets(&request.principal.organization_id, team, list)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::decisions(
        request.contract(),
        list.page,
        &tickets,
    )?))
}

async fn find_assignments(request: &ApiRequest) -> Result<ApiResponse, Error> {
    let (contract, organization) = (request.contract(), &request.principal.organization_id);
    let find = muster_contracts::find_tickets(contract, organization, &request.query)?;
    let found = request.store.find_tickets(organization, &find).await?;
    let RenderedPage { body, link } =
        muster_contracts::found_tickets(contract, organization, &find, &found)?;
    // A link has ids, words and a cursor, which are all visible ASCII characters.
    let link = link.and_then(|link| HeaderValue::from_str(&link).ok());
    let headers = link.map(|link| (LINK, link)).into_iter().collect();
    Ok(ApiResponse::with_headers(Body::Text(body), headers))
}

async fn assignment(request: &ApiRequest, ticket: &TicketId) -> Result<ApiResponse, Error> {
    let ticket = request
        .store
        .decided_ticket(&request.principal.organization_id, ticket)
        .await?;
    Ok(ApiResponse::ok(muster_contracts::decision(
        request.contract(),
        &ticket,
    )))
}

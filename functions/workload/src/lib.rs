//! `GET /v1/teams/{team_id}/workload`: the read side of routing.

use std::convert::Infallible;

use lambda_http::{Body, Request, Response};
use muster::{
    domain::TeamId,
    http::{self, Call, Deps, Error, Reply, Route},
    wire::{self, Failure},
};

/// Answers one request.
///
/// # Errors
/// Never: every failure is an answer.
pub async fn handle(request: Request, deps: &Deps) -> Result<Response<Body>, Infallible> {
    http::serve(request, deps, |call| async move {
        match call.route {
            Route::GetWorkload(team) => workload(&call, team).await,
            // Another function's: the gateway sends it here only if its routes are not the template's.
            Route::ListTeams
            | Route::CreateTeam
            | Route::GetTeam(_)
            | Route::UpdateTeam(_)
            | Route::DeleteTeam(_)
            | Route::AddMember(_)
            | Route::RemoveMember(..) => Err(Failure::RouteNotFound.into()),
        }
    })
    .await
}

async fn workload(call: &Call, team: TeamId) -> Result<Reply, Error> {
    let (roster, load) = call.store.team(&call.principal.organization_id, team).await?;
    Ok(Reply::ok(wire::workload(&roster, load, call.now)))
}

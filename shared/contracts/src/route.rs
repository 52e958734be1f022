//! The routes of both contracts.
//!
//! template.yaml declares the same routes to the gateway, and a test compares the two. A function
//! matches method and path itself for two reasons. The `$default` route has to distinguish an
//! unknown path from a known path with another method, and some local runners of functions leave
//! the gateway's route key empty.

use crate::error::{ApiError, WrongIdKind};
use muster_domain::{Contract, Error, Scope, TeamId, TicketId, UserId};

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are descriptions")]
pub enum Endpoint {
    ListTeams,
    CreateTeam,
    GetTeam,
    UpdateTeam,
    DeleteTeam,
    ListMembers,
    AddMember,
    UpdateMember,
    RemoveMember,
    GetWorkload,
    ListAssignments,
    FindAssignments,
    GetAssignment,
}

/// Every route: method, path with its parameters in braces, endpoint.
pub const ROUTES: [(&str, &str, Endpoint); 13] = [
    ("GET", "/v1/teams", Endpoint::ListTeams),
    ("POST", "/v1/teams", Endpoint::CreateTeam),
    ("GET", "/v1/teams/{team_id}", Endpoint::GetTeam),
    ("PATCH", "/v1/teams/{team_id}", Endpoint::UpdateTeam),
    ("DELETE", "/v1/teams/{team_id}", Endpoint::DeleteTeam),
    ("GET", "/v1/teams/{team_id}/members", Endpoint::ListMembers),
    ("POST", "/v1/teams/{team_id}/members", Endpoint::AddMember),
    (
        "PATCH",
        "/v1/teams/{team_id}/members/{user_id}",
        Endpoint::UpdateMember,
    ),
    (
        "DELETE",
        "/v1/teams/{team_id}/members/{user_id}",
        Endpoint::RemoveMember,
    ),
    ("GET", "/v1/teams/{team_id}/workload", Endpoint::GetWorkload),
    (
        "GET",
        "/v1/teams/{team_id}/assignments",
        Endpoint::ListAssignments,
    ),
    ("GET", "/v1/assignments", Endpoint::FindAssignments),
    (
        "GET",
        "/v1/assignments/{ticket_id}",
        Endpoint::GetAssignment,
    ),
];

/// An endpoint without authentication. It describes both contracts and belongs to neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are descriptions")]
pub enum PublicEndpoint {
    GetHome,
    GetHealth,
    GetOpenapi,
    GetDocs,
    GetSchema,
}

/// Every route that takes no credential: method, path, endpoint.
pub const PUBLIC_ROUTES: [(&str, &str, PublicEndpoint); 5] = [
    ("GET", "/", PublicEndpoint::GetHome),
    ("GET", "/health", PublicEndpoint::GetHealth),
    ("GET", "/openapi.json", PublicEndpoint::GetOpenapi),
    ("GET", "/docs", PublicEndpoint::GetDocs),
    // A path parameter of an HTTP API is a whole segment, so the name includes `.json`. AWS,
    // "Create routes for HTTP APIs in API Gateway":
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
    ("GET", "/schemas/{name}", PublicEndpoint::GetSchema),
];

impl Endpoint {
    /// Returns the scope that the endpoint requires.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::ListTeams
            | Self::GetTeam
            | Self::ListMembers
            | Self::GetWorkload
            | Self::ListAssignments
            | Self::FindAssignments
            | Self::GetAssignment => Scope::TeamsRead,
            Self::CreateTeam
            | Self::UpdateTeam
            | Self::AddMember
            | Self::UpdateMember
            | Self::RemoveMember => Scope::TeamsWrite,
            Self::DeleteTeam => Scope::TeamsDelete,
        }
    }

    /// Returns whether the endpoint reads a body.
    #[must_use]
    pub fn reads_body(self) -> bool {
        matches!(
            self,
            Self::CreateTeam | Self::UpdateTeam | Self::AddMember | Self::UpdateMember
        )
    }

    /// Returns whether the endpoint accepts an `Idempotency-Key` (it creates a resource).
    #[must_use]
    pub fn creates(self) -> bool {
        matches!(self, Self::CreateTeam | Self::AddMember)
    }

    /// Returns whether a contract has the endpoint.
    #[must_use]
    pub fn is_in(self, contract: Contract) -> bool {
        contract == Contract::Itsm || self != Self::GetWorkload
    }
}

/// An endpoint with its parsed path parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are descriptions")]
pub enum Route {
    ListTeams,
    CreateTeam,
    GetTeam(TeamId),
    UpdateTeam(TeamId),
    DeleteTeam(TeamId),
    ListMembers(TeamId),
    AddMember(TeamId),
    UpdateMember(TeamId, UserId),
    RemoveMember(TeamId, UserId),
    GetWorkload(TeamId),
    ListAssignments(TeamId),
    FindAssignments,
    GetAssignment(TicketId),
}

/// The endpoint of a path, with the text of each path parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteMatch<'p> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The route's path with the names of its parameters. It is safe to log: a client that confuses
    /// a key with an id would put the key into the path itself.
    pub pattern: &'static str,
    parameters: Vec<&'p str>,
}

/// Finds the endpoint of a method and a path among the routes of a contract, or of both contracts
/// if the contract is unknown.
///
/// # Errors
/// [`ApiError::RouteNotFound`], [`ApiError::MethodNotAllowed`].
pub fn find<'p>(
    method: &str,
    path: &'p str,
    contract: Option<Contract>,
) -> Result<RouteMatch<'p>, ApiError> {
    let mut allowed = Vec::new();
    for (route_method, pattern, endpoint) in ROUTES {
        if contract.is_some_and(|contract| !endpoint.is_in(contract)) {
            continue;
        }
        let Some(parameters) = parameters(pattern, path) else {
            continue;
        };
        if route_method == method {
            return Ok(RouteMatch {
                endpoint,
                pattern,
                parameters,
            });
        }
        allowed.push(route_method);
    }
    // Another function has the public routes. The gateway sends only their other methods here.
    let open = PUBLIC_ROUTES.iter().filter(|(open_method, pattern, _)| {
        *open_method != method && parameters(pattern, path).is_some()
    });
    allowed.extend(open.map(|(method, ..)| *method));
    Err(if allowed.is_empty() {
        ApiError::RouteNotFound
    } else {
        ApiError::MethodNotAllowed(allowed)
    })
}

/// The public endpoint of a path, with the text of its path parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicMatch<'p> {
    /// The endpoint.
    pub endpoint: PublicEndpoint,
    /// The route's path with the name of its parameter.
    pub pattern: &'static str,
    /// The path parameter, if the route has one.
    pub parameter: Option<&'p str>,
}

/// Finds the public endpoint of a method and a path.
///
/// # Errors
/// [`ApiError::RouteNotFound`]: all other routes belong to other functions.
pub fn find_public<'p>(method: &str, path: &'p str) -> Result<PublicMatch<'p>, ApiError> {
    PUBLIC_ROUTES
        .into_iter()
        .filter(|(open_method, ..)| *open_method == method)
        .find_map(|(_, pattern, endpoint)| {
            Some(PublicMatch {
                endpoint,
                pattern,
                parameter: parameters(pattern, path)?.first().copied(),
            })
        })
        .ok_or(ApiError::RouteNotFound)
}

/// Returns the parameters of a path that matches a pattern, segment by segment. A parameter is
/// never empty.
fn parameters<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') && !segment.is_empty() {
            parameters.push(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(parameters)
}

impl RouteMatch<'_> {
    /// Parses the path's ids.
    ///
    /// # Errors
    /// A malformed id names no object: [`Error::TeamNotFound`], [`Error::MemberNotFound`],
    /// [`Error::TicketNotFound`]. An id of the other kind is [`ApiError::WrongIdKind`].
    pub fn route(&self) -> Result<Route, ApiError> {
        let [first, second] = [0, 1].map(|at| self.parameters.get(at).copied().unwrap_or_default());
        let team = || TeamId::parse(first).map_err(|_| wrong_team_id(first, second));
        let user = || UserId::parse(second).map_err(|_| wrong_user_id(second));
        let ticket = || TicketId::parse(first).map_err(|_| ApiError::Domain(Error::TicketNotFound));
        Ok(match self.endpoint {
            Endpoint::ListTeams => Route::ListTeams,
            Endpoint::CreateTeam => Route::CreateTeam,
            Endpoint::GetTeam => Route::GetTeam(team()?),
            Endpoint::UpdateTeam => Route::UpdateTeam(team()?),
            Endpoint::DeleteTeam => Route::DeleteTeam(team()?),
            Endpoint::ListMembers => Route::ListMembers(team()?),
            Endpoint::AddMember => Route::AddMember(team()?),
            Endpoint::UpdateMember => Route::UpdateMember(team()?, user()?),
            Endpoint::RemoveMember => Route::RemoveMember(team()?, user()?),
            Endpoint::GetWorkload => Route::GetWorkload(team()?),
            Endpoint::ListAssignments => Route::ListAssignments(team()?),
            Endpoint::FindAssignments => Route::FindAssignments,
            Endpoint::GetAssignment => Route::GetAssignment(ticket()?),
        })
    }
}

/// Returns the error of a text that is not a team's id. `second` is the path's next id, if any.
fn wrong_team_id(id: &str, second: &str) -> ApiError {
    match (
        UserId::parse(id),
        UserId::parse(second),
        TeamId::parse(second),
    ) {
        (Err(_), ..) => Error::TeamNotFound.into(),
        (Ok(_), Err(_), Ok(_)) => ApiError::WrongIdKind(WrongIdKind::Swapped),
        (Ok(_), ..) => ApiError::WrongIdKind(WrongIdKind::UserAsTeam),
    }
}

/// Returns the error of a text that is not a user's id.
fn wrong_user_id(id: &str) -> ApiError {
    match TeamId::parse(id) {
        Ok(_) => ApiError::WrongIdKind(WrongIdKind::TeamAsUser),
        Err(_) => Error::MemberNotFound.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn every_route_is_found_by_its_own_method_and_path() {
        for (method, pattern, endpoint) in ROUTES {
            let path = pattern
                .replace("{team_id}", ID)
                .replace("{user_id}", ID)
                .replace("{ticket_id}", "TKT-1");
            assert_eq!(
                find(method, &path, Some(Contract::Itsm)).unwrap().endpoint,
                endpoint
            );
            assert_eq!(endpoint.creates(), method == "POST");
        }
    }

    #[test]
    fn unknown_path_is_not_found() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/teams/",
            "//v1/teams",
            "/v1/Teams",
            &format!("/v1/teams/{ID}/"),
            "/v1/teams//members",
        ] {
            assert_eq!(
                find("GET", path, None),
                Err(ApiError::RouteNotFound),
                "{path}"
            );
        }
    }

    #[test]
    fn other_method_gets_the_allowed_methods() {
        let allowed = |path: &str| find("PUT", path, None).unwrap_err();
        assert_eq!(
            allowed("/v1/teams"),
            ApiError::MethodNotAllowed(vec!["GET", "POST"])
        );
        assert_eq!(
            allowed("/v1/teams/x"),
            ApiError::MethodNotAllowed(vec!["GET", "PATCH", "DELETE"])
        );
        assert_eq!(
            find("HEAD", "/v1/teams", None),
            Err(ApiError::MethodNotAllowed(vec!["GET", "POST"]))
        );
    }

    #[test]
    fn public_route_is_found_by_its_function_only() {
        for (method, pattern, endpoint) in PUBLIC_ROUTES {
            let path = &pattern.replace("{name}", "x.json");
            let expected = PublicMatch {
                endpoint,
                pattern,
                parameter: (path != pattern).then_some("x.json"),
            };
            assert_eq!(find_public(method, path), Ok(expected));
            for contract in [None, Some(Contract::Toptickets), Some(Contract::Itsm)] {
                assert_eq!(
                    find("HEAD", path, contract),
                    Err(ApiError::MethodNotAllowed(vec![method]))
                );
                assert_eq!(
                    find(method, path, contract),
                    Err(ApiError::RouteNotFound),
                    "{path} belongs to another function"
                );
            }
            assert_eq!(
                find_public(method, &format!("{path}/")),
                Err(ApiError::RouteNotFound)
            );
        }
        assert_eq!(
            find_public("GET", "/v1/teams"),
            Err(ApiError::RouteNotFound)
        );
    }

    #[test]
    fn toptickets_has_no_workload() {
        let path = format!("/v1/teams/{ID}/workload");
        assert_eq!(
            find("GET", &path, Some(Contract::Toptickets)),
            Err(ApiError::RouteNotFound)
        );
        assert_eq!(
            find("PUT", &path, Some(Contract::Toptickets)),
            Err(ApiError::RouteNotFound)
        );
        assert!(find("GET", &path, None).is_ok());
    }

    #[test]
    fn path_ids_are_parsed_or_not_found() {
        let route = |path: &str| find("GET", path, None).unwrap().route();
        let id = TeamId::parse(ID).unwrap();
        assert_eq!(
            route(&format!("/v1/teams/team_{ID}")),
            Ok(Route::GetTeam(id))
        );
        // The gateway has decoded the path once.
        for malformed in ["x", "%", "%ff", &format!("team%5F{ID}")] {
            assert_eq!(
                route(&format!("/v1/teams/{malformed}")),
                Err(Error::TeamNotFound.into()),
                "{malformed}"
            );
        }
        let path = format!("/v1/teams/{ID}/members/x");
        assert_eq!(
            find("DELETE", &path, None).unwrap().route(),
            Err(Error::MemberNotFound.into())
        );

        assert_eq!(
            route("/v1/assignments/TKT:2024.1_a-b"),
            Ok(Route::GetAssignment(
                TicketId::parse("TKT:2024.1_a-b").unwrap()
            ))
        );
        for malformed in ["a b", "#", "\u{e9}", &*"x".repeat(129)] {
            assert_eq!(
                route(&format!("/v1/assignments/{malformed}")),
                Err(Error::TicketNotFound.into()),
                "{malformed}"
            );
        }
    }

    #[test]
    fn path_id_of_the_other_kind_is_named() {
        let (team, user) = (format!("team_{ID}"), format!("USR_{ID}"));
        for (team, user, expected) in [
            (&*user, ID, WrongIdKind::UserAsTeam),
            (&*user, "x", WrongIdKind::UserAsTeam),
            (&*user, &*user, WrongIdKind::UserAsTeam),
            (&*user, &*team, WrongIdKind::Swapped),
            (&*team, &*team, WrongIdKind::TeamAsUser),
            (ID, &*team, WrongIdKind::TeamAsUser),
        ] {
            let path = format!("/v1/teams/{team}/members/{user}");
            let route = find("DELETE", &path, None).unwrap().route();
            assert_eq!(route, Err(ApiError::WrongIdKind(expected)), "{path}");
        }
        for path in [
            format!("/v1/teams/{user}"),
            format!("/v1/teams/{user}/workload"),
        ] {
            let route = find("GET", &path, None).unwrap().route();
            let expected = ApiError::WrongIdKind(WrongIdKind::UserAsTeam);
            assert_eq!(route, Err(expected), "{path}");
        }
    }
}

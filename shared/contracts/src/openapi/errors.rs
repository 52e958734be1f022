//! What can be answered instead of a success, endpoint by endpoint, as the contracts render it.

use std::collections::BTreeMap;

use super::{
    document::{Example, Map, MediaType, RefOr, Response, raw, reference},
    headers, parameters,
};
use crate::{
    error::{ApiError, ErrorContext},
    itsm::{self, Audience},
    request::{self, FieldRule, InvalidRequest, Location, Violation},
    route::{Endpoint, ROUTES},
    toptickets,
};
use muster_domain::{Contract, Error, Timestamp, UserField};

/// One way for a request to fail.
struct Case {
    /// What its example is called.
    name: &'static str,
    /// When it happens.
    when: &'static str,
    error: ApiError,
}

/// What is answered in the same words whatever was asked for, and stands among the components.
const SHARED: [(&str, u16); 5] = [
    ("Unauthorized", 401),
    ("PayloadTooLarge", 413),
    ("RateLimited", 429),
    ("InternalError", 500),
    ("Unavailable", 503),
];

/// The errors that an endpoint can answer with, in the order in which they are checked.
fn of(endpoint: Endpoint, contract: Contract) -> Vec<ApiError> {
    let mut errors = Vec::new();
    // An id with a `/` or a `?`, however it is encoded, is the path of something else.
    if !matches!(endpoint, Endpoint::ListTeams | Endpoint::CreateTeam) {
        errors.extend([
            ApiError::RouteNotFound,
            ApiError::MethodNotAllowed(vec!["GET", "POST"]),
        ]);
    }
    if endpoint.reads_body() {
        errors.push(ApiError::BodyTooLarge);
    }
    errors.extend([
        ApiError::Unauthorized,
        ApiError::AddressNotAllowed,
        ApiError::RateLimited { retry_after: 17 },
        ApiError::MissingScope(endpoint.scope()),
    ]);
    errors.extend(
        domain_errors(endpoint, contract)
            .into_iter()
            .map(ApiError::Domain),
    );
    errors.extend([ApiError::Internal, ApiError::Unavailable]);
    errors
}

/// The rules of the domain that a request can break.
fn domain_errors(endpoint: Endpoint, contract: Contract) -> Vec<Error> {
    let mut domain_errors = match endpoint {
        Endpoint::ListTeams => vec![],
        Endpoint::CreateTeam => vec![Error::IdempotencyKeyReused, Error::NameTaken],
        Endpoint::GetTeam
        | Endpoint::ListMembers
        | Endpoint::GetWorkload
        | Endpoint::ListAssignments => {
            vec![Error::TeamNotFound]
        }
        Endpoint::UpdateTeam => vec![
            Error::TeamNotFound,
            Error::VersionMismatch,
            Error::NameTaken,
        ],
        Endpoint::DeleteTeam => vec![Error::TeamNotFound, Error::VersionMismatch],
        Endpoint::AddMember => vec![
            Error::IdempotencyKeyReused,
            Error::TeamNotFound,
            Error::UserNotFound(UserField::UserId),
            Error::AlreadyMember,
            Error::UserInactive(UserField::UserId),
            Error::TeamFull,
        ],
        Endpoint::UpdateMember => {
            vec![
                Error::TeamNotFound,
                Error::MemberNotFound,
                Error::UserInactive(UserField::UserId),
            ]
        }
        Endpoint::RemoveMember => vec![Error::TeamNotFound, Error::MemberNotFound],
        Endpoint::GetAssignment => vec![Error::TicketNotFound],
    };
    if contract == Contract::Itsm {
        domain_errors.extend(match endpoint {
            Endpoint::CreateTeam | Endpoint::UpdateTeam => {
                vec![
                    Error::UserNotFound(UserField::LeadId),
                    Error::UserInactive(UserField::LeadId),
                ]
            }
            Endpoint::DeleteTeam => vec![Error::OpenTickets(23)],
            Endpoint::RemoveMember => vec![Error::LeadRemoval],
            _ => vec![],
        });
    }
    domain_errors.sort();
    domain_errors
}

/// The rules of form that a request can break: what the parsers themselves say of requests that do.
fn invalid_requests(endpoint: Endpoint, contract: Contract) -> Vec<Case> {
    let bodies: &[(&str, &str, &str)] = match endpoint {
        Endpoint::CreateTeam => &[
            ("malformed", "The body is not a JSON object.", "{"),
            ("missing", "A required field is not there.", "{}"),
            (
                "wrong_type",
                "A field is of the wrong type.",
                r#"{"name": 7, "description": 7}"#,
            ),
            (
                "out_of_bounds",
                "A field is out of its bounds.",
                r#"{"name": " "}"#,
            ),
        ],
        Endpoint::UpdateTeam => &[
            ("malformed", "The body is not a JSON object.", "[]"),
            (
                "null",
                "A field that always has a value is `null`.",
                r#"{"name": null}"#,
            ),
            (
                "out_of_bounds",
                "A field is out of its bounds.",
                r#"{"name": ""}"#,
            ),
        ],
        Endpoint::AddMember => &[
            ("malformed", "The body is not a JSON object.", ""),
            ("missing", "A required field is not there.", "{}"),
            (
                "not_a_uuid",
                "The user's id is none.",
                r#"{"user_id": "alice"}"#,
            ),
        ],
        Endpoint::UpdateMember => &[
            ("malformed", "The body is not a JSON object.", "null"),
            (
                "unknown_word",
                "A field has none of its words.",
                r#"{"role": "boss"}"#,
            ),
            (
                "out_of_bounds",
                "A field is out of its bounds.",
                r#"{"skills": [""]}"#,
            ),
        ],
        Endpoint::ListTeams
        | Endpoint::GetTeam
        | Endpoint::DeleteTeam
        | Endpoint::ListMembers
        | Endpoint::RemoveMember
        | Endpoint::GetWorkload
        | Endpoint::ListAssignments
        | Endpoint::GetAssignment => &[],
    };
    let queries: &[(&str, &str, &str)] = match endpoint {
        Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments => &[
            (
                "not_a_number",
                "A parameter that is a number is none.",
                "limit=ten",
            ),
            (
                "out_of_bounds",
                "A parameter is out of its bounds.",
                "limit=0",
            ),
        ],
        _ => &[],
    };
    let of_body = |(name, when, body): &(&'static str, &'static str, &str)| {
        let body = body.as_bytes();
        let invalid = match endpoint {
            Endpoint::CreateTeam => crate::create_team(contract, body).err(),
            Endpoint::UpdateTeam => crate::update_team(contract, body).err(),
            Endpoint::AddMember => crate::add_member(contract, body).err(),
            _ => crate::update_member(body).err(),
        };
        (*name, *when, invalid)
    };
    let of_query = |(name, when, query): &(&'static str, &'static str, &str)| {
        let invalid = match endpoint {
            Endpoint::ListTeams => crate::list_teams(contract, query).err(),
            _ => crate::page(contract, query).err(),
        };
        (*name, *when, invalid)
    };
    let key = endpoint.creates().then(|| {
        (
            "malformed_key",
            "The `Idempotency-Key` is malformed.",
            request::idempotency_key("a key").err(),
        )
    });
    bodies
        .iter()
        .map(of_body)
        .chain(queries.iter().map(of_query))
        .chain(key)
        .chain(page_too_large(endpoint))
        .filter_map(|(name, when, invalid)| {
            Some(Case {
                name,
                when,
                error: invalid?.into(),
            })
        })
        .collect()
}

/// The refusal of a page that a response cannot carry.
fn page_too_large(
    endpoint: Endpoint,
) -> Option<(&'static str, &'static str, Option<InvalidRequest>)> {
    let is_list = matches!(
        endpoint,
        Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments
    );
    let when = "The page would exceed 6 MB. The message names the largest `limit` that fits.";
    let rule = FieldRule::PageTooLarge(87);
    let violation = Violation {
        location: Location::Query,
        field: "limit",
        rule,
    };
    is_list.then(|| {
        (
            "page_too_large",
            when,
            Some(InvalidRequest::Violations(vec![violation])),
        )
    })
}

impl Case {
    fn of(error: ApiError) -> Self {
        let (name, when) = match &error {
            ApiError::RouteNotFound => ("no_such_route", "There is no such path."),
            ApiError::MethodNotAllowed(_) => ("method_not_allowed", "The path has other methods."),
            ApiError::BodyTooLarge => ("body_too_large", "The body has more than 256 KiB."),
            ApiError::Unauthorized => (
                "unauthorized",
                "There is no credential, or it is unknown, malformed, expired or revoked.",
            ),
            ApiError::AddressNotAllowed => (
                "address_not_allowed",
                "The credential may not be used from the address that the request came from.",
            ),
            ApiError::RateLimited { .. } => ("rate_limited", "Too many requests in this minute."),
            ApiError::MissingScope(_) => ("missing_scope", "The credential lacks the scope."),
            ApiError::Invalid(_) => ("invalid", "The request breaks a rule of form."),
            ApiError::Domain(error) => match error {
                Error::IdempotencyKeyReused => (
                    "idempotency_key_reused",
                    "The `Idempotency-Key` was used before, with another request.",
                ),
                Error::TeamNotFound => ("team_not_found", "The organization has no such team."),
                Error::TicketNotFound => (
                    "ticket_not_found",
                    "The organization has no such ticket, or it was deleted.",
                ),
                Error::VersionMismatch => (
                    "version_mismatch",
                    "`If-Match` does not list the team's present `ETag`.",
                ),
                Error::UserNotFound(UserField::UserId) => {
                    ("user_not_found", "The organization has no such user.")
                }
                Error::UserNotFound(UserField::LeadId) => (
                    "lead_not_found",
                    "The organization has no such user as the one to lead the team.",
                ),
                Error::MemberNotFound => ("member_not_found", "The team has no such member."),
                Error::AlreadyMember => (
                    "already_member",
                    "The user is a member of the team already.",
                ),
                Error::UserInactive(UserField::UserId) => {
                    ("user_inactive", "The user is not active.")
                }
                Error::UserInactive(UserField::LeadId) => {
                    ("lead_inactive", "The user to lead the team is not active.")
                }
                Error::TeamFull => (
                    "team_full",
                    "The team has as many members as a team may have.",
                ),
                Error::LeadRemoval => (
                    "lead_removal",
                    "The member leads the team: designate a new lead first.",
                ),
                Error::OpenTickets(_) => (
                    "open_tickets",
                    "The team still holds open tickets: reassign them first.",
                ),
                Error::NameTaken => (
                    "name_taken",
                    "Another team has this name, compared as names are.",
                ),
            },
            ApiError::Unavailable => (
                "unavailable",
                "The store is throttling or out of reach. Nothing is lost; ask again.",
            ),
            ApiError::Internal => ("internal_error", "Our fault. Tell us the request's id."),
        };
        Self { name, when, error }
    }

    /// The status and the body, for a request of this path.
    fn rendered(&self, contract: Contract, path: &str) -> (u16, String) {
        /// When the documents' examples happen.
        const AT: Timestamp = Timestamp::from_secs(1_708_790_400);
        match contract {
            Contract::Toptickets => toptickets::error_response(&self.error),
            Contract::Itsm => {
                let elsewhere = format!("{path}/");
                let path = if self.error == ApiError::RouteNotFound {
                    &elsewhere
                } else {
                    path
                };
                let context = ErrorContext {
                    request_id: parameters::REQUEST_ID,
                    at: AT,
                    path,
                };
                itsm::error_response(&self.error, context, Audience::Itsm)
            }
        }
    }
}

/// The answers to an endpoint's requests that fail, by status.
pub(super) fn responses(
    endpoint: Endpoint,
    contract: Contract,
    path: &str,
) -> BTreeMap<u16, RefOr<Response>> {
    let cases = invalid_requests(endpoint, contract)
        .into_iter()
        .chain(of(endpoint, contract).into_iter().map(Case::of));
    by_status(cases, contract, path)
        .into_iter()
        .map(|(status, response)| {
            let shared = SHARED.into_iter().find(|(_, of)| *of == status);
            let to = shared.map(|(name, _)| format!("#/components/responses/{name}"));
            (
                status,
                to.map_or(RefOr::Is(response), |to| RefOr::Ref { to }),
            )
        })
        .collect()
}

/// The answers that stand among the components.
pub(super) fn components(contract: Contract) -> Map<Response> {
    let cases = of(Endpoint::UpdateTeam, contract).into_iter().map(Case::of);
    let mut responses = by_status(cases, contract, "/v1/teams");
    SHARED
        .into_iter()
        .filter_map(|(name, status)| Some((name, responses.remove(&status)?)))
        .collect()
}

fn by_status(
    cases: impl Iterator<Item = Case>,
    contract: Contract,
    path: &str,
) -> BTreeMap<u16, Response> {
    let mut by_status: BTreeMap<u16, Vec<(Case, String)>> = BTreeMap::new();
    for case in cases {
        let (status, body) = case.rendered(contract, path);
        by_status.entry(status).or_default().push((case, body));
    }
    by_status
        .into_iter()
        .map(|(status, cases)| (status, response(status, cases)))
        .collect()
}

fn response(status: u16, cases: Vec<(Case, String)>) -> Response {
    let mut description = String::new();
    for (case, _) in &cases {
        if !description.contains(case.when) {
            let space = if description.is_empty() { "" } else { " " };
            description += space;
            description += case.when;
        }
    }
    let examples = cases.into_iter().map(|(Case { name, when, .. }, body)| {
        (
            name,
            Example {
                summary: Some(when),
                value: raw(&body),
            },
        )
    });
    let content = MediaType {
        schema: reference("Error"),
        examples: examples.collect(),
    };
    Response {
        description,
        headers: headers::of(status, false),
        content: [("application/json", content)].into_iter().collect(),
    }
}

/// Every error of every endpoint.
fn all() -> impl Iterator<Item = ApiError> {
    let of_endpoints = |(_, _, endpoint)| {
        Contract::ALL
            .into_iter()
            .flat_map(move |contract| of(endpoint, contract))
    };
    ROUTES
        .into_iter()
        .flat_map(of_endpoints)
        .chain([ApiError::Invalid(InvalidRequest::Malformed)])
}

/// Every rule of form.
const RULES: [FieldRule; 19] = [
    FieldRule::Missing,
    FieldRule::Null,
    FieldRule::NotString,
    FieldRule::NotStrings,
    FieldRule::NotInteger,
    FieldRule::NotList,
    FieldRule::NotUuid,
    FieldRule::NotOneOf(&[]),
    FieldRule::Unsupported,
    FieldRule::Empty,
    FieldRule::TooLong(0),
    FieldRule::Control,
    FieldRule::ControlInLines,
    FieldRule::TooSmall(0),
    FieldRule::TooLarge(0),
    FieldRule::PageTooLarge(0),
    FieldRule::TooManyItems(0),
    FieldRule::TooManyBytes(0),
    FieldRule::NotVisible,
];

fn distinct(words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut distinct = Vec::new();
    for word in words {
        if !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    distinct
}

/// The codes of ITSM errors, in the order of their statuses.
pub(super) fn codes() -> Vec<&'static str> {
    let mut codes: Vec<_> = all().map(|error| itsm::status_and_code(&error)).collect();
    codes.sort_unstable();
    distinct(codes.into_iter().map(|(_, code)| code))
}

/// The names that ITSM errors have for rules of form.
pub(super) fn constraints() -> Vec<&'static str> {
    distinct(RULES.into_iter().map(itsm::constraint))
}

/// The names that `TopTickets` errors have for rules of form.
pub(super) fn violation_types() -> Vec<&'static str> {
    let of_bodies = RULES
        .into_iter()
        .map(|rule| toptickets::status_and_type(Location::Body, rule).1);
    distinct(of_bodies.chain([toptickets::MALFORMED]))
}

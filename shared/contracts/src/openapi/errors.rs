//! The error responses of each endpoint, as the contracts render them.

use std::collections::BTreeMap;

use super::{
    case_names::{domain_case, unauthorized_case, wrong_id_case},
    document::{Example, Map, MediaType, RefOr, Response, raw, reference},
    headers, parameters,
};
use crate::{
    error::{ApiError, ErrorContext, UnauthorizedReason, WrongIdKind},
    itsm::{self, Audience},
    request::{self, FieldRule, InvalidRequest, Location, OnUnknownField, Violation},
    route::{Endpoint, ROUTES},
    toptickets,
};
use muster_domain::{Contract, Error, OrganizationId, Timestamp, UserField};

/// A case in which a request fails.
struct Case {
    /// The name of its example.
    name: &'static str,
    /// The condition, in words.
    when: &'static str,
    error: ApiError,
}

/// The error responses that are equal for all endpoints. They are among the components.
const SHARED: [(&str, u16); 5] = [
    ("Unauthorized", 401),
    ("PayloadTooLarge", 413),
    ("RateLimited", 429),
    ("InternalError", 500),
    ("Unavailable", 503),
];

/// Returns the errors of an endpoint in the order of their checks.
fn of(endpoint: Endpoint, contract: Contract) -> Vec<ApiError> {
    let mut errors = Vec::new();
    // The gateway decodes the path, so an id with an encoded `/` or `?` becomes another path.
    if !matches!(
        endpoint,
        Endpoint::ListTeams | Endpoint::CreateTeam | Endpoint::FindAssignments
    ) {
        errors.extend([
            ApiError::RouteNotFound,
            ApiError::MethodNotAllowed(vec!["GET", "POST"]),
        ]);
    }
    if endpoint.reads_body() {
        errors.push(ApiError::BodyTooLarge);
    }
    errors.extend(unauthorized(contract).map(ApiError::Unauthorized));
    errors.extend([
        ApiError::AddressNotAllowed,
        ApiError::RateLimited { retry_after: 17 },
        ApiError::MissingScope(endpoint.scope()),
    ]);
    errors.extend(wrong_ids(endpoint, contract).map(ApiError::WrongIdKind));
    errors.extend(
        domain_errors(endpoint, contract)
            .into_iter()
            .map(ApiError::Domain),
    );
    errors.extend([ApiError::Internal, ApiError::Unavailable]);
    errors
}

/// Returns the reasons of a 401 with different bodies.
fn unauthorized(contract: Contract) -> impl Iterator<Item = UnauthorizedReason> {
    let distinct = match contract {
        Contract::Toptickets => 1,
        Contract::Itsm => UnauthorizedReason::ALL.len(),
    };
    UnauthorizedReason::ALL.into_iter().take(distinct)
}

/// Returns the mistakes in the path's ids with a body of their own.
fn wrong_ids(endpoint: Endpoint, contract: Contract) -> impl Iterator<Item = WrongIdKind> {
    let is_distinct = contract == Contract::Itsm;
    let has_team = !matches!(
        endpoint,
        Endpoint::ListTeams
            | Endpoint::CreateTeam
            | Endpoint::FindAssignments
            | Endpoint::GetAssignment
    );
    let has_user = matches!(endpoint, Endpoint::UpdateMember | Endpoint::RemoveMember);
    [
        (has_team, WrongIdKind::UserAsTeam),
        (has_user, WrongIdKind::TeamAsUser),
        (has_user, WrongIdKind::Swapped),
    ]
    .into_iter()
    .filter_map(move |(has_place, kind)| (is_distinct && has_place).then_some(kind))
}

/// Returns the domain rules that a request can break.
fn domain_errors(endpoint: Endpoint, contract: Contract) -> Vec<Error> {
    let mut domain_errors = match endpoint {
        Endpoint::ListTeams | Endpoint::FindAssignments => vec![],
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

/// The name of an example, its condition, and the body or query of the request.
type InvalidExample = (&'static str, &'static str, &'static str);

fn invalid_bodies(endpoint: Endpoint) -> &'static [InvalidExample] {
    match endpoint {
        Endpoint::CreateTeam => &[
            ("malformed", "The body is not a JSON object.", "{"),
            ("missing", "A required field is missing.", "{}"),
            (
                "wrong_type",
                "A field has the wrong type.",
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
            ("missing", "A required field is missing.", "{}"),
            (
                "not_a_uuid",
                "The id of the user is not a UUID.",
                r#"{"user_id": "alice"}"#,
            ),
        ],
        Endpoint::UpdateMember => &[
            ("malformed", "The body is not a JSON object.", "null"),
            (
                "unknown_word",
                "A field has an unknown value.",
                r#"{"role": "boss"}"#,
            ),
            (
                "out_of_bounds",
                "A field is out of its bounds.",
                r#"{"skills": [""]}"#,
            ),
        ],
        _ => &[],
    }
}

fn invalid_queries(endpoint: Endpoint) -> &'static [InvalidExample] {
    match endpoint {
        Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments => &[
            (
                "not_a_number",
                "A parameter is not an integer.",
                "limit=ten",
            ),
            (
                "out_of_bounds",
                "A parameter is out of its bounds.",
                "limit=0",
            ),
        ],
        Endpoint::FindAssignments => &[
            (
                "missing",
                "A required parameter is missing.",
                "state=assigned",
            ),
            (
                "unsupported",
                "A parameter does not apply to the state.",
                "state=unrouted&team_id=550e8400-e29b-41d4-a716-446655440000",
            ),
            (
                "out_of_bounds",
                "A parameter is out of its bounds.",
                "state=unrouted&limit=0",
            ),
            (
                "invalid_cursor",
                "The cursor is malformed, or belongs to another list.",
                "state=unrouted&cursor=abc",
            ),
        ],
        _ => &[],
    }
}

/// Returns the cases in which a request breaks a format rule. The parsers of the endpoint make the
/// errors from invalid examples.
fn invalid_requests(endpoint: Endpoint, contract: Contract) -> Vec<Case> {
    let of_body = |(name, when, body): &InvalidExample| {
        let body = body.as_bytes();
        (*name, *when, body_error(endpoint, contract, body))
    };
    let of_query = |(name, when, query): &InvalidExample| {
        let invalid = match endpoint {
            Endpoint::ListTeams => crate::list_teams(contract, query).err(),
            Endpoint::FindAssignments => {
                let organization = OrganizationId::parse("acme").expect("a valid id");
                crate::find_tickets(contract, &organization, query).err()
            }
            _ => crate::page(contract, query).err(),
        };
        (*name, *when, invalid)
    };
    let unknown = endpoint.reads_body().then(|| {
        let body = match endpoint {
            Endpoint::CreateTeam => r#"{"name": "Network", "queue": "fifo"}"#,
            Endpoint::AddMember => {
                r#"{"user_id": "123e4567-e89b-12d3-a456-426614174000", "queue": "fifo"}"#
            }
            _ => r#"{"queue": "fifo"}"#,
        };
        (
            "unknown_field",
            "With `strict=true`, the body has a field that the operation does not have.",
            body_error(endpoint, contract, body.as_bytes()),
        )
    });
    let strict = endpoint.reads_body().then(|| {
        (
            "invalid_strict",
            "`strict` is neither `true` nor `false`.",
            request::on_unknown_field("strict=yes").err(),
        )
    });
    let key = endpoint.creates().then(|| {
        (
            "malformed_key",
            "The `Idempotency-Key` is malformed.",
            request::idempotency_key("a key").err(),
        )
    });
    invalid_bodies(endpoint)
        .iter()
        .map(of_body)
        .chain(invalid_queries(endpoint).iter().map(of_query))
        .chain(unknown)
        .chain(strict)
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

/// Returns the error of a body, with unknown fields rejected.
fn body_error(endpoint: Endpoint, contract: Contract, body: &[u8]) -> Option<InvalidRequest> {
    let reject = OnUnknownField::Reject;
    match endpoint {
        Endpoint::CreateTeam => crate::create_team(contract, body, reject).err(),
        Endpoint::UpdateTeam => crate::update_team(contract, body, reject).err(),
        Endpoint::AddMember => crate::add_member(contract, body, reject).err(),
        _ => crate::update_member(contract, body, reject).err(),
    }
}

/// Returns the error of a page that a response cannot carry.
fn page_too_large(
    endpoint: Endpoint,
) -> Option<(&'static str, &'static str, Option<InvalidRequest>)> {
    let is_list = matches!(
        endpoint,
        Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments
    );
    let when = "The page would exceed 6 MB. The message has the largest `limit` that fits.";
    let rule = FieldRule::PageTooLarge(87);
    let violation = Violation {
        location: Location::Query,
        field: Some("limit".into()),
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
    fn of(error: ApiError, contract: Contract) -> Self {
        let (name, when) = match &error {
            ApiError::RouteNotFound => ("no_such_route", "The path does not exist."),
            ApiError::MethodNotAllowed(_) => ("method_not_allowed", "The path has other methods."),
            ApiError::BodyTooLarge => ("body_too_large", "The body has more than 256 KiB."),
            ApiError::Unauthorized(reason) => unauthorized_case(*reason, contract),
            ApiError::WrongIdKind(kind) => wrong_id_case(*kind),
            ApiError::AddressNotAllowed => (
                "address_not_allowed",
                "The credential is not valid for the address of the client.",
            ),
            ApiError::RateLimited { .. } => ("rate_limited", "Too many requests in this minute."),
            ApiError::MissingScope(_) => {
                ("missing_scope", "The credential does not have the scope.")
            }
            ApiError::Invalid(_) => ("invalid", "The request breaks a format rule."),
            ApiError::Domain(error) => domain_case(error),
            ApiError::Unavailable => (
                "unavailable",
                "The database is throttled or unreachable. Retry the request.",
            ),
            ApiError::Internal => (
                "internal_error",
                "The service failed. Contact support with the id of the request.",
            ),
        };
        Self { name, when, error }
    }

    /// Returns the status and the body for a request of a path.
    fn rendered(&self, contract: Contract, path: &str) -> (u16, String) {
        /// The time of the errors in examples.
        const AT: Timestamp = Timestamp::from_secs(1_708_790_400);
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
            content_type: Some("application/json"),
        };
        match contract {
            Contract::Toptickets => toptickets::error_response(&self.error, context),
            Contract::Itsm => itsm::error_response(&self.error, context, Audience::Itsm),
        }
    }
}

fn cases_of(endpoint: Endpoint, contract: Contract) -> impl Iterator<Item = Case> {
    of(endpoint, contract)
        .into_iter()
        .map(move |error| Case::of(error, contract))
}

/// Returns the error responses of an endpoint by status.
pub(super) fn responses(
    endpoint: Endpoint,
    contract: Contract,
    path: &str,
) -> BTreeMap<u16, RefOr<Response>> {
    let cases = invalid_requests(endpoint, contract)
        .into_iter()
        .chain(cases_of(endpoint, contract));
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

/// Returns the error responses among the components.
pub(super) fn components(contract: Contract) -> Map<Response> {
    let mut responses = by_status(
        cases_of(Endpoint::UpdateTeam, contract),
        contract,
        "/v1/teams",
    );
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
    let has_help = cases.iter().any(|(case, _)| case.error.has_help());
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
        headers: headers::of_error(status, has_help),
        content: [("application/json", content)].into_iter().collect(),
    }
}

/// Returns all errors of all endpoints.
fn all() -> impl Iterator<Item = ApiError> {
    let of_endpoints = |(_, _, endpoint)| {
        Contract::ALL
            .into_iter()
            .flat_map(move |contract| of(endpoint, contract))
    };
    ROUTES
        .into_iter()
        .flat_map(of_endpoints)
        .chain([ApiError::Invalid(InvalidRequest::Violations(Vec::new()))])
}

/// All format rules.
const RULES: [FieldRule; 24] = [
    FieldRule::Missing,
    FieldRule::Null,
    FieldRule::NotString,
    FieldRule::NotStrings,
    FieldRule::NotInteger,
    FieldRule::NotList,
    FieldRule::NotUuid,
    FieldRule::IdOfTeam,
    FieldRule::NotOneOf(&[]),
    FieldRule::Unsupported,
    FieldRule::UnsupportedWithState,
    FieldRule::NotCursor,
    FieldRule::Unknown,
    FieldRule::UnknownFields(0),
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

/// Returns the codes of ITSM errors, in the order of their statuses.
pub(super) fn codes() -> Vec<&'static str> {
    let mut codes: Vec<_> = all().map(|error| itsm::status_and_code(&error)).collect();
    codes.sort_unstable();
    distinct(codes.into_iter().map(|(_, code)| code))
}

/// Returns the names of format rules in ITSM errors.
pub(super) fn constraints() -> Vec<&'static str> {
    distinct(RULES.into_iter().map(itsm::constraint))
}

/// Returns the names of format rules in `TopTickets` errors.
pub(super) fn violation_types() -> Vec<&'static str> {
    let of_bodies = RULES
        .into_iter()
        .map(|rule| toptickets::status_and_type(Location::Body, rule).1);
    distinct(of_bodies.chain([toptickets::MALFORMED]))
}

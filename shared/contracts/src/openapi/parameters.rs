//! The parameters of requests: in the path, the query and the headers.

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, Type};

use super::document::Parameter;
use crate::{cursor, find_tickets, route::Endpoint, schema::one_of};
use muster_domain::{Contract, FindTickets, IdempotencyKey, TeamId, UserId};

/// The id of the request in examples.
pub(super) const REQUEST_ID: &str = "req_JKJaXmPLvHcESHA=";

/// The `ETag` of a team in examples.
pub(super) const ETAG: &str = "\"7\"";

/// Returns the schema of a team's or a user's id in a request. It has the form of the contract;
/// requests accept both forms.
pub(super) fn id(contract: Contract, prefix: &str) -> Object {
    const UUID: &str =
        "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";
    let text = ObjectBuilder::new().schema_type(Type::String);
    match contract {
        Contract::Toptickets => text.format(Some(SchemaFormat::Custom("uuid".to_owned()))),
        Contract::Itsm => text.pattern(Some(format!("^({prefix})?{UUID}$"))),
    }
    .build()
}

/// Returns the parameters of an endpoint.
pub(super) fn of(endpoint: Endpoint, contract: Contract, pattern: &'static str) -> Vec<Parameter> {
    let mut parameters = in_path(endpoint, contract, pattern);
    parameters.extend(match endpoint {
        Endpoint::FindAssignments => of_found_tickets(contract),
        _ => in_query(endpoint, contract),
    });
    parameters.extend(endpoint.reads_body().then(strict));
    parameters.extend(in_headers(endpoint));
    parameters
}

/// Returns the value of a path parameter in examples.
///
/// The local stack's demo data has these ids. An operation that removes a team or a member has an
/// id of its own, so that the examples succeed in any order.
fn example(endpoint: Endpoint, contract: Contract, parameter: &str) -> &'static str {
    match (contract, parameter) {
        (Contract::Toptickets, "team_id") => match endpoint {
            Endpoint::DeleteTeam => "772a0622-041d-43f6-8938-668877662222",
            Endpoint::AddMember | Endpoint::RemoveMember => "661f9511-f30c-52e5-b827-557766551111",
            _ => "550e8400-e29b-41d4-a716-446655440000",
        },
        (Contract::Toptickets, "user_id") => match endpoint {
            Endpoint::UpdateMember => "234f5678-e90c-12d3-b456-526714174111",
            _ => "123e4567-e89b-12d3-a456-426614174000",
        },
        (Contract::Itsm, "team_id") => match endpoint {
            Endpoint::DeleteTeam => "team_c3d4e5f6-a7b8-9012-cdef-123456789012",
            Endpoint::RemoveMember => "team_b2c3d4e5-f6a7-8901-bcde-f12345678901",
            Endpoint::ListMembers | Endpoint::UpdateMember | Endpoint::ListAssignments => {
                "team_550e8400-e29b-41d4-a716-446655440000"
            }
            _ => "team_a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        },
        (Contract::Itsm, "user_id") => match endpoint {
            Endpoint::UpdateMember => "usr_234f5678-e90c-12d3-b456-526714174111",
            _ => "usr_d4e5f6a7-b890-1234-abcd-ef5678901234",
        },
        _ => "TKT-2024:001",
    }
}

/// Returns the names of the parameters in a path.
fn names(pattern: &'static str) -> impl Iterator<Item = &'static str> {
    pattern
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// Returns a path with example values of its parameters.
pub(super) fn example_path(
    endpoint: Endpoint,
    contract: Contract,
    pattern: &'static str,
) -> String {
    names(pattern).fold(pattern.to_owned(), |path, name| {
        path.replace(&format!("{{{name}}}"), example(endpoint, contract, name))
    })
}

fn in_path(endpoint: Endpoint, contract: Contract, pattern: &'static str) -> Vec<Parameter> {
    let parameter = |name| {
        let (description, schema) = match name {
            "team_id" => (
                "The team. Its UUID, or `team_` and its UUID.",
                id(contract, TeamId::PREFIX),
            ),
            "user_id" => (
                "The member. Their UUID, or `usr_` and their UUID.",
                id(contract, UserId::PREFIX),
            ),
            _ => ("The id of the ticket on its platform.", ticket_id()),
        };
        let schema = schema.into();
        Parameter {
            name,
            location: "path",
            description,
            required: true,
            schema,
            example: Some(example(endpoint, contract, name)),
        }
    };
    names(pattern).map(parameter).collect()
}

fn ticket_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_.:-]{1,128}$"))
        .build()
}

const LIMIT_OF_SKIPPED: &str = "The maximum number of items to return. A page of more than 6 MB is rejected; the error has the largest \
                                `limit` that fits.";
const LIMIT_OF_NUMBERED: &str = "The maximum number of items on a page. A page of more than 6 MB is rejected; the error has \
                                 the largest `limit` that fits.";

/// Returns the parameters of the list of tickets by state.
fn of_found_tickets(contract: Contract) -> Vec<Parameter> {
    let optional = |name, description, schema: Object| Parameter {
        name,
        location: "query",
        description,
        required: false,
        schema: schema.into(),
        example: None,
    };
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .default(Some(find_tickets::default_limit(contract).into()))
        .minimum(Some(1))
        .maximum(Some(FindTickets::MAX_LIMIT));
    let cursor = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_-]+$"))
        .max_length(Some(cursor::MAX_CHARS));
    vec![
        Parameter {
            required: true,
            example: Some("unrouted"),
            ..optional(
                "state",
                "The state of the tickets.",
                one_of(find_tickets::STATE_WORDS.iter().copied()).build(),
            )
        },
        optional(
            "team_id",
            "The team of the tickets. Required with `assigned`, optional with `waiting`, rejected with `unrouted`. A team \
             that does not exist has no tickets.",
            id(contract, TeamId::PREFIX),
        ),
        optional(
            "assignee_id",
            "The assignee of the tickets. Only with `assigned`. A page with this filter may have fewer tickets than `limit`, \
             or none, also if another page follows.",
            id(contract, UserId::PREFIX),
        ),
        optional(
            "priority",
            "The priority of the tickets. Only with `waiting` and `unrouted`.",
            one_of(find_tickets::PRIORITY_WORDS.iter().copied()).build(),
        ),
        optional(
            "limit",
            "The maximum number of tickets on a page.",
            limit.build(),
        ),
        optional(
            "cursor",
            "The cursor of the page, from the page before it. It is valid for the same organization, `state`, `team_id`, \
             `assignee_id` and `priority`.",
            cursor.build(),
        ),
    ]
}

fn strict() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .default(Some(false.into()));
    Parameter {
        name: "strict",
        location: "query",
        description: "If `true`, fields of the body that the operation does not have are rejected. Otherwise they have no \
                      effect, and the header `X-Ignored-Fields` names them. Read-only fields are always allowed.",
        required: false,
        schema: schema.into(),
        example: None,
    }
}

fn in_query(endpoint: Endpoint, contract: Contract) -> Vec<Parameter> {
    let parameter = |(name, description, schema): (_, _, ObjectBuilder)| {
        let schema = schema.into();
        Parameter {
            name,
            location: "query",
            description,
            required: false,
            schema,
            example: None,
        }
    };
    let integer = |default: u32, min: u32| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .default(Some(default.into()))
            .minimum(Some(min))
    };
    let mut parameters = match (endpoint, contract) {
        (
            Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments,
            Contract::Toptickets,
        ) => vec![
            (
                "skip",
                "The number of items to skip. `offset` is a synonym.",
                integer(0, 0),
            ),
            ("limit", LIMIT_OF_SKIPPED, integer(50, 1).maximum(Some(100))),
        ],
        (
            Endpoint::ListTeams | Endpoint::ListMembers | Endpoint::ListAssignments,
            Contract::Itsm,
        ) => vec![
            ("page", "The number of the page, from 1.", integer(1, 1)),
            (
                "limit",
                LIMIT_OF_NUMBERED,
                integer(20, 1).maximum(Some(1000)),
            ),
        ],
        _ => vec![],
    };
    if (endpoint, contract) == (Endpoint::ListTeams, Contract::Itsm) {
        let search = ObjectBuilder::new().schema_type(Type::String);
        parameters.insert(
            0,
            (
                "search",
                "A part of the name, compared like names. The empty text matches all teams.",
                search,
            ),
        );
        let by = one_of(["createdAt", "updatedAt", "name"]).default(Some("createdAt".into()));
        parameters.push(("sortBy", "The field to sort by.", by));
        let order = one_of(["asc", "desc"]).default(Some("desc".into()));
        parameters.push(("sortOrder", "The sort order.", order));
    }
    if endpoint == Endpoint::ListAssignments {
        let state = one_of(["assigned", "waiting"]);
        parameters.push((
            "state",
            "The state of the tickets to list. Without it, tickets of both states are listed.",
            state,
        ));
    }
    parameters.into_iter().map(parameter).collect()
}

fn in_headers(endpoint: Endpoint) -> Option<Parameter> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let (name, description, schema) = match endpoint {
        Endpoint::UpdateTeam | Endpoint::DeleteTeam => (
            "If-Match",
            "The `ETag` of the team as it was read, quotes included, such as `\"7\"`; a list of them, separated by commas; or \
             `*`. The request is carried out only if one of them is the team's present version.",
            text,
        ),
        endpoint if endpoint.creates() => (
            "Idempotency-Key",
            "A unique key that the client makes, such as a UUID. A retry with the same key within 24 hours is not carried \
             out again: it gets the first response.",
            text.pattern(Some(format!("^[!-~]{{1,{}}}$", IdempotencyKey::MAX_CHARS))),
        ),
        _ => return None,
    };
    let schema = schema.into();
    // No example: a documentation page that sends requests would send it too, and so reuse a key or
    // send an old version.
    Some(Parameter {
        name,
        location: "header",
        description,
        required: false,
        schema,
        example: None,
    })
}

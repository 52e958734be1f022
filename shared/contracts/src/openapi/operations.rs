//! The operations: the endpoints' names, descriptions, parameters, bodies and responses.

use utoipa::openapi::{
    RefOr as RefOrSchema,
    schema::{ArrayBuilder, Schema},
};

use super::{
    document::{Example, Map, MediaType, Operation, RefOr, RequestBody, Response, raw, reference},
    errors, headers, parameters, requests,
};
use crate::route::Endpoint;
use muster_domain::Contract;

/// Includes an example as JSON.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../../openapi/examples/", $name, ".json"))
    };
}

/// The description of the list of tickets by state, in both contracts.
macro_rules! find_description {
    () => {
        "The tickets of the organization in one state, each with its latest decision. `unrouted`: tickets without a team. \
         `waiting`: tickets with a team and without an assignee, of one team or of the organization. `assigned`: the \
         assigned tickets of a team, which `team_id` names. Unrouted and waiting tickets are ordered by priority, then age; \
         assigned tickets by decision, newest first. A ticket that has just left the state is left out, so a page may have \
         fewer tickets than `limit`."
    };
}

/// Describes an endpoint.
pub(super) fn operation(
    endpoint: Endpoint,
    contract: Contract,
    pattern: &'static str,
) -> Operation {
    let (operation_id, tag, summary) = names(endpoint);
    let scope = endpoint.scope().as_str();
    let schemes: &[&str] = match contract {
        Contract::Toptickets => &["apiKey"],
        Contract::Itsm => &["apiKey", "jwt"],
    };
    let (status, success) = success(endpoint, contract);
    let errors = errors::responses(
        endpoint,
        contract,
        &parameters::example_path(endpoint, contract, pattern),
    );
    let responses = [(status, RefOr::Is(success))].into_iter().chain(errors);
    Operation {
        operation_id,
        summary,
        description: format!(
            "{}\n\nRequires the scope `{scope}`.",
            description(endpoint, contract)
        ),
        tags: [tag],
        security: schemes
            .iter()
            .map(|scheme| [(*scheme, [scope])].into_iter().collect())
            .collect(),
        parameters: parameters::of(endpoint, contract, pattern),
        request_body: request_body(endpoint, contract),
        responses: responses
            .map(|(status, response)| (status.to_string(), response))
            .collect(),
    }
}

/// Returns the name of an endpoint in clients, its group, and its summary.
fn names(endpoint: Endpoint) -> (&'static str, &'static str, &'static str) {
    match endpoint {
        Endpoint::ListTeams => ("list_teams", "Teams", "List teams"),
        Endpoint::CreateTeam => ("create_team", "Teams", "Create a team"),
        Endpoint::GetTeam => ("get_team", "Teams", "Retrieve a team"),
        Endpoint::UpdateTeam => ("update_team", "Teams", "Update a team"),
        Endpoint::DeleteTeam => ("delete_team", "Teams", "Delete a team"),
        Endpoint::ListMembers => ("list_members", "Members", "List a team's members"),
        Endpoint::AddMember => ("add_member", "Members", "Add a member to a team"),
        Endpoint::UpdateMember => ("update_member", "Members", "Update a member of a team"),
        Endpoint::RemoveMember => ("remove_member", "Members", "Remove a member from a team"),
        Endpoint::GetWorkload => ("get_workload", "Workload", "Retrieve a team's workload"),
        Endpoint::ListAssignments => (
            "list_assignments",
            "Assignments",
            "List a team's open tickets with their decisions",
        ),
        Endpoint::FindAssignments => (
            "find_assignments",
            "Assignments",
            "Find unrouted, waiting or assigned tickets",
        ),
        Endpoint::GetAssignment => (
            "get_assignment",
            "Assignments",
            "Retrieve the latest decision about a ticket",
        ),
    }
}

fn description(endpoint: Endpoint, contract: Contract) -> &'static str {
    match endpoint {
        Endpoint::GetTeam => "A team with its members, in the order in which they joined.",
        Endpoint::GetWorkload => {
            "The present distribution of the team's open tickets among its members."
        }
        Endpoint::FindAssignments => match contract {
            Contract::Toptickets => concat!(
                find_description!(),
                " The header `Link` has the next page. `skip` and `offset` are rejected."
            ),
            Contract::Itsm => concat!(
                find_description!(),
                " `nextCursor` is the `cursor` of the next page. `page` is rejected."
            ),
        },
        Endpoint::GetAssignment => {
            "The present state of the ticket and the latest decision: the strategy, the best three candidates, and an \
             explanation."
        }
        _ => match contract {
            Contract::Toptickets => toptickets_description(endpoint),
            Contract::Itsm => itsm_description(endpoint),
        },
    }
}

fn toptickets_description(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ListTeams => {
            "The teams of the organization, oldest first. A page past the end is empty."
        }
        Endpoint::CreateTeam => "Creates a team without members.",
        Endpoint::UpdateTeam => {
            "Changes the fields in the body; `null` clears the description. A request that changes no value leaves \
             `updated_at` and `ETag` as they are. Members have their own endpoints."
        }
        Endpoint::DeleteTeam => {
            "Deletes the team permanently. Every open ticket of the team is unassigned. Its members remain users."
        }
        Endpoint::ListMembers => {
            "The members in the order in which they joined, with their skills and numbers of tickets. A page past the end \
             is empty."
        }
        Endpoint::AddMember => {
            "Adds an active user of the organization to the team. Returns the team."
        }
        Endpoint::UpdateMember => {
            "Changes the fields in the body. The role `lead` replaces the team's lead; `member` for the lead leaves the \
             team without a lead. Skills are replaced. Returns the team."
        }
        Endpoint::RemoveMember => {
            "The user remains the assignee of their tickets, and gets no further tickets of this team. The lead can be \
             removed too."
        }
        Endpoint::ListAssignments => {
            "The open tickets of the team: assigned tickets, newest decision first, then waiting tickets in the order in \
             which they will be assigned. A page past the end is empty."
        }
        Endpoint::GetTeam
        | Endpoint::GetWorkload
        | Endpoint::FindAssignments
        | Endpoint::GetAssignment => description(endpoint, Contract::Toptickets),
    }
}

fn itsm_description(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ListTeams => {
            "The teams of the organization, by default newest first. A page past the end is empty. Pages are numbered; \
             `cursor` is rejected."
        }
        Endpoint::CreateTeam => {
            "Creates a team without members. The default of the queue strategy is `round_robin`."
        }
        Endpoint::UpdateTeam => {
            "Changes the fields in the body; `null` clears the description and the lead, and specializations are \
             replaced. A request that changes no value leaves `updated_at` and `ETag` as they are. Members have their own \
             endpoints."
        }
        Endpoint::DeleteTeam => {
            "Deletes the team permanently. All open tickets of the team have to be reassigned first. Its members remain \
             users."
        }
        Endpoint::ListMembers => {
            "The members in the order in which they joined, with their skills and numbers of tickets. A page past the end \
             is empty. `cursor` is rejected."
        }
        Endpoint::AddMember => {
            "Adds an active user of the organization to the team, as its new lead if `role` is `lead`. A user can belong to \
             several teams. For the team's lead, the response has the role `lead`."
        }
        Endpoint::UpdateMember => {
            "Changes the fields in the body. The role `lead` replaces the team's lead; `member` for the lead leaves the \
             team without a lead. Skills are replaced."
        }
        Endpoint::RemoveMember => {
            "The user remains the assignee of their tickets, and gets no further tickets of this team. The lead cannot be \
             removed: designate a new one first."
        }
        Endpoint::ListAssignments => {
            "The open tickets of the team: assigned tickets, newest decision first, then waiting tickets in the order in \
             which they will be assigned. The total counts the tickets in the chosen state. A page past the end is empty. \
             `cursor` is rejected."
        }
        Endpoint::GetTeam
        | Endpoint::GetWorkload
        | Endpoint::FindAssignments
        | Endpoint::GetAssignment => description(endpoint, Contract::Itsm),
    }
}

fn request_body(endpoint: Endpoint, contract: Contract) -> Option<RequestBody> {
    use Contract::{Itsm, Toptickets};
    let example = match (endpoint, contract) {
        (Endpoint::CreateTeam, Toptickets) => example!("toptickets/create_team.request"),
        (Endpoint::CreateTeam, Itsm) => example!("itsm/create_team.request"),
        (Endpoint::UpdateTeam, Toptickets) => example!("toptickets/update_team.request"),
        (Endpoint::UpdateTeam, Itsm) => example!("itsm/update_team.request"),
        (Endpoint::AddMember, Toptickets) => example!("toptickets/add_member.request"),
        (Endpoint::AddMember, Itsm) => example!("itsm/add_member.request"),
        (Endpoint::UpdateMember, _) => example!("itsm/update_member.request"),
        _ => return None,
    };
    let content = media_type(endpoint, reference(requests::name(endpoint)?), example);
    Some(RequestBody {
        required: true,
        content: [("application/json", content)].into_iter().collect(),
    })
}

/// The body of a successful response.
struct SuccessBody {
    description: &'static str,
    schema: RefOrSchema<Schema>,
    example: &'static str,
    has_etag: bool,
}

/// Returns the status and the response of a success.
fn success(endpoint: Endpoint, contract: Contract) -> (u16, Response) {
    let body = match contract {
        Contract::Toptickets => toptickets_success(endpoint),
        Contract::Itsm => itsm_success(endpoint),
    };
    let Some(body) = body else {
        return (204, no_content(endpoint));
    };
    let SuccessBody {
        description,
        schema,
        example,
        has_etag,
    } = body;
    let status = if endpoint.creates() { 201 } else { 200 };
    let content = media_type(endpoint, schema, example);
    let mut headers = headers::of_success(endpoint, has_etag);
    if (endpoint, contract) == (Endpoint::FindAssignments, Contract::Toptickets) {
        headers
            .0
            .push(("Link".to_owned(), RefOr::Is(headers::next_page())));
    }
    let response = Response {
        description: description.to_owned(),
        headers,
        content: [("application/json", content)].into_iter().collect(),
    };
    (status, response)
}

fn no_content(endpoint: Endpoint) -> Response {
    let description = if endpoint == Endpoint::DeleteTeam {
        "The team was deleted."
    } else {
        "The member was removed."
    };
    Response {
        description: description.to_owned(),
        headers: headers::of_success(endpoint, false),
        content: Map(vec![]),
    }
}

/// Returns the body of a success; none for an endpoint without one.
fn toptickets_success(endpoint: Endpoint) -> Option<SuccessBody> {
    let team = |description, example| SuccessBody {
        description,
        schema: reference("Team"),
        example,
        has_etag: true,
    };
    let list = |description, item, example| SuccessBody {
        description,
        schema: Schema::from(ArrayBuilder::new().items(reference(item))).into(),
        example,
        has_etag: false,
    };
    let body = match endpoint {
        Endpoint::ListTeams => {
            let example = example!("toptickets/list_teams");
            list("A page of teams.", "TeamSummary", example)
        }
        Endpoint::CreateTeam => team("The new team.", example!("toptickets/create_team")),
        Endpoint::GetTeam => team("The team.", example!("toptickets/get_team")),
        Endpoint::UpdateTeam | Endpoint::UpdateMember => team(
            "The team after the update.",
            example!("toptickets/get_team"),
        ),
        Endpoint::ListMembers => {
            let example = example!("toptickets/list_members");
            list("A page of members.", "TeamMember", example)
        }
        Endpoint::AddMember => {
            let example = example!("toptickets/add_member");
            team("The team with the new member.", example)
        }
        Endpoint::ListAssignments => {
            let example = example!("toptickets/list_assignments");
            list("A page of decisions.", "Decision", example)
        }
        Endpoint::FindAssignments => {
            let example = example!("toptickets/find_assignments");
            list("A page of decisions.", "Decision", example)
        }
        Endpoint::GetAssignment => SuccessBody {
            description: "The decision.",
            schema: reference("Decision"),
            example: example!("toptickets/get_assignment"),
            has_etag: false,
        },
        // Only the ITSM contract has this endpoint.
        Endpoint::GetWorkload => return itsm_success(endpoint),
        Endpoint::DeleteTeam | Endpoint::RemoveMember => return None,
    };
    Some(body)
}

/// Returns the body of a success; none for an endpoint without one.
fn itsm_success(endpoint: Endpoint) -> Option<SuccessBody> {
    let (description, schema, example) = match endpoint {
        Endpoint::ListTeams => (
            "A page of teams.",
            "TeamListResponse",
            example!("itsm/list_teams"),
        ),
        Endpoint::CreateTeam => (
            "The new team.",
            "TeamResponse",
            example!("itsm/create_team"),
        ),
        Endpoint::GetTeam => ("The team.", "TeamResponse", example!("itsm/get_team")),
        Endpoint::UpdateTeam => (
            "The team after the update.",
            "TeamResponse",
            example!("itsm/update_team"),
        ),
        Endpoint::ListMembers => (
            "A page of members.",
            "MemberListResponse",
            example!("itsm/list_members"),
        ),
        Endpoint::AddMember => (
            "The membership.",
            "MembershipResponse",
            example!("itsm/add_member"),
        ),
        Endpoint::UpdateMember => (
            "The membership after the update.",
            "MembershipResponse",
            example!("itsm/update_member"),
        ),
        Endpoint::GetWorkload => (
            "The workload.",
            "WorkloadResponse",
            example!("itsm/get_workload"),
        ),
        Endpoint::ListAssignments => (
            "A page of decisions.",
            "DecisionListResponse",
            example!("itsm/list_assignments"),
        ),
        Endpoint::FindAssignments => (
            "A page of decisions.",
            "FoundTicketsResponse",
            example!("itsm/find_assignments"),
        ),
        Endpoint::GetAssignment => (
            "The decision.",
            "DecisionResponse",
            example!("itsm/get_assignment"),
        ),
        Endpoint::DeleteTeam | Endpoint::RemoveMember => return None,
    };
    Some(SuccessBody {
        description,
        schema: reference(schema),
        example,
        has_etag: schema == "TeamResponse",
    })
}

fn media_type(endpoint: Endpoint, schema: RefOrSchema<Schema>, example: &str) -> MediaType {
    let (name, ..) = names(endpoint);
    MediaType {
        schema,
        examples: [(
            name,
            Example {
                summary: None,
                value: raw(example),
            },
        )]
        .into_iter()
        .collect(),
    }
}

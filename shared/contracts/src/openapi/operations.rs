//! The operations: what each endpoint is called, does, takes and answers.

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

/// An example of the documents', as JSON.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../../openapi/examples/", $name, ".json"))
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
        &parameters::example_path(contract, pattern),
    );
    let responses = [(status, RefOr::Is(success))].into_iter().chain(errors);
    Operation {
        operation_id,
        summary,
        description: format!(
            "{}\n\nNeeds the scope `{scope}`.",
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

/// What an endpoint is called in a client, which group it belongs to, and what it is in a few
/// words.
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
        Endpoint::GetAssignment => (
            "get_assignment",
            "Assignments",
            "Retrieve the latest decision about a ticket",
        ),
    }
}

fn description(endpoint: Endpoint, contract: Contract) -> &'static str {
    use Contract::{Itsm, Toptickets};
    match (endpoint, contract) {
        (Endpoint::ListTeams, Toptickets) => {
            "The teams of the organization, oldest first. A page past the end is empty."
        }
        (Endpoint::ListTeams, Itsm) => {
            "The teams of the organization, newest first unless told otherwise. A page past the end is empty. Pages are \
             page_and_limit; `cursor` is refused."
        }
        (Endpoint::CreateTeam, Toptickets) => "A new team, without members.",
        (Endpoint::CreateTeam, Itsm) => {
            "A new team, without members. The queue strategy is `round_robin` unless told otherwise."
        }
        (Endpoint::GetTeam, _) => "A team with its members, in the order in which they joined.",
        (Endpoint::UpdateTeam, Toptickets) => {
            "Changes what the body names; `null` clears the description. A change that changes nothing moves neither \
             `updated_at` nor `ETag`. Members have endpoints of their own."
        }
        (Endpoint::UpdateTeam, Itsm) => {
            "Changes what the body names; `null` clears the description and the lead, and specializations are replaced. A \
             change that changes nothing moves neither `updated_at` nor `ETag`. Members have endpoints of their own."
        }
        (Endpoint::DeleteTeam, Toptickets) => {
            "For good. Every open ticket of the team is unassigned; its members stay users."
        }
        (Endpoint::DeleteTeam, Itsm) => {
            "For good. All open tickets of the team have to be reassigned first; its members stay users."
        }
        (Endpoint::ListMembers, Toptickets) => {
            "The members in the order in which they joined, with their skills and figures. A page past the end is empty."
        }
        (Endpoint::ListMembers, Itsm) => {
            "The members in the order in which they joined, with their skills and figures. A page past the end is empty. \
             `cursor` is refused."
        }
        (Endpoint::AddMember, Toptickets) => {
            "An active user of the organization joins the team, which is the answer."
        }
        (Endpoint::AddMember, Itsm) => {
            "An active user of the organization joins the team, as its new lead if `role` is `lead`. A user can belong to \
             several teams. Adding the team's lead answers with the role `lead`."
        }
        (Endpoint::UpdateMember, Toptickets) => {
            "Changes what the body names: `lead` in place of the team's lead, `member` for the lead leaves the team without \
             one, and skills are replaced. The answer is the team."
        }
        (Endpoint::UpdateMember, Itsm) => {
            "Changes what the body names: `lead` in place of the team's lead, `member` for the lead leaves the team without \
             one, and skills are replaced."
        }
        (Endpoint::RemoveMember, Toptickets) => {
            "The member keeps the tickets they have, and is given no more by this team. The lead can be removed too."
        }
        (Endpoint::RemoveMember, Itsm) => {
            "The member keeps the tickets they have, and is given no more by this team. The lead cannot be removed: \
             designate a new one first."
        }
        (Endpoint::GetWorkload, _) => {
            "How the team's tickets are spread over its members, at this moment."
        }
        (Endpoint::ListAssignments, Toptickets) => {
            "The open tickets of the team: assigned tickets, newest decision first, then waiting tickets in the order in which \
             they will be assigned. A page past the end is empty."
        }
        (Endpoint::ListAssignments, Itsm) => {
            "The open tickets of the team: assigned tickets, newest decision first, then waiting tickets in the order in which \
             they will be assigned. The total counts the tickets in the chosen state. A page past the end is empty. `cursor` \
             is refused."
        }
        (Endpoint::GetAssignment, _) => {
            "Where the ticket is, and why: the strategy, the best three candidates, and a sentence."
        }
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

/// The status and the answer of a success.
fn success(endpoint: Endpoint, contract: Contract) -> (u16, Response) {
    use Contract::{Itsm, Toptickets};
    let list = |name| RefOrSchema::from(Schema::from(ArrayBuilder::new().items(reference(name))));
    let (description, schema, example, has_etag) = match (endpoint, contract) {
        (Endpoint::ListTeams, Toptickets) => (
            "A page of teams.",
            list("TeamSummary"),
            example!("toptickets/list_teams"),
            false,
        ),
        (Endpoint::ListTeams, Itsm) => (
            "A page of teams.",
            reference("TeamListResponse"),
            example!("itsm/list_teams"),
            false,
        ),
        (Endpoint::CreateTeam, Toptickets) => (
            "The new team.",
            reference("Team"),
            example!("toptickets/create_team"),
            true,
        ),
        (Endpoint::CreateTeam, Itsm) => (
            "The new team.",
            reference("TeamResponse"),
            example!("itsm/create_team"),
            true,
        ),
        (Endpoint::GetTeam, Toptickets) => (
            "The team.",
            reference("Team"),
            example!("toptickets/get_team"),
            true,
        ),
        (Endpoint::GetTeam, Itsm) => (
            "The team.",
            reference("TeamResponse"),
            example!("itsm/get_team"),
            true,
        ),
        (Endpoint::UpdateTeam | Endpoint::UpdateMember, Toptickets) => (
            "The team after the change.",
            reference("Team"),
            example!("toptickets/get_team"),
            true,
        ),
        (Endpoint::UpdateTeam, Itsm) => (
            "The team after the change.",
            reference("TeamResponse"),
            example!("itsm/update_team"),
            true,
        ),
        (Endpoint::ListMembers, Toptickets) => (
            "A page of members.",
            list("TeamMember"),
            example!("toptickets/list_members"),
            false,
        ),
        (Endpoint::ListMembers, Itsm) => (
            "A page of members.",
            reference("MemberListResponse"),
            example!("itsm/list_members"),
            false,
        ),
        (Endpoint::AddMember, Toptickets) => (
            "The team, the new member included.",
            reference("Team"),
            example!("toptickets/add_member"),
            true,
        ),
        (Endpoint::AddMember, Itsm) => (
            "The membership.",
            reference("MembershipResponse"),
            example!("itsm/add_member"),
            false,
        ),
        (Endpoint::UpdateMember, Itsm) => (
            "The membership after the change.",
            reference("MembershipResponse"),
            example!("itsm/update_member"),
            false,
        ),
        (Endpoint::GetWorkload, _) => (
            "The workload.",
            reference("WorkloadResponse"),
            example!("itsm/get_workload"),
            false,
        ),
        (Endpoint::ListAssignments, Toptickets) => (
            "A page of decisions.",
            list("Decision"),
            example!("toptickets/list_assignments"),
            false,
        ),
        (Endpoint::ListAssignments, Itsm) => (
            "A page of decisions.",
            reference("DecisionListResponse"),
            example!("itsm/list_assignments"),
            false,
        ),
        (Endpoint::GetAssignment, Toptickets) => (
            "The decision.",
            reference("Decision"),
            example!("toptickets/get_assignment"),
            false,
        ),
        (Endpoint::GetAssignment, Itsm) => (
            "The decision.",
            reference("DecisionResponse"),
            example!("itsm/get_assignment"),
            false,
        ),
        (Endpoint::DeleteTeam | Endpoint::RemoveMember, _) => {
            let description = if endpoint == Endpoint::DeleteTeam {
                "The team is gone."
            } else {
                "The member is gone."
            };
            let headers = headers::of(204, false);
            return (
                204,
                Response {
                    description: description.to_owned(),
                    headers,
                    content: Map(vec![]),
                },
            );
        }
    };
    let status = if matches!(endpoint, Endpoint::CreateTeam | Endpoint::AddMember) {
        201
    } else {
        200
    };
    let content = [("application/json", media_type(endpoint, schema, example))]
        .into_iter()
        .collect();
    (
        status,
        Response {
            description: description.to_owned(),
            headers: headers::of(status, has_etag),
            content,
        },
    )
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

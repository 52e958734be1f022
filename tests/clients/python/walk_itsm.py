"""The walk of docs/tutorial.md through the ITSM contract, with a ticket, by the client of openapi-python-client."""

from itsm import AuthenticatedClient
from itsm.api.assignments import get_assignment, list_assignments
from itsm.api.members import add_member, list_members, remove_member, update_member
from itsm.api.teams import create_team, delete_team, get_team, list_teams, update_team
from itsm.api.workload import get_workload
from itsm.models import (
    Constraint,
    Decision,
    DecisionListResponse,
    DecisionResponse,
    Error,
    ErrorCode,
    ErrorDetails,
    MemberAdd,
    MemberListResponse,
    MemberRole,
    MembershipResponse,
    MemberUpdate,
    QueueStrategy,
    Scope,
    TeamCreate,
    TeamListResponse,
    TeamResponse,
    TeamUpdate,
    TicketState,
    TicketStatus,
    WorkloadResponse,
)

from support import Stack, equal, eventually, expect, expect_no_content

stack = Stack.of("itsm")
client = AuthenticatedClient(stack.url, stack.admin_key)
alice, sam = (f"usr_{stack.user_ids[name]}" for name in ("Alice Johnson", "Sam Patel"))

# A team.
new = TeamCreate(name="Technical Support", description="Handles technical issues")
team = expect(201, TeamResponse, create_team.sync_detailed(client=client, body=new)).data
equal((team.queue_strategy, team.lead_id, team.members), (QueueStrategy.ROUND_ROBIN, None, []))

# An ETag makes a change conditional on the version that was read.
changes = TeamUpdate(queue_strategy=QueueStrategy.SKILL_BASED, specializations=["VPN", "DNS"])
etag = get_team.sync_detailed(team.id, client=client).headers["ETag"]
response = update_team.sync_detailed(team.id, client=client, body=changes, if_match=etag)
changed = expect(200, TeamResponse, response).data
equal((changed.queue_strategy, changed.specializations), (QueueStrategy.SKILL_BASED, ["VPN", "DNS"]))
equal((changed.name, changed.description), (team.name, team.description))
late = update_team.sync_detailed(team.id, client=client, body=changes, if_match=etag)
equal(expect(412, Error, late).error.code, ErrorCode.PRECONDITION_FAILED)

# Two members, one of them the lead.
member = MemberAdd(user_id=alice)
added = expect(201, MembershipResponse, add_member.sync_detailed(team.id, client=client, body=member)).data
equal((added.name, added.role, added.skills), ("Alice Johnson", MemberRole.MEMBER, []))

lead = MemberAdd(user_id=sam, role=MemberRole.LEAD, skills=["VPN", "Cisco"])
added = expect(201, MembershipResponse, add_member.sync_detailed(team.id, client=client, body=lead)).data
equal((added.user_id, added.role, added.skills), (sam, MemberRole.LEAD, ["VPN", "Cisco"]))
equal(expect(200, TeamResponse, get_team.sync_detailed(team.id, client=client)).data.lead_id, sam)

# An idempotency key makes a retry safe.
workplace = TeamCreate(name="Workplace")
first = create_team.sync_detailed(client=client, body=workplace, idempotency_key="first")
other = expect(201, TeamResponse, first).data
again = create_team.sync_detailed(client=client, body=workplace, idempotency_key="first")
equal(expect(201, TeamResponse, again).data, other)
reused = create_team.sync_detailed(client=client, body=TeamCreate(name="Helpers"), idempotency_key="first")
equal(expect(422, Error, reused).error.code, ErrorCode.IDEMPOTENCY_KEY_REUSED)

# Lists have pages and totals.
page = expect(200, TeamListResponse, list_teams.sync_detailed(client=client, page=2, limit=1))
equal([summary.id for summary in page.data], [team.id])
pagination = page.meta.pagination
equal((pagination.total, pagination.total_pages, pagination.has_more), (2, 2, False))

found = expect(200, TeamListResponse, list_teams.sync_detailed(client=client, search="WORK"))
equal([(summary.id, summary.member_count) for summary in found.data], [(other.id, 0)])
equal(found.meta.pagination.total, 1)

# A ticket that needs a member with the skill VPN, and its decision.
ticket = {
    "id": "INC-1",
    "status": "new",
    "priority": "high",
    "category": "Network",
    "subcategory": "VPN",
    "updated_at": "2025-03-03T09:00:00Z",
}
stack.send("ticket.created", ticket)


def decision_in(state: TicketState) -> Decision:
    """Waits until the ticket has this state, and returns its decision."""

    def ask() -> Decision | None:
        response = get_assignment.sync_detailed("INC-1", client=client).parsed
        return response.data if isinstance(response, DecisionResponse) and response.data.state == state else None

    return eventually(ask)


decision = decision_in(TicketState.ASSIGNED)
equal((decision.team_id, decision.assignee_id), (team.id, sam))
equal((decision.status, decision.strategy), (TicketStatus.NEW, QueueStrategy.SKILL_BASED))
equal([(candidate.user_id, candidate.matched_skills) for candidate in decision.candidates], [(sam, 1), (alice, 0)])

decisions = expect(200, DecisionListResponse, list_assignments.sync_detailed(team.id, client=client))
equal((decisions.data, decisions.meta.pagination.total), ([decision], 1))

members = expect(200, MemberListResponse, list_members.sync_detailed(team.id, client=client)).data
equal(
    [(each.id, each.team_role, each.open_tickets) for each in members],
    [(alice, MemberRole.MEMBER, 0), (sam, MemberRole.LEAD, 1)],
)

workload = expect(200, WorkloadResponse, get_workload.sync_detailed(team.id, client=client)).data
equal((workload.total_open_tickets, workload.total_members, workload.avg_tickets_per_member), (1, 2, 0.5))
equal([(each.user_id, each.open_tickets) for each in workload.members], [(alice, 0), (sam, 1)])
equal(workload.sla_compliance_rate, None)

# Errors have a code, and some have details.
error = expect(409, Error, remove_member.sync_detailed(team.id, sam, client=client)).error
equal((error.code, error.details), (ErrorCode.CONFLICT, None))
equal(error.path, f"/v1/teams/{team.id}/members/{sam}")

error = expect(409, Error, delete_team.sync_detailed(team.id, client=client)).error
equal((error.code, error.details), (ErrorCode.CONFLICT, ErrorDetails(open_tickets=1)))

namesake = TeamCreate(name=" TECHNICAL support")
error = expect(409, Error, create_team.sync_detailed(client=client, body=namesake)).error
equal((error.code, error.message), (ErrorCode.CONFLICT, "A team with this name already exists"))

error = expect(400, Error, create_team.sync_detailed(client=client, body=TeamCreate(name=""))).error
equal(error.code, ErrorCode.VALIDATION_ERROR)
equal(error.details, ErrorDetails(field="name", constraint=Constraint.ISNOTEMPTY))

absent = "team_00000000-0000-0000-0000-000000000000"
error = expect(404, Error, get_team.sync_detailed(absent, client=client)).error
equal((error.code, error.message), (ErrorCode.NOT_FOUND, "Team not found"))

reader = AuthenticatedClient(stack.url, stack.read_only_key)
error = expect(403, Error, create_team.sync_detailed(client=reader, body=namesake)).error
equal((error.code, error.details), (ErrorCode.FORBIDDEN, ErrorDetails(required_scope=Scope.TEAMSWRITE)))

stranger = AuthenticatedClient(stack.url, "itsm_of_nobody")
error = expect(401, Error, list_teams.sync_detailed(client=stranger)).error
equal(error.code, ErrorCode.UNAUTHORIZED)

# The ticket is resolved, and the teams are deleted.
resolved = {**ticket, "status": "resolved", "updated_at": "2025-03-03T10:00:00Z"}
stack.send("ticket.updated", resolved)
equal(decision_in(TicketState.CLOSED).status, TicketStatus.RESOLVED)

step_down = MemberUpdate(role=MemberRole.MEMBER)
demoted = update_member.sync_detailed(team.id, sam, client=client, body=step_down)
equal(expect(200, MembershipResponse, demoted).data.role, MemberRole.MEMBER)
expect_no_content(remove_member.sync_detailed(team.id, sam, client=client))
error = expect(404, Error, remove_member.sync_detailed(team.id, sam, client=client)).error
equal(error.code, ErrorCode.NOT_FOUND)
for each in (team, other):
    expect_no_content(delete_team.sync_detailed(each.id, client=client))
    expect(404, Error, get_team.sync_detailed(each.id, client=client))

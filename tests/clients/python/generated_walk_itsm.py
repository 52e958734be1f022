"""The walk of docs/tutorial.md through the ITSM contract, by the client of openapi-generator."""

from collections.abc import Callable

from generated_itsm import (
    ApiClient,
    ApiException,
    AssignmentsApi,
    Configuration,
    Constraint,
    Decision,
    Error,
    ErrorBody,
    ErrorCode,
    MemberAdd,
    MemberRole,
    MembersApi,
    MemberUpdate,
    QueueStrategy,
    Scope,
    TeamCreate,
    TeamsApi,
    TeamUpdate,
    TicketState,
    TicketStatus,
    WorkloadApi,
)

from support import Stack, equal, eventually, expect_refusal, header

stack = Stack.of("itsm")


def client_of(key: str) -> ApiClient:
    """Returns a client with this key."""
    return ApiClient(Configuration(host=stack.url, access_token=key))


def error(status: int, call: Callable[[], object]) -> ErrorBody:
    """Returns the error of a call that must fail."""
    return expect_refusal(status, Error, ApiException, call).error


client = client_of(stack.admin_key)
teams, members, assignments = TeamsApi(client), MembersApi(client), AssignmentsApi(client)
alice, sam = (f"usr_{stack.user_ids[name]}" for name in ("Alice Johnson", "Sam Patel"))

# A team.
made = teams.create_team(TeamCreate(name="Technical Support", description="Handles technical issues"))
team = made.data
equal((made.success, team.queue_strategy, team.lead_id, team.members), (True, QueueStrategy.ROUND_ROBIN, None, []))

# An ETag makes a change conditional on the version that was read.
changes = TeamUpdate(queue_strategy=QueueStrategy.SKILL_BASED, specializations=["VPN", "DNS"])
etag = header(teams.get_team_with_http_info(team.id).headers, "etag")
changed = teams.update_team(team.id, changes, if_match=etag).data
equal((changed.queue_strategy, changed.specializations), (QueueStrategy.SKILL_BASED, ["VPN", "DNS"]))
equal((changed.name, changed.description), (team.name, team.description))
equal(error(412, lambda: teams.update_team(team.id, changes, if_match=etag)).code, ErrorCode.PRECONDITION_FAILED)

# Two members, one of them the lead.
added = members.add_member(team.id, MemberAdd(user_id=alice)).data
equal((added.name, added.role, added.skills), ("Alice Johnson", MemberRole.MEMBER, []))
lead = MemberAdd(user_id=sam, role=MemberRole.LEAD, skills=["VPN", "Cisco"])
added = members.add_member(team.id, lead).data
equal((added.user_id, added.role, added.skills), (sam, MemberRole.LEAD, ["VPN", "Cisco"]))
equal(teams.get_team(team.id).data.lead_id, sam)

# An idempotency key makes a retry safe.
workplace = TeamCreate(name="Workplace")
other = teams.create_team(workplace, idempotency_key="first").data
equal(teams.create_team(workplace, idempotency_key="first").data, other)
reused = error(422, lambda: teams.create_team(TeamCreate(name="Helpers"), idempotency_key="first"))
equal(reused.code, ErrorCode.IDEMPOTENCY_KEY_REUSED)

# Lists have pages and totals.
page = teams.list_teams(page=2, limit=1)
equal([summary.id for summary in page.data], [team.id])
pagination = page.meta.pagination
equal((pagination.total, pagination.total_pages, pagination.has_more), (2, 2, False))
found = teams.list_teams(search="WORK")
equal([(summary.id, summary.member_count) for summary in found.data], [(other.id, 0)])

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
        try:
            decision = assignments.get_assignment("INC-1").data
        except ApiException as refusal:
            assert refusal.status == 404, refusal
            return None
        return decision if decision.state == state else None

    return eventually(ask)


decision = decision_in(TicketState.ASSIGNED)
equal((decision.team_id, decision.assignee_id), (team.id, sam))
equal((decision.status, decision.strategy), (TicketStatus.NEW, QueueStrategy.SKILL_BASED))
equal([(candidate.user_id, candidate.matched_skills) for candidate in decision.candidates], [(sam, 1), (alice, 0)])
decisions = assignments.list_assignments(team.id)
equal((decisions.data, decisions.meta.pagination.total), ([decision], 1))

equal(
    [(each.id, each.team_role, each.open_tickets) for each in members.list_members(team.id).data],
    [(alice, MemberRole.MEMBER, 0), (sam, MemberRole.LEAD, 1)],
)
workload = WorkloadApi(client).get_workload(team.id).data
equal((workload.total_open_tickets, workload.total_members, workload.avg_tickets_per_member), (1, 2, 0.5))
equal([(each.user_id, each.open_tickets) for each in workload.members], [(alice, 0), (sam, 1)])
equal(workload.sla_compliance_rate, None)

# Errors have a code, and some have details.
refusal = error(409, lambda: members.remove_member(team.id, sam))
equal((refusal.code, refusal.details), (ErrorCode.CONFLICT, None))
equal(refusal.path, f"/v1/teams/{team.id}/members/{sam}")

refusal = error(409, lambda: teams.delete_team(team.id))
assert refusal.details is not None
equal((refusal.code, refusal.details.open_tickets), (ErrorCode.CONFLICT, 1))

namesake = TeamCreate(name=" TECHNICAL support")
refusal = error(409, lambda: teams.create_team(namesake))
equal((refusal.code, refusal.message), (ErrorCode.CONFLICT, "A team with this name already exists"))

# The client itself rejects an empty name, so this model is built without its checks.
refusal = error(400, lambda: teams.create_team(TeamCreate.model_construct(name="")))
assert refusal.details is not None
equal(refusal.code, ErrorCode.VALIDATION_ERROR)
equal((refusal.details.var_field, refusal.details.constraint), ("name", Constraint.ISNOTEMPTY))

refusal = error(404, lambda: teams.get_team("team_00000000-0000-0000-0000-000000000000"))
equal((refusal.code, refusal.message), (ErrorCode.NOT_FOUND, "Team not found"))

refusal = error(403, lambda: TeamsApi(client_of(stack.read_only_key)).create_team(namesake))
assert refusal.details is not None
equal((refusal.code, refusal.details.required_scope), (ErrorCode.FORBIDDEN, Scope.TEAMS_COLON_WRITE))

refusal = error(401, lambda: TeamsApi(client_of("itsm_of_nobody")).list_teams())
equal(refusal.code, ErrorCode.UNAUTHORIZED)

# The ticket is resolved, and the teams are deleted.
stack.send("ticket.updated", {**ticket, "status": "resolved", "updated_at": "2025-03-03T10:00:00Z"})
equal(decision_in(TicketState.CLOSED).status, TicketStatus.RESOLVED)
demoted = members.update_member(team.id, sam, MemberUpdate(role=MemberRole.MEMBER)).data
equal(demoted.role, MemberRole.MEMBER)
members.remove_member(team.id, sam)
equal(error(404, lambda: members.remove_member(team.id, sam)).code, ErrorCode.NOT_FOUND)
for team_id in (team.id, other.id):
    teams.delete_team(team_id)
    error(404, lambda: teams.get_team(team_id))

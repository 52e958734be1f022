"""The walk of docs/tutorial.md through the TopTickets contract, by the client of openapi-generator."""

from collections.abc import Callable
from uuid import UUID

from generated_toptickets import (
    ApiClient,
    ApiException,
    Configuration,
    Error,
    MemberAdd,
    MemberRole,
    MembersApi,
    MemberUpdate,
    TeamCreate,
    TeamsApi,
    TeamUpdate,
    ViolationType,
)

from support import Stack, equal, expect_refusal, header

stack = Stack.of("toptickets")


def client_of(key: str) -> ApiClient:
    """Returns a client with this key."""
    return ApiClient(Configuration(host=stack.url, access_token=key))


def detail(status: int, call: Callable[[], object]) -> object:
    """Returns the detail of a call that must fail: a sentence, or a list of violations."""
    return expect_refusal(status, Error, ApiException, call).detail.actual_instance


client = client_of(stack.admin_key)
teams, members = TeamsApi(client), MembersApi(client)
alice = UUID(stack.user_ids["Alice Johnson"])

# A team, and its first member.
team = teams.create_team(TeamCreate(name="Technical Support", description="Handles technical issues"))
equal((team.name, team.description, team.members), ("Technical Support", "Handles technical issues", []))
assert team.created_at.tzinfo is not None
joined = members.add_member(team.id, MemberAdd(user_id=alice))
equal([(member.id, member.full_name) for member in joined.members], [(alice, "Alice Johnson")])
equal(joined, teams.get_team(team.id))

# Lists have pages.
equal([(summary.id, summary.created_at) for summary in teams.list_teams(limit=10)], [(team.id, team.created_at)])
equal(teams.list_teams(skip=1), [])

# An absent field of a change stays, and `null` clears one.
changed = teams.update_team(team.id, TeamUpdate(description=None))
equal((changed.name, changed.description), ("Technical Support", None))
members.update_member(team.id, alice, MemberUpdate(role=MemberRole.LEAD, skills=["VPN"]))
[membership] = members.list_members(team.id)
equal((membership.id, membership.team_role, membership.skills), (alice, MemberRole.LEAD, ["VPN"]))

# An ETag makes a change conditional on the version that was read.
rename = TeamUpdate(name="Technical Help")
etag = header(teams.get_team_with_http_info(team.id).headers, "etag")
equal(teams.update_team(team.id, rename, if_match=etag).name, "Technical Help")
equal(detail(412, lambda: teams.update_team(team.id, rename, if_match=etag)), "Precondition failed")

# An idempotency key makes a retry safe.
workplace = TeamCreate(name="Workplace")
other = teams.create_team(workplace, idempotency_key="first")
equal(teams.create_team(workplace, idempotency_key="first"), other)
reused = detail(422, lambda: teams.create_team(TeamCreate(name="Helpers"), idempotency_key="first"))
equal(reused, "Idempotency-Key reused")

# Errors are a sentence, or a list of all violated rules.
equal(detail(422, lambda: teams.create_team(TeamCreate(name=" TECHNICAL help"))), "Team name already exists")
# The client itself rejects an empty name, so this model is built without its checks.
violations = detail(422, lambda: teams.create_team(TeamCreate.model_construct(name="")))
assert isinstance(violations, list)
equal(
    [(violation.loc, violation.type) for violation in violations],
    [(["body", "name"], ViolationType.VALUE_ERROR_DOT_ANY_STR_DOT_MIN_LENGTH)],
)
equal(detail(404, lambda: teams.get_team(UUID(int=0))), "Team not found")
forbidden = detail(403, lambda: TeamsApi(client_of(stack.read_only_key)).delete_team(team.id))
equal(forbidden, "Insufficient permissions. Required scope: teams:delete")
equal(detail(401, lambda: TeamsApi(client_of("tt_live_of_nobody")).list_teams()), "Invalid API key")

# The member is removed, and the teams are deleted.
members.remove_member(team.id, alice)
equal(detail(404, lambda: members.remove_member(team.id, alice)), "Member not found")
for team_id in (team.id, other.id):
    teams.delete_team(team_id)
    detail(404, lambda: teams.get_team(team_id))

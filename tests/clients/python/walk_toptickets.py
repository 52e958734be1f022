"""The walk of docs/tutorial.md through the TopTickets contract, by the client of openapi-python-client."""

from uuid import UUID

from toptickets import AuthenticatedClient
from toptickets.api.members import add_member, list_members, remove_member, update_member
from toptickets.api.teams import create_team, delete_team, get_team, list_teams, update_team
from toptickets.models import (
    Error,
    MemberAdd,
    MemberRole,
    MemberUpdate,
    Team,
    TeamCreate,
    TeamMember,
    TeamSummary,
    TeamUpdate,
    ViolationType,
)

from support import Stack, equal, expect, expect_list, expect_no_content

stack = Stack.of("toptickets")
client = AuthenticatedClient(stack.url, stack.admin_key)
alice = UUID(stack.user_ids["Alice Johnson"])

# A team, and its first member.
team = expect(
    201,
    Team,
    create_team.sync_detailed(
        client=client, body=TeamCreate(name="Technical Support", description="Handles technical issues")
    ),
)
equal((team.name, team.description, team.members), ("Technical Support", "Handles technical issues", []))
assert team.created_at.tzinfo is not None

joined = expect(201, Team, add_member.sync_detailed(team.id, client=client, body=MemberAdd(user_id=alice)))
equal([(member.id, member.full_name) for member in joined.members], [(alice, "Alice Johnson")])
equal(joined, expect(200, Team, get_team.sync_detailed(team.id, client=client)))

# Lists have pages.
page = expect_list(200, TeamSummary, list_teams.sync_detailed(client=client, limit=10))
equal([(summary.id, summary.created_at) for summary in page], [(team.id, team.created_at)])
equal(expect_list(200, TeamSummary, list_teams.sync_detailed(client=client, skip=1)), [])

# An absent field of a change stays, and null clears one.
changed = expect(200, Team, update_team.sync_detailed(team.id, client=client, body=TeamUpdate(description=None)))
equal((changed.name, changed.description), ("Technical Support", None))

body = MemberUpdate(role=MemberRole.LEAD, skills=["VPN"])
expect(200, Team, update_member.sync_detailed(team.id, alice, client=client, body=body))
[membership] = expect_list(200, TeamMember, list_members.sync_detailed(team.id, client=client))
equal((membership.id, membership.team_role, membership.skills), (alice, MemberRole.LEAD, ["VPN"]))

# An ETag makes a change conditional on the version that was read.
rename = TeamUpdate(name="Technical Help")
etag = get_team.sync_detailed(team.id, client=client).headers["ETag"]
renamed = expect(200, Team, update_team.sync_detailed(team.id, client=client, body=rename, if_match=etag))
equal(renamed.name, "Technical Help")
late = expect(412, Error, update_team.sync_detailed(team.id, client=client, body=rename, if_match=etag))
equal(late.detail, "Precondition failed")

# An idempotency key makes a retry safe.
body_of_other = TeamCreate(name="Workplace")
other = expect(201, Team, create_team.sync_detailed(client=client, body=body_of_other, idempotency_key="first"))
again = create_team.sync_detailed(client=client, body=body_of_other, idempotency_key="first")
equal(expect(201, Team, again), other)
reused = create_team.sync_detailed(client=client, body=TeamCreate(name="Helpers"), idempotency_key="first")
equal(expect(422, Error, reused).detail, "Idempotency-Key reused")

# Errors are a sentence, or a list of all violated rules.
taken = expect(422, Error, create_team.sync_detailed(client=client, body=TeamCreate(name=" TECHNICAL help")))
equal(taken.detail, "Team name already exists")

invalid = expect(422, Error, create_team.sync_detailed(client=client, body=TeamCreate(name="")))
assert isinstance(invalid.detail, list)
equal(
    [(violation.loc, violation.type_) for violation in invalid.detail],
    [(["body", "name"], ViolationType.VALUE_ERROR_ANY_STR_MIN_LENGTH)],
)

unknown = expect(404, Error, get_team.sync_detailed(UUID(int=0), client=client))
equal(unknown.detail, "Team not found")

reader = AuthenticatedClient(stack.url, stack.read_only_key)
forbidden = expect(403, Error, delete_team.sync_detailed(team.id, client=reader))
equal(forbidden.detail, "Insufficient permissions. Required scope: teams:delete")

stranger = AuthenticatedClient(stack.url, "tt_live_of_nobody")
equal(expect(401, Error, list_teams.sync_detailed(client=stranger)).detail, "Invalid API key")

# The member is removed, and the teams are deleted.
expect_no_content(remove_member.sync_detailed(team.id, alice, client=client))
gone = expect(404, Error, remove_member.sync_detailed(team.id, alice, client=client))
equal(gone.detail, "Member not found")
for each in (team, other):
    expect_no_content(delete_team.sync_detailed(each.id, client=client))
    expect(404, Error, get_team.sync_detailed(each.id, client=client))

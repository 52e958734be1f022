/** The walk of docs/tutorial.md through the ITSM contract, by the client of openapi-generator. */

import assert from "node:assert/strict";
import {
  AssignmentsApi,
  Configuration,
  type Decision,
  type ErrorBody,
  MembersApi,
  ModelErrorFromJSON,
  ResponseError,
  TeamsApi,
  type TicketState,
  WorkloadApi,
} from "./generated-itsm/index.js";
import { eventually, expectRefusal, send, stack, userId } from "./support.js";

/** Returns the settings of a client with this key. */
function presenting(accessToken: string): Configuration {
  return new Configuration({ basePath: stack.url, accessToken });
}

/** Returns the error of a call that must fail. */
async function error(status: number, call: Promise<unknown>): Promise<ErrorBody> {
  return ModelErrorFromJSON(await expectRefusal(status, ResponseError, call)).error;
}

const configuration = presenting(stack.keys.itsm.admin);
const teams = new TeamsApi(configuration);
const members = new MembersApi(configuration);
const assignments = new AssignmentsApi(configuration);
const alice = `usr_${userId("Alice Johnson")}`;
const sam = `usr_${userId("Sam Patel")}`;

// A team.
const made = await teams.createTeam({
  teamCreate: { name: "Technical Support", description: "Handles technical issues" },
});
const team = made.data;
const teamId = team.id;
assert.equal(made.success, true);
assert.deepEqual([team.queueStrategy, team.leadId, team.members], ["round_robin", null, []]);

// An ETag makes a change conditional on the version that was read.
const read = await teams.getTeamRaw({ teamId });
const ifMatch = read.raw.headers.get("ETag") ?? "";
const teamUpdate = { queueStrategy: "skill_based", specializations: ["VPN", "DNS"] } as const;
const change = { teamId, ifMatch, teamUpdate: { ...teamUpdate, specializations: [...teamUpdate.specializations] } };
const { data: changed } = await teams.updateTeam(change);
assert.deepEqual([changed.queueStrategy, changed.specializations], ["skill_based", ["VPN", "DNS"]]);
assert.equal(changed.description, team.description);
assert.equal((await error(412, teams.updateTeam(change))).code, "PRECONDITION_FAILED");

// Two members, one of them the lead.
const { data: member } = await members.addMember({ teamId, memberAdd: { userId: alice } });
assert.deepEqual([member.name, member.role, member.skills], ["Alice Johnson", "member", []]);
const lead = { userId: sam, role: "lead", skills: ["VPN", "Cisco"] } as const;
const { data: leading } = await members.addMember({ teamId, memberAdd: { ...lead, skills: [...lead.skills] } });
assert.deepEqual([leading.userId, leading.role, leading.skills], [sam, "lead", ["VPN", "Cisco"]]);
assert.equal((await teams.getTeam({ teamId })).data.leadId, sam);

// An idempotency key makes a retry safe.
const workplace = { idempotencyKey: "first", teamCreate: { name: "Workplace" } };
const { data: other } = await teams.createTeam(workplace);
assert.deepEqual((await teams.createTeam(workplace)).data, other);
const reused = await error(422, teams.createTeam({ idempotencyKey: "first", teamCreate: { name: "Helpers" } }));
assert.equal(reused.code, "IDEMPOTENCY_KEY_REUSED");

// Lists have pages and totals.
const page = await teams.listTeams({ page: 2, limit: 1 });
assert.deepEqual(
  page.data.map(({ id }) => id),
  [teamId],
);
assert.deepEqual(page.meta.pagination, { page: 2, limit: 1, total: 2, totalPages: 2, hasMore: false });
const found = await teams.listTeams({ search: "WORK" });
assert.deepEqual(
  found.data.map(({ id, memberCount }) => [id, memberCount]),
  [[other.id, 0]],
);

// A ticket that needs a member with the skill VPN, and its decision.
const ticket = {
  id: "INC-1",
  status: "new",
  priority: "high",
  category: "Network",
  subcategory: "VPN",
  updated_at: "2025-03-03T09:00:00Z",
};
send("ticket.created", ticket);

/** Waits until the ticket has this state, and returns its decision. */
function decisionIn(state: TicketState): Promise<Decision> {
  return eventually(async () => {
    const response = await assignments.getAssignment({ ticketId: ticket.id }).catch((refusal: unknown) => {
      assert(refusal instanceof ResponseError && refusal.response.status === 404, String(refusal));
    });
    return response?.data.state === state ? response.data : undefined;
  });
}

const decision = await decisionIn("assigned");
assert.deepEqual([decision.teamId, decision.assigneeId], [teamId, sam]);
assert.deepEqual([decision.status, decision.strategy], ["new", "skill_based"]);
assert.deepEqual(
  decision.candidates.map(({ userId, matchedSkills }) => [userId, matchedSkills]),
  [
    [sam, 1],
    [alice, 0],
  ],
);
const decisions = await assignments.listAssignments({ teamId });
assert.deepEqual([decisions.data, decisions.meta.pagination.total], [[decision], 1]);

const { data: listed } = await members.listMembers({ teamId });
assert.deepEqual(
  listed.map(({ id, teamRole, openTickets }) => [id, teamRole, openTickets]),
  [
    [alice, "member", 0],
    [sam, "lead", 1],
  ],
);
const { data: workload } = await new WorkloadApi(configuration).getWorkload({ teamId });
assert.deepEqual([workload.totalOpenTickets, workload.totalMembers, workload.avgTicketsPerMember], [1, 2, 0.5]);
assert.equal(workload.slaComplianceRate, null);

// Errors have a code, and some have details.
const leads = await error(409, members.removeMember({ teamId, userId: sam }));
assert.deepEqual([leads.code, leads.details], ["CONFLICT", null]);
assert.equal(leads.path, `/v1/teams/${teamId}/members/${sam}`);
const busy = await error(409, teams.deleteTeam({ teamId }));
assert.deepEqual([busy.code, busy.details?.openTickets], ["CONFLICT", 1]);

const namesake = { teamCreate: { name: " TECHNICAL support" } };
const taken = await error(409, teams.createTeam(namesake));
assert.deepEqual([taken.code, taken.message], ["CONFLICT", "A team with this name already exists"]);
const invalid = await error(400, teams.createTeam({ teamCreate: { name: "" } }));
assert.equal(invalid.code, "VALIDATION_ERROR");
assert.deepEqual([invalid.details?.field, invalid.details?.constraint], ["name", "isNotEmpty"]);

const unknown = await error(404, teams.getTeam({ teamId: "team_00000000-0000-0000-0000-000000000000" }));
assert.deepEqual([unknown.code, unknown.message], ["NOT_FOUND", "Team not found"]);
const reader = new TeamsApi(presenting(stack.keys.itsm.read_only));
const forbidden = await error(403, reader.createTeam(namesake));
assert.deepEqual([forbidden.code, forbidden.details?.requiredScope], ["FORBIDDEN", "teams:write"]);
const stranger = new TeamsApi(presenting("itsm_of_nobody"));
assert.equal((await error(401, stranger.listTeams())).code, "UNAUTHORIZED");

// The ticket is resolved, and the teams are deleted.
send("ticket.updated", { ...ticket, status: "resolved", updated_at: "2025-03-03T10:00:00Z" });
assert.equal((await decisionIn("closed")).status, "resolved");
const membership = { teamId, userId: sam };
const { data: demoted } = await members.updateMember({ ...membership, memberUpdate: { role: "member" } });
assert.equal(demoted.role, "member");
await members.removeMember(membership);
assert.equal((await error(404, members.removeMember(membership))).code, "NOT_FOUND");
for (const id of [teamId, other.id]) {
  await teams.deleteTeam({ teamId: id });
  await error(404, teams.getTeam({ teamId: id }));
}

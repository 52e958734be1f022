/** The walk of docs/tutorial.md through the ITSM contract, with a ticket, by the types of openapi-typescript. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./itsm.js";
import { eventually, expectData, expectError, send, withKey, stack, userId } from "./support.js";

type Decision = components["schemas"]["Decision"];
type TicketState = components["schemas"]["TicketState"];

const client = createClient<paths>(withKey(stack.keys.itsm.admin));
const alice = `usr_${userId("Alice Johnson")}`;
const sam = `usr_${userId("Sam Patel")}`;

// A team.
const { data: team } = expectData(
  201,
  await client.POST("/v1/teams", {
    body: { name: "Technical Support", description: "Handles technical issues" },
  }),
);
assert.equal(team.queue_strategy, "round_robin");
assert.equal(team.lead_id, null);
assert.deepEqual(team.members, []);

// An ETag makes a change conditional on the version that was read.
const path = { team_id: team.id };
const read = await client.GET("/v1/teams/{team_id}", { params: { path } });
const ifMatch = { path, header: { "If-Match": read.response.headers.get("ETag") ?? "" } };
const { data: changed } = expectData(
  200,
  await client.PATCH("/v1/teams/{team_id}", {
    params: ifMatch,
    body: { queue_strategy: "skill_based", specializations: ["VPN", "DNS"] },
  }),
);
assert.equal(changed.queue_strategy, "skill_based");
assert.deepEqual(changed.specializations, ["VPN", "DNS"]);
assert.equal(changed.description, team.description);
const { error: late } = expectError(
  412,
  await client.PATCH("/v1/teams/{team_id}", { params: ifMatch, body: { specializations: [] } }),
);
assert.equal(late.code, "PRECONDITION_FAILED");

// Two members, one of them the lead.
const { data: member } = expectData(
  201,
  await client.POST("/v1/teams/{team_id}/members", { params: { path }, body: { user_id: alice } }),
);
assert.deepEqual([member.name, member.role, member.skills], ["Alice Johnson", "member", []]);

const { data: lead } = expectData(
  201,
  await client.POST("/v1/teams/{team_id}/members", {
    params: { path },
    body: { user_id: sam, role: "lead", skills: ["VPN", "Cisco"] },
  }),
);
assert.deepEqual([lead.user_id, lead.role, lead.skills], [sam, "lead", ["VPN", "Cisco"]]);
const { data: led } = expectData(200, await client.GET("/v1/teams/{team_id}", { params: { path } }));
assert.equal(led.lead_id, sam);

// An idempotency key makes a retry safe.
const params = { header: { "Idempotency-Key": "first" } };
const { data: other } = expectData(201, await client.POST("/v1/teams", { params, body: { name: "Workplace" } }));
const { data: again } = expectData(201, await client.POST("/v1/teams", { params, body: { name: "Workplace" } }));
assert.deepEqual(again, other);
const { error: reused } = expectError(422, await client.POST("/v1/teams", { params, body: { name: "Helpers" } }));
assert.equal(reused.code, "IDEMPOTENCY_KEY_REUSED");

// Lists have pages and totals.
const page = expectData(200, await client.GET("/v1/teams", { params: { query: { page: 2, limit: 1 } } }));
assert.deepEqual(
  page.data.map(({ id }) => id),
  [team.id],
);
assert.deepEqual(page.meta.pagination, { page: 2, limit: 1, total: 2, totalPages: 2, hasMore: false });

const found = expectData(200, await client.GET("/v1/teams", { params: { query: { search: "WORK" } } }));
assert.deepEqual(
  found.data.map(({ id, member_count }) => [id, member_count]),
  [[other.id, 0]],
);
assert.equal(found.meta.pagination.total, 1);

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
    const { data } = await client.GET("/v1/assignments/{ticket_id}", { params: { path: { ticket_id: ticket.id } } });
    return data?.data.state === state ? data.data : undefined;
  });
}

const decision = await decisionIn("assigned");
assert.deepEqual([decision.team_id, decision.assignee_id], [team.id, sam]);
assert.deepEqual([decision.status, decision.strategy], ["new", "skill_based"]);
assert.deepEqual(
  decision.candidates.map(({ user_id, matched_skills }) => [user_id, matched_skills]),
  [
    [sam, 1],
    [alice, 0],
  ],
);

const decisions = expectData(200, await client.GET("/v1/teams/{team_id}/assignments", { params: { path } }));
assert.deepEqual(decisions.data, [decision]);
assert.equal(decisions.meta.pagination.total, 1);

const { data: members } = expectData(200, await client.GET("/v1/teams/{team_id}/members", { params: { path } }));
assert.deepEqual(
  members.map(({ id, team_role, open_tickets }) => [id, team_role, open_tickets]),
  [
    [alice, "member", 0],
    [sam, "lead", 1],
  ],
);

const { data: workload } = expectData(200, await client.GET("/v1/teams/{team_id}/workload", { params: { path } }));
assert.deepEqual([workload.total_open_tickets, workload.total_members, workload.avg_tickets_per_member], [1, 2, 0.5]);
assert.deepEqual(
  workload.members.map(({ user_id, open_tickets }) => [user_id, open_tickets]),
  [
    [alice, 0],
    [sam, 1],
  ],
);
assert.equal(workload.sla_compliance_rate, null);

// Errors have a code, and some have details.
const samsPath = { ...path, user_id: sam };
const { error: leads } = expectError(
  409,
  await client.DELETE("/v1/teams/{team_id}/members/{user_id}", { params: { path: samsPath } }),
);
assert.deepEqual([leads.code, leads.details], ["CONFLICT", null]);
assert.equal(leads.path, `/v1/teams/${team.id}/members/${sam}`);

const { error: busy } = expectError(409, await client.DELETE("/v1/teams/{team_id}", { params: { path } }));
assert.deepEqual([busy.code, busy.details], ["CONFLICT", { openTickets: 1 }]);

const namesake = { body: { name: " TECHNICAL support" } };
const { error: taken } = expectError(409, await client.POST("/v1/teams", namesake));
assert.deepEqual([taken.code, taken.message], ["CONFLICT", "A team with this name already exists"]);

const { error: invalid } = expectError(400, await client.POST("/v1/teams", { body: { name: "" } }));
assert.equal(invalid.code, "VALIDATION_ERROR");
assert.deepEqual(invalid.details, { field: "name", constraint: "isNotEmpty" });

const absent = { team_id: "team_00000000-0000-0000-0000-000000000000" };
const { error: unknown } = expectError(404, await client.GET("/v1/teams/{team_id}", { params: { path: absent } }));
assert.deepEqual([unknown.code, unknown.message], ["NOT_FOUND", "Team not found"]);

const reader = createClient<paths>(withKey(stack.keys.itsm.read_only));
const { error: forbidden } = expectError(403, await reader.POST("/v1/teams", namesake));
assert.deepEqual([forbidden.code, forbidden.details], ["FORBIDDEN", { requiredScope: "teams:write" }]);

const stranger = createClient<paths>(withKey("itsm_of_nobody"));
const { error: unauthorized } = expectError(401, await stranger.GET("/v1/teams"));
assert.equal(unauthorized.code, "UNAUTHORIZED");

// The ticket is resolved, and the teams are deleted.
send("ticket.updated", { ...ticket, status: "resolved", updated_at: "2025-03-03T10:00:00Z" });
assert.equal((await decisionIn("closed")).status, "resolved");

const removal = { params: { path: samsPath } };
const { data: demoted } = expectData(
  200,
  await client.PATCH("/v1/teams/{team_id}/members/{user_id}", { ...removal, body: { role: "member" } }),
);
assert.equal(demoted.role, "member");
expectData(204, await client.DELETE("/v1/teams/{team_id}/members/{user_id}", removal));
const { error: gone } = expectError(404, await client.DELETE("/v1/teams/{team_id}/members/{user_id}", removal));
assert.equal(gone.code, "NOT_FOUND");
for (const team_id of [team.id, other.id]) {
  expectData(204, await client.DELETE("/v1/teams/{team_id}", { params: { path: { team_id } } }));
  expectError(404, await client.GET("/v1/teams/{team_id}", { params: { path: { team_id } } }));
}

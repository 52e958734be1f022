/** The walk of docs/tutorial.md through the TopTickets contract, by the types of openapi-typescript. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./toptickets.js";
import { expectData, expectError, withKey, stack, userId } from "./support.js";

const client = createClient<paths>(withKey(stack.keys.toptickets.admin));
const alice = userId("Alice Johnson");

// A team, and its first member.
const team = expectData(
  201,
  await client.POST("/v1/teams", {
    body: { name: "Technical Support", description: "Handles technical issues" },
  }),
);
assert.equal(team.name, "Technical Support");
assert.equal(team.description, "Handles technical issues");
assert.deepEqual(team.members, []);

const path = { team_id: team.id };
const joined = expectData(
  201,
  await client.POST("/v1/teams/{team_id}/members", { params: { path }, body: { user_id: alice } }),
);
assert.deepEqual(
  joined.members.map(({ id, full_name }) => [id, full_name]),
  [[alice, "Alice Johnson"]],
);
assert.deepEqual(expectData(200, await client.GET("/v1/teams/{team_id}", { params: { path } })), joined);

// Lists have pages.
const page = expectData(200, await client.GET("/v1/teams", { params: { query: { limit: 10 } } }));
assert.deepEqual(
  page.map(({ id, created_at }) => [id, created_at]),
  [[team.id, team.created_at]],
);
assert.deepEqual(expectData(200, await client.GET("/v1/teams", { params: { query: { skip: 1 } } })), []);

// An absent field of a change stays, and null clears one.
const changed = expectData(
  200,
  await client.PATCH("/v1/teams/{team_id}", { params: { path }, body: { description: null } }),
);
assert.equal(changed.name, "Technical Support");
assert.equal(changed.description, null);

const memberPath = { ...path, user_id: alice };
expectData(
  200,
  await client.PATCH("/v1/teams/{team_id}/members/{user_id}", {
    params: { path: memberPath },
    body: { role: "lead", skills: ["VPN"] },
  }),
);
const members = expectData(200, await client.GET("/v1/teams/{team_id}/members", { params: { path } }));
assert.deepEqual(
  members.map(({ id, team_role, skills }) => [id, team_role, skills]),
  [[alice, "lead", ["VPN"]]],
);

// An ETag makes a change conditional on the version that was read.
const read = await client.GET("/v1/teams/{team_id}", { params: { path } });
const rename = {
  params: { path, header: { "If-Match": read.response.headers.get("ETag") ?? "" } },
  body: { name: "Technical Help" },
};
const renamed = expectData(200, await client.PATCH("/v1/teams/{team_id}", rename));
assert.equal(renamed.name, "Technical Help");
const late = expectError(412, await client.PATCH("/v1/teams/{team_id}", rename));
assert.equal(late.detail, "Precondition failed");

// An idempotency key makes a retry safe.
const params = { header: { "Idempotency-Key": "first" } };
const other = expectData(201, await client.POST("/v1/teams", { params, body: { name: "Workplace" } }));
const again = expectData(201, await client.POST("/v1/teams", { params, body: { name: "Workplace" } }));
assert.deepEqual(again, other);
const reused = expectError(422, await client.POST("/v1/teams", { params, body: { name: "Helpers" } }));
assert.equal(reused.detail, "Idempotency-Key reused");

// Errors are a sentence, or a list of all violated rules.
const taken = expectError(422, await client.POST("/v1/teams", { body: { name: " TECHNICAL help" } }));
assert.equal(taken.detail, "Team name already exists");

const invalid = expectError(422, await client.POST("/v1/teams", { body: { name: "" } }));
assert(Array.isArray(invalid.detail));
assert.deepEqual(
  invalid.detail.map(({ loc, type }) => [loc, type]),
  [[["body", "name"], "value_error.any_str.min_length"]],
);

const absent = { team_id: "00000000-0000-0000-0000-000000000000" };
const unknown = expectError(404, await client.GET("/v1/teams/{team_id}", { params: { path: absent } }));
assert.equal(unknown.detail, "Team not found");

const reader = createClient<paths>(withKey(stack.keys.toptickets.read_only));
const forbidden = expectError(403, await reader.DELETE("/v1/teams/{team_id}", { params: { path } }));
assert.equal(forbidden.detail, "Insufficient permissions. Required scope: teams:delete");

const stranger = createClient<paths>(withKey("tt_live_of_nobody"));
const unauthorized = expectError(401, await stranger.GET("/v1/teams"));
assert.equal(unauthorized.detail, "Invalid API key");

// The member is removed, and the teams are deleted.
const removal = { params: { path: memberPath } };
expectData(204, await client.DELETE("/v1/teams/{team_id}/members/{user_id}", removal));
const gone = expectError(404, await client.DELETE("/v1/teams/{team_id}/members/{user_id}", removal));
assert.equal(gone.detail, "Member not found");
for (const team_id of [team.id, other.id]) {
  expectData(204, await client.DELETE("/v1/teams/{team_id}", { params: { path: { team_id } } }));
  expectError(404, await client.GET("/v1/teams/{team_id}", { params: { path: { team_id } } }));
}

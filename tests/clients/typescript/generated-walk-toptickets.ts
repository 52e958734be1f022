/** The walk of docs/tutorial.md through the TopTickets contract, by the client of openapi-generator. */

import assert from "node:assert/strict";
import {
  Configuration,
  MembersApi,
  ModelErrorFromJSON,
  ResponseError,
  TeamsApi,
} from "./generated-toptickets/index.js";
import { expectRefusal, stack, userId } from "./support.js";

/** Returns the settings of a client with this key. */
function presenting(accessToken: string): Configuration {
  return new Configuration({ basePath: stack.url, accessToken });
}

/** Returns the detail of a call that must fail: a sentence, or a list of violations. */
async function detail(status: number, call: Promise<unknown>): Promise<unknown> {
  return ModelErrorFromJSON(await expectRefusal(status, ResponseError, call)).detail;
}

const configuration = presenting(stack.keys.toptickets.admin);
const teams = new TeamsApi(configuration);
const members = new MembersApi(configuration);
const alice = userId("Alice Johnson");

// A team, and its first member.
const team = await teams.createTeam({
  teamCreate: { name: "Technical Support", description: "Handles technical issues" },
});
assert.deepEqual(
  [team.name, team.description, team.members],
  ["Technical Support", "Handles technical issues", []],
);
const teamId = team.id;
const joined = await members.addMember({ teamId, memberAdd: { userId: alice } });
assert.deepEqual(
  joined.members.map(({ id, fullName }) => [id, fullName]),
  [[alice, "Alice Johnson"]],
);
assert.deepEqual(await teams.getTeam({ teamId }), joined);

// Lists have pages.
const page = await teams.listTeams({ limit: 10 });
assert.deepEqual(
  page.map(({ id, createdAt }) => [id, createdAt]),
  [[teamId, team.createdAt]],
);
assert.deepEqual(await teams.listTeams({ skip: 1 }), []);

// An absent field of a change stays, and null clears one.
const changed = await teams.updateTeam({ teamId, teamUpdate: { description: null } });
assert.deepEqual([changed.name, changed.description], ["Technical Support", null]);
const membership = { teamId, userId: alice };
await members.updateMember({ ...membership, memberUpdate: { role: "lead", skills: ["VPN"] } });
const listed = await members.listMembers({ teamId });
assert.deepEqual(
  listed.map(({ id, teamRole, skills }) => [id, teamRole, skills]),
  [[alice, "lead", ["VPN"]]],
);

// An ETag makes a change conditional on the version that was read.
const read = await teams.getTeamRaw({ teamId });
const rename = { teamId, ifMatch: read.raw.headers.get("ETag") ?? "", teamUpdate: { name: "Technical Help" } };
assert.equal((await teams.updateTeam(rename)).name, "Technical Help");
assert.equal(await detail(412, teams.updateTeam(rename)), "Precondition failed");

// An idempotency key makes a retry safe.
const workplace = { idempotencyKey: "first", teamCreate: { name: "Workplace" } };
const other = await teams.createTeam(workplace);
assert.deepEqual(await teams.createTeam(workplace), other);
const reused = await detail(422, teams.createTeam({ idempotencyKey: "first", teamCreate: { name: "Helpers" } }));
assert.equal(reused, "Idempotency-Key reused");

// Errors are a sentence, or a list of all violated rules.
const taken = await detail(422, teams.createTeam({ teamCreate: { name: " TECHNICAL help" } }));
assert.equal(taken, "Team name already exists");
const violations = await detail(422, teams.createTeam({ teamCreate: { name: "" } }));
assert.deepEqual(violations, [
  { loc: ["body", "name"], msg: "name must not be empty", type: "value_error.any_str.min_length" },
]);
const unknown = await detail(404, teams.getTeam({ teamId: "00000000-0000-0000-0000-000000000000" }));
assert.equal(unknown, "Team not found");
const reader = new TeamsApi(presenting(stack.keys.toptickets.read_only));
assert.equal(
  await detail(403, reader.deleteTeam({ teamId })),
  "Insufficient permissions. Required scope: teams:delete",
);
const stranger = new TeamsApi(presenting("tt_live_of_nobody"));
assert.equal(await detail(401, stranger.listTeams()), "Invalid API key");

// The member is removed, and the teams are deleted.
await members.removeMember(membership);
assert.equal(await detail(404, members.removeMember(membership)), "Member not found");
for (const id of [teamId, other.id]) {
  await teams.deleteTeam({ teamId: id });
  await detail(404, teams.getTeam({ teamId: id }));
}

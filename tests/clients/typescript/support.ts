/** What the walks share: the stack that they walk on, and ways to say what has to come. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The keys for one contract. */
interface Keys {
  admin: string;
  read_only: string;
}

/** A local stack, as `muster dev --json` describes it. */
interface Stack {
  url: string;
  organization_id: string;
  keys: { toptickets: Keys; itsm: Keys };
  users: { id: string; name: string }[];
}

/** A snapshot of a ticket, as far as it is of interest here. */
interface Ticket {
  id: string;
  status: string;
  priority: string;
  category: string;
  subcategory: string;
  updated_at: string;
}

/** How long what follows from a ticket may take, in milliseconds. */
const PATIENCE = 30_000;

/** The stack that standard input describes. */
export const stack = JSON.parse(readFileSync(0, "utf8")) as Stack;

/** What a client that shows this key to the stack is made with. */
export function showing(key: string) {
  return { baseUrl: stack.url, headers: { Authorization: `Bearer ${key}` } };
}

/** The bare UUID of a demo user. */
export function userId(name: string): string {
  const user = stack.users.find((user) => user.name === name);
  assert(user, `${name} is a demo user`);
  return user.id;
}

/** Puts a snapshot of a ticket on the ticket queue, as an event of this type. */
export function send(type: string, ticket: Ticket): void {
  const event = {
    specversion: "1.0",
    id: `${type} ${ticket.updated_at}`,
    source: "/desk",
    type,
    data: { organization_id: stack.organization_id, ticket },
  };
  execFileSync("muster", ["tickets", "send", "-", "--to", stack.url], { input: JSON.stringify(event) });
}

/** What the generated clients answer with. */
interface Answer<Data, Failure> {
  data?: Data;
  error?: Failure;
  response: Response;
}

/** The data of a success that has to have this status. */
export function expectData<Data>(status: number, { data, error, response }: Answer<Data, unknown>): Data {
  assert(response.status === status, `${response.status} in place of ${status}: ${JSON.stringify(error ?? data)}`);
  return data as Data;
}

/** The error of a failure that has to have this status. */
export function expectError<Failure>(status: number, { data, error, response }: Answer<unknown, Failure>): Failure {
  assert(response.status === status, `${response.status} in place of ${status}: ${JSON.stringify(error ?? data)}`);
  return error as Failure;
}

/** The exception that clients of openapi-generator throw for an error response. */
type ResponseError = Error & { response: Response };

/** The body of the error response, of this status, that a call is refused with. */
export async function expectRefusal(
  status: number,
  kind: new (response: Response) => ResponseError,
  call: Promise<unknown>,
): Promise<unknown> {
  const refusal = await call.then(
    (data: unknown) => assert.fail(`${JSON.stringify(data)} in place of ${status}`),
    (reason: unknown) => reason,
  );
  assert(refusal instanceof kind, String(refusal));
  const body: unknown = await refusal.response.json();
  assert(refusal.response.status === status, `${refusal.response.status} in place of ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** What a question is answered with in the end: what comes of tickets comes a moment later. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    assert(Date.now() < deadline, "what had to come of a ticket did not");
    await sleep(50);
  }
}

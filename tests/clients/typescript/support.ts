/** The stack and the assertions that the walks share. */

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

/** The fields of a ticket that the walks use. */
interface Ticket {
  id: string;
  status: string;
  priority: string;
  category: string;
  subcategory: string;
  updated_at: string;
}

/** Milliseconds until the effects of a ticket must be visible. */
const PATIENCE = 30_000;

/** The stack that standard input describes. */
export const stack = JSON.parse(readFileSync(0, "utf8")) as Stack;

/** Returns the options of a client with this key. */
export function withKey(key: string) {
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

/** The result of a call of a generated client. */
interface Result<Data, Failure> {
  data?: Data;
  error?: Failure;
  response: Response;
}

/** Returns the data of a success, which must have this status. */
export function expectData<Data>(status: number, { data, error, response }: Result<Data, unknown>): Data {
  assert(response.status === status, `${response.status} instead of ${status}: ${JSON.stringify(error ?? data)}`);
  return data as Data;
}

/** Returns the error of a failure, which must have this status. */
export function expectError<Failure>(status: number, { data, error, response }: Result<unknown, Failure>): Failure {
  assert(response.status === status, `${response.status} instead of ${status}: ${JSON.stringify(error ?? data)}`);
  return error as Failure;
}

/** The exception that clients of openapi-generator throw for an error response. */
type ResponseError = Error & { response: Response };

/** Returns the body of the error response of a call that must fail with this status. */
export async function expectRefusal(
  status: number,
  kind: new (response: Response) => ResponseError,
  call: Promise<unknown>,
): Promise<unknown> {
  const refusal = await call.then(
    (data: unknown) => assert.fail(`${JSON.stringify(data)} instead of ${status}`),
    (reason: unknown) => reason,
  );
  assert(refusal instanceof kind, String(refusal));
  const body: unknown = await refusal.response.json();
  assert(refusal.response.status === status, `${refusal.response.status} instead of ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Repeats a query until it has a result, because the effects of a ticket are asynchronous. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const result = await ask();
    if (result !== undefined) return result;
    assert(Date.now() < deadline, "the ticket had no effect in time");
    await sleep(50);
  }
}

import { createHash } from "node:crypto";
import type postgres from "postgres";
import { ApiError } from "../errors.ts";
import type { Sql, Statement } from "./sql.ts";
import { constraintOf } from "./pg_errors.ts";
import { runPrepared, timed } from "./query_deadline.ts";

/*
 * `lotline.idempotency_keys`: the responses to requests that may come again. A row exists exactly when
 * the request has had its effect, since one transaction stores both.
 */

/** A request's key with a digest of the request. */
export interface IdempotencyKey {
  /** The account's id, or empty. Keys of different callers are different keys. */
  readonly caller: string;
  readonly key: string;
  /** SHA-256 of the request, in hex. */
  readonly request: string;
  /** See `account` in http/operation.ts. */
  readonly account?: string;
}

interface Executed<Saved> {
  /** The id of what the request stored. */
  readonly effect: string;
  /** Null: no response was sent yet. */
  readonly response: Saved | null;
}

/** The digest of the request that a key was used for; nothing for a new key. */
export async function findRequest(
  sql: Sql,
  { caller, key }: IdempotencyKey,
): Promise<string | undefined> {
  const [row] = await timed(sql)<{ request: string }[]>`
    select encode(request, 'hex') as request from lotline.idempotency_keys
    where caller = ${caller} and key = ${key}`;
  return row?.request;
}

/**
 * The CTE, behind another one, that stores a key with its effect; nothing without a key.
 *
 * @param effect its id, as in a `select`, with its `from`
 */
export function withSavedKey(
  sql: Sql,
  key: IdempotencyKey | undefined,
  effect: Statement,
): Statement {
  if (key === undefined) return sql``;
  return sql`, kept as (${insertion(sql, key, effect)})`;
}

/** Stores a key with the id of its effect, in the transaction of the effect. */
export async function saveKey(sql: Sql, key: IdempotencyKey, effect: string): Promise<void> {
  await insertion(sql, key, sql`${effect}`);
}

function insertion(sql: Sql, { caller, key, request, account }: IdempotencyKey, effect: Statement) {
  return sql`
    insert into lotline.idempotency_keys (caller, key, request, account, effect)
    select ${caller}, ${key}, decode(${request}, 'hex'), ${account ?? null}::text, ${effect}`;
}

export async function findExecuted<Saved>(
  sql: Sql,
  { caller, key }: IdempotencyKey,
): Promise<Executed<Saved>> {
  const [executed] = await timed(sql)<Executed<Saved>[]>`
    select effect, answer as response from lotline.idempotency_keys
    where caller = ${caller} and key = ${key}`;
  // It existed a moment ago: upkeep has deleted it since.
  if (executed === undefined) throw keyInFlight();
  return executed;
}

/**
 * Stores the response to a request and returns it; if another one was stored first, returns that. For
 * a deleted key nothing is stored.
 */
export async function saveResponse<Saved>(
  sql: Sql,
  { caller, key }: IdempotencyKey,
  response: Saved,
): Promise<Saved> {
  const [row] = await timed(sql)<{ saved: Saved }[]>`
    update lotline.idempotency_keys
    set answer = coalesce(answer, ${JSON.stringify(response)}::text::json)
    where caller = ${caller} and key = ${key} returning answer as saved`;
  return row?.saved ?? response;
}

/** The row that was stored as a key's response. */
export async function findSavedRow<Row extends postgres.MaybeRow>(
  sql: Sql,
  table: string,
  columns: Iterable<string>,
  { caller, key }: IdempotencyKey,
): Promise<Row> {
  // Through the table's types: JSON's numbers would lose their scale.
  const text = `
    select ${[...columns].map((name) => `stored.${name}`)}
    from lotline.idempotency_keys, json_populate_record(null::${table}, answer) stored
    where caller = $1 and key = $2`;
  const [row] = await runPrepared<Row>(sql, text, [caller, key]);
  if (row === undefined) throw keyInFlight();
  return row;
}

/**
 * The number of the lock that a statement with this key holds, as text: a second one fails at once
 * instead of waiting. The primary key makes sure that there is one effect.
 */
export function lockOf({ caller, key }: IdempotencyKey): string {
  return createHash("sha256").update(`${caller}\n${key}`).digest().readBigInt64BE().toString();
}

/** Whether a statement failed because another one has stored its key meanwhile. */
export function wasStoredMeanwhile(error: unknown): boolean {
  return constraintOf(error) === "idempotency_keys_pkey";
}

export function keyInFlight(): ApiError {
  return new ApiError(
    "key_in_flight",
    "The first request with this Idempotency-Key is still being worked on, try again shortly",
    { headers: { "retry-after": "1" } },
  );
}

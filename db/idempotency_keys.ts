import { createHash } from "node:crypto";
import type postgres from "postgres";
import { ApiError } from "../errors.ts";
import type { Sql, Statement } from "./sql.ts";
import { constraintOf } from "./pg_errors.ts";
import { queryWithDeadline, timed } from "./query_deadline.ts";

/*
 * `lotline.idempotency_keys`: what was answered to requests that may come again. A row is there
 * exactly when the request has had its effect, since one transaction stores both.
 */

/** The name that a client has given to a request, with what the request is. */
export interface IdempotencyKey {
  /** The account's id; empty: nobody's. Keys of others are other keys. */
  readonly caller: string;
  readonly key: string;
  /** SHA-256 of the request, in hex. */
  readonly request: string;
  /** On whose account it counts: see http/account.ts. */
  readonly account?: string;
}

/** What is kept of a request that was begun. */
interface Executed<Saved> {
  readonly effect: string;
  /** Null: nobody has been told anything yet. */
  readonly answer: Saved | null;
}

/** The request that a key was used for, as {@link IdempotencyKey} has it; nothing for a new key. */
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
 * The CTE that keeps a key with an effect, to stand behind another one in the statement that has the
 * effect; nothing without a key.
 *
 * @param effect its id, as it would stand behind `select`, with its `from`
 */
export function withSavedKey(
  sql: Sql,
  key: IdempotencyKey | undefined,
  effect: Statement,
): Statement {
  if (key === undefined) return sql``;
  return sql`, kept as (${insertion(sql, key, effect)})`;
}

/** Keeps a key with the id of its effect, in the transaction that has the effect. */
export async function saveKey(sql: Sql, key: IdempotencyKey, effect: string): Promise<void> {
  await insertion(sql, key, sql`${effect}`);
}

function insertion(sql: Sql, { caller, key, request, account }: IdempotencyKey, effect: Statement) {
  return sql`
    insert into lotline.idempotency_keys (caller, key, request, account, effect)
    select ${caller}, ${key}, decode(${request}, 'hex'), ${account ?? null}::text, ${effect}`;
}

/** What a key that is kept with an effect was used for. */
export async function findExecuted<Saved>(
  sql: Sql,
  { caller, key }: IdempotencyKey,
): Promise<Executed<Saved>> {
  const [executed] = await timed(sql)<Executed<Saved>[]>`
    select effect, answer from lotline.idempotency_keys
    where caller = ${caller} and key = ${key}`;
  // It was there a moment ago: upkeep has deleted it since.
  if (executed === undefined) throw keyInFlight();
  return executed;
}

/**
 * Keeps what an effect's request is answered, and gives it back: what somebody else has kept, if
 * that was first. A key that is gone by now keeps nothing.
 */
export async function saveResponse<Saved>(
  sql: Sql,
  { caller, key }: IdempotencyKey,
  response: Saved,
): Promise<Saved> {
  const [row] = await timed(sql)<{ answer: Saved }[]>`
    update lotline.idempotency_keys
    set answer = coalesce(answer, ${JSON.stringify(response)}::text::json)
    where caller = ${caller} and key = ${key} returning answer`;
  return row?.answer ?? response;
}

/** The row that was kept as a key's answer, its values as the table's own would come. */
export async function findSavedRow<Row extends postgres.MaybeRow>(
  sql: Sql,
  table: string,
  columns: Iterable<string>,
  { caller, key }: IdempotencyKey,
): Promise<Row> {
  // Through the table's types: JSON's numbers would lose their scale on the way.
  const [row] = await queryWithDeadline(
    sql,
    sql.unsafe<Row[]>(
      `select ${[...columns].map((name) => `stored.${name}`)}
      from lotline.idempotency_keys, json_populate_record(null::${table}, answer) stored
      where caller = $1 and key = $2`,
      [caller, key],
      { prepare: true },
    ),
  );
  if (row === undefined) throw keyInFlight();
  return row;
}

/**
 * The number of the lock that a statement with this key holds while it runs, as text. It keeps a
 * second one from waiting for the first; that there is one effect is the primary key's work.
 */
export function lockOf({ caller, key }: IdempotencyKey): string {
  return createHash("sha256").update(`${caller}\n${key}`).digest().readBigInt64BE().toString();
}

/** Whether a statement has failed because its key was kept by another one meanwhile. */
export function wasStoredMeanwhile(error: unknown): boolean {
  return constraintOf(error) === "idempotency_keys_pkey";
}

/** The 409 of a request whose first try isn't over. */
export function keyInFlight(): ApiError {
  return new ApiError(
    "key_in_flight",
    "The first request with this Idempotency-Key is still being worked on, try again shortly",
    { headers: { "retry-after": "1" } },
  );
}

import type postgres from "postgres";
import { ApiError } from "../errors.ts";
import { type IdempotencyKey, keyInFlight, lockOf } from "./idempotency_keys.ts";
import { oneRow } from "./one_row.ts";
import { constraintOf } from "./pg_errors.ts";
import { activeTraceparent } from "../telemetry/tracing.ts";
import type { Write } from "./write.ts";

/** Values as text that PostgreSQL reads. */
export type ColumnValues<Column extends string> = Partial<
  Readonly<Record<Column, string | null | undefined>>
>;

/**
 * Inserts a row and returns it. It names just the columns in `types` that `values` has: an absent one
 * gets its default, a null stays null. Each value is sent as text and cast by PostgreSQL, whose rules
 * for scale, time zones and JSON apply.
 *
 * @param types the table's columns in their order, with their types
 * @param key is stored in the same statement, with the row as its response
 * @throws {ApiError} 409 when another statement with the key is running
 */
export async function insertRow<Row extends postgres.MaybeRow, Column extends string>(
  write: Write,
  table: string,
  types: Readonly<Record<Column, string>>,
  values: ColumnValues<Column>,
  key?: IdempotencyKey,
): Promise<Row> {
  const names: Column[] = [];
  const cells: string[] = [];
  const parameters: (string | null)[] = [];
  for (const name in types) {
    const value = values[name];
    if (value === undefined) continue;
    names.push(name);
    cells.push(`$${parameters.push(value)}::text::${types[name]}`);
  }
  // Built by hand, since a fragment for each cell doubled the cost of an insert.
  const columns = Object.keys(types);
  const traceparent = activeTraceparent();
  if (key === undefined && traceparent !== undefined) {
    const at = parameters.push(traceparent);
    const rows = await write<Row>({
      text: `insert into ${table} (${names}) select ${cells} from ${carried(`$${at}::text`)}
        returning ${columns}`,
      parameters,
      batched: () => `
        insert into ${table} (${names})
        select ${names.map((name, at) => `cell${at}::${types[name]}`)}
        from unnest(${names.map((_, at) => `$${at + 1}::text::text[]`)})
          as given(${names.map((_, at) => `cell${at}`)}),
          ${carried(`array_to_string($${at}::text::text[], ',')`)}
        returning ${columns}`,
    });
    return oneRow(rows);
  }
  if (key === undefined) {
    const rows = await write<Row>({
      text: `insert into ${table} (${names}) values (${cells}) returning ${columns}`,
      parameters,
      batched: () => `
        insert into ${table} (${names})
        select ${names.map((name, at) => `cell${at}::${types[name]}`)}
        from unnest(${names.map((_, at) => `$${at + 1}::text::text[]`)})
          as given(${names.map((_, at) => `cell${at}`)})
        returning ${columns}`,
    });
    return oneRow(rows);
  }
  const first =
    parameters.push(lockOf(key), key.caller, key.key, key.request, key.account ?? null) - 4;
  const from = traceparent === undefined
    ? ""
    : ` from ${carried(`$${parameters.push(traceparent)}::text`)}`;
  const text = `
    with stored as (
      insert into ${table} (${names})
      select ${cells}${from} where pg_try_advisory_xact_lock($${first}::text::bigint)
      returning ${columns}
    ), kept as (
      insert into lotline.idempotency_keys (caller, key, request, account, answer)
      select $${first + 1}, $${first + 2}, decode($${first + 3}, 'hex'), $${first + 4}::text,
        row_to_json(stored)
      from stored
    )
    select ${columns} from stored`;
  const [row] = await write<Row>({ text, parameters });
  if (row === undefined) throw keyInFlight();
  return row;
}

/**
 * Keeps the trace of a request for this transaction only, where the outbox's default finds it: a pooler
 * may give the connection to another client afterwards.
 */
const carried = (traceparent: string) =>
  `set_config('lotline.traceparent', ${traceparent}, true) carried`;

/**
 * A handler for `catch` that turns a violated constraint into the client's error, by the constraint's
 * name; anything else is thrown again.
 */
export function conflictsOf(
  responses: Readonly<Record<string, () => ApiError>>,
): (thrown: unknown) => never {
  return (thrown) => {
    const name = constraintOf(thrown);
    throw (name === undefined ? undefined : responses[name]?.()) ?? thrown;
  };
}

/** A reference to a row that isn't there. */
export function unknownReference(field: string, noun: string): ApiError {
  return new ApiError("unknown_reference", `${field} names no ${noun} that exists`);
}

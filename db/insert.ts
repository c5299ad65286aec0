import type postgres from "postgres";
import { type IdempotencyKey, keyInFlight, lockOf } from "./idempotency_keys.ts";
import type { Write } from "./write.ts";

/**
 * Inserts a row and returns it. It names just the columns in `types` that `values` has: an absent one
 * gets its default, a null stays null. Each value is sent as text and cast by PostgreSQL, whose rules
 * for scale, time zones and JSON apply.
 *
 * @param types the table's columns in their order, with their types
 * @param key is stored in the same statement, with the row as its answer
 * @throws {ApiError} 409 when another statement with the key is running
 */
export async function insertRow<Row extends postgres.MaybeRow, Column extends string>(
  write: Write,
  table: string,
  types: Readonly<Record<Column, string>>,
  values: Partial<Readonly<Record<Column, string | null | undefined>>>,
  key?: IdempotencyKey,
): Promise<Row[]> {
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
  if (key === undefined) {
    return await write<Row>({
      text: `insert into ${table} (${names}) values (${cells}) returning ${columns}`,
      parameters,
      batched: () => `
        insert into ${table} (${names})
        select ${names.map((name, at) => `cell${at}::${types[name]}`)}
        from unnest(${names.map((_, at) => `$${at + 1}::text::text[]`)})
          as given(${names.map((_, at) => `cell${at}`)})
        returning ${columns}`,
    });
  }
  const first =
    parameters.push(lockOf(key), key.caller, key.key, key.request, key.account ?? null) - 4;
  const text = `
    with stored as (
      insert into ${table} (${names})
      select ${cells} where pg_try_advisory_xact_lock($${first}::text::bigint)
      returning ${columns}
    ), kept as (
      insert into lotline.idempotency_keys (caller, key, request, account, answer)
      select $${first + 1}, $${first + 2}, decode($${first + 3}, 'hex'), $${first + 4}::text,
        row_to_json(stored)
      from stored
    )
    select ${columns} from stored`;
  const rows = await write<Row>({ text, parameters });
  if (rows.length === 0) throw keyInFlight();
  return rows;
}

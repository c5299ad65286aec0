import type { Sql } from "./connect.ts";

/** Finds what `findAll` finds, for one key each. */
export function findTogether<Found>(
  sql: Sql,
  findAll: (sql: Sql, keys: readonly string[]) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  return async (key) => (await findAll(sql, [key])).get(key);
}

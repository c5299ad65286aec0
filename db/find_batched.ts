import type { Sql } from "./sql.ts";
import { batchedQuery } from "./batched_query.ts";
import { isStatementTimeout, wasRolledBack } from "./pg_errors.ts";

const SHARE_OF_POOL = 1 / 2;

/**
 * Finds the row of one key. Concurrent requests share a statement, which costs little more for ten
 * keys than for one.
 *
 * @param findAll reads all keys at one moment; an unknown key has no entry
 */
export function findBatched<Found>(
  sql: Sql,
  findAll: (
    sql: Sql,
    keys: readonly string[],
    deadlineMs: number,
  ) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  return batchedQuery(sql, SHARE_OF_POOL, {
    async runBatch(keys, deadlineMs) {
      const found = await findAll(sql, keys, deadlineMs);
      return (key) => found.get(key);
    },
    runOne: async (key, deadlineMs) => (await findAll(sql, [key], deadlineMs)).get(key),
    // A key that takes very long, or that PostgreSQL can't read, must not fail the others.
    shouldRunAlone: (error) => wasRolledBack(error) || isStatementTimeout(error),
  });
}

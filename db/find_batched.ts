import type { Sql } from "./sql.ts";
import { batchedQuery } from "./batched_query.ts";
import { isStatementTimeout, wasRolledBack } from "./pg_errors.ts";

const SHARE_OF_POOL = 1 / 2;

/**
 * Finds what `findAll` finds, for one key each: for ten keys a statement costs PostgreSQL and this
 * process little more than for one.
 *
 * @param findAll looks for all keys at one moment; what isn't there has no entry
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
    // One that takes very long, or that PostgreSQL can't read, must not take the others with it.
    shouldRunAlone: (error) => wasRolledBack(error) || isStatementTimeout(error),
  });
}

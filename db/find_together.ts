import { gather } from "../gather.ts";
import type { Sql } from "./connect.ts";
import { isUndone } from "./undone.ts";

/** So many are looked for in one statement at most. */
const MOST_TOGETHER = 16;

/**
 * Finds what `findAll` finds, for one key each. What is asked for in one turn of the event loop, or
 * while half of the pool's connections are busy with it, is looked for together: for ten keys a
 * statement costs PostgreSQL and this process little more than for one.
 *
 * @param findAll looks for all keys at one moment; what isn't there has no entry
 */
export function findTogether<Found>(
  sql: Sql,
  findAll: (sql: Sql, keys: readonly string[]) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  type Find = (key: string) => Promise<Found | undefined> | Found | undefined;
  const bounds = { atOnce: Math.ceil(sql.options.max / 2), most: MOST_TOGETHER };
  const askTogether = gather(async (keys: readonly string[]): Promise<Find> => {
    try {
      const found = await findAll(sql, keys);
      return (key) => found.get(key);
    } catch (error) {
      if (keys.length === 1 || !isUndone(error)) throw error;
      // One that takes very long, or that PostgreSQL can't read, must not take the others with it.
      return async (key) => (await findAll(sql, [key])).get(key);
    }
  }, bounds);
  return async (key) => {
    const { answer: find } = await askTogether(key);
    return await find(key);
  };
}

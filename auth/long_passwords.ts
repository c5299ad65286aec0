import { LRUCache } from "lru-cache";
import type { Sql } from "../db/sql.ts";
import { recordLongPassword } from "../db/accounts.ts";
import { describeError, type Log } from "../log.ts";

/** Further accounts are skipped until their next login. */
const MAX_WAITING = 100;

/**
 * Records accounts whose password has more bytes than bcrypt reads, for `deno task user audit`.
 * Works in the background, one account after the other: no login waits for it or fails with it.
 */
export function createLongPasswordNotes(sql: Sql, log: Log): (userId: string) => void {
  // Accounts that were stored in the last day; some 100 bytes each.
  const stored = new LRUCache<string, true>({ max: 10_000, ttl: 24 * 3_600_000, ttlResolution: 0 });
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const store = async (userId: string) => {
    try {
      await recordLongPassword(sql, userId);
    } catch (error) {
      stored.delete(userId);
      log("warn", "long_password_not_noted", { error: describeError(error) });
    }
    waiting--;
  };
  return (userId) => {
    if (stored.has(userId) || waiting >= MAX_WAITING) return;
    stored.set(userId, true);
    waiting++;
    last = last.then(() => store(userId));
  };
}

import type { Sql } from "../db/sql.ts";
import { recordLongPassword } from "../db/long_passwords.ts";
import { describeError, type Log } from "../log.ts";

/** An account is stored at most once in this time, in ms. */
const STORE_AGAIN_MS = 24 * 3_600_000;
/** Some 100 bytes each; beyond this number all are forgotten, and stored again. */
const MAX_REMEMBERED = 10_000;
/** Further accounts are skipped until their next login. */
const MAX_WAITING = 100;

/**
 * Records accounts whose password has more bytes than bcrypt reads, for `deno task user audit`.
 * Works in the background, one account after the other: no login waits for it or fails with it.
 */
export function createLongPasswordNotes(sql: Sql, log: Log): (userId: string) => void {
  const stored = new Map<string, number>();
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
    const now = performance.now();
    if (now - (stored.get(userId) ?? -Infinity) < STORE_AGAIN_MS || waiting >= MAX_WAITING) return;
    if (stored.size >= MAX_REMEMBERED) stored.clear();
    stored.set(userId, now);
    waiting++;
    last = last.then(() => store(userId));
  };
}

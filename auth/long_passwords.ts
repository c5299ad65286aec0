import type { Sql } from "../db/sql.ts";
import { recordLongPassword } from "../db/long_passwords.ts";
import { describeError, type Log } from "../log.ts";

/** How long an account that was stored isn't stored again, in ms. */
const STORE_AGAIN_MS = 24 * 3_600_000;
/** Some 100 bytes each; of more they are forgotten, and stored again. */
const MAX_REMEMBERED = 10_000;
/** Further ones are left out: the account's next login tells again. */
const MAX_WAITING = 100;

/**
 * Stores whose passwords were typed with more bytes than bcrypt reads, for `deno task user audit`. No
 * login waits for it or fails with it: one after the other, in the background, once a day each.
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

import { endingOf, findLockHolder, isNamed, type LockHolder } from "../db/lock_holders.ts";
import { RELAY_LOCK, tryRelayLock } from "../db/outbox.ts";
import type { Sql } from "../db/sql.ts";
import { limitRepeats, type Log } from "../log.ts";
import { delay } from "../timing.ts";

/** The relay's `application_name`. */
export const RELAY_NAME = "lotline-relay";
/** How often a waiting relay tries to take its turn, in ms. */
const TURN_MS = 1_000;
/** How often it looks who has the lock, in tries; the first time after the second. */
const LOOK_EVERY = 10;
/** A relay sends something more often than that, in s; PostgreSQL ends one that doesn't. */
const MAX_SILENCE_S = 10;

/** Whether the connection with the lock is that of a relay; a silent one may be left over. */
export function isWorkingRelay(holder: LockHolder): boolean {
  return isNamed(holder, RELAY_NAME) && (holder.silentS ?? 0) <= MAX_SILENCE_S;
}

// Without the database's user: a person's own may be among them.
const fieldsOf = ({ pid, application, client, connectedAt, idleAt }: LockHolder) => ({
  pid,
  application,
  client: client ?? undefined,
  connected_at: connectedAt ?? undefined,
  idle_since: idleAt ?? undefined,
});

/** The turns of one relay. */
export function createTurns(log: Log, now?: () => number) {
  const logLimited = limitRepeats(log, now);
  let known: number | undefined;

  /** Logs each other relay once, and what isn't a working relay once a minute. */
  async function reportHolder(sql: Sql): Promise<void> {
    const holder = await findLockHolder(sql, RELAY_LOCK);
    if (holder === undefined) return;
    if (!isWorkingRelay(holder)) {
      const todo = endingOf(holder);
      logLimited("blocked", "warn", "relay_blocked", { ...fieldsOf(holder), todo });
    } else if (holder.pid !== known) {
      log("info", "relay_waits", fieldsOf(holder));
    }
    known = holder.pid;
  }

  return {
    /** Waits for the relay's lock, which ends with the connection. */
    async take(stop: AbortSignal, sql: Sql): Promise<void> {
      for (let tries = 1; !stop.aborted; tries++) {
        if (await tryRelayLock(sql)) return;
        // After the first, it may be that of a connection that is just closing.
        if (tries % LOOK_EVERY === 2) await reportHolder(sql);
        await delay(TURN_MS, stop);
      }
    },
  };
}

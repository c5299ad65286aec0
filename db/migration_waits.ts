import { delay } from "../timing.ts";
import {
  describeHolder,
  endingOf,
  isNamed,
  listBlockers,
  type LockHolder,
} from "./lock_holders.ts";
import type { Sql } from "./sql.ts";

/** Waits are reported from here on, in ms. */
export const REPORT_AFTER_MS = 1_000;
/** And again this long after each report. */
export const REPORT_EVERY_MS = 30_000;
/** A step in a transaction waits at most 300 ms for a lock: its first look comes before. */
const FIRST_LOOK_MS = 100;
const LOOK_EVERY_MS = 1_000;
/** A connection that is idle for longer is taken for a forgotten one, in s. */
const STUCK_S = 60;
/** The commands that take the lock of a migration. */
export const MIGRATING = ["lotline-migrate", "lotline-cutover"];

/** The line of a run that waits for its turn. */
export function waitForTurn(holder: LockHolder): string {
  const isExpected = MIGRATING.some((name) => isNamed(holder, name));
  return `Waiting for another migration: ${describeHolder(holder)} has the lock` +
    (isExpected && !isStuck(holder) ? "" : advice(holder));
}

/** What a step waits for, as the end of a sentence. */
export function describeBlockers(blockers: readonly LockHolder[]): string {
  return blockers.map(describeHolder).join(" and ") +
    blockers.filter(isStuck).map(advice).join("");
}

/** Whether it is idle for longer than a migration is. */
export const isStuck = ({ idleAt, silentS }: LockHolder) =>
  idleAt !== null && (silentS ?? 0) > STUCK_S;

const advice = (holder: LockHolder) => `; when it is left over, end it with: ${endingOf(holder)}`;

/**
 * Watches for which connections a step of a migration waits.
 *
 * @param sql another connection than the step's
 * @param pid the number of the step's connection
 * @param report called with a line when it waits for over a second, and every 30 s
 */
export function watchStep(
  { sql, pid, title, report }: {
    readonly sql: Sql;
    readonly pid: number;
    readonly title: string;
    readonly report: (line: string) => void;
  },
) {
  let blockers: readonly LockHolder[] = [];
  let reportAt: number | undefined;
  const look = async () => {
    // The step doesn't depend on it: PostgreSQL may have no connection to spare.
    const seen = await listBlockers(sql, pid).catch(() => []);
    if (seen.length === 0) return reportAt = undefined;
    blockers = seen;
    reportAt ??= performance.now() + REPORT_AFTER_MS;
    if (performance.now() < reportAt) return;
    reportAt = performance.now() + REPORT_EVERY_MS;
    report(`${title} waits for ${describeBlockers(seen)}`);
  };
  const follow = async (end: AbortSignal) => {
    for (let waitMs = FIRST_LOOK_MS;; waitMs = LOOK_EVERY_MS) {
      await delay(waitMs, end);
      if (end.aborted) return;
      await look();
    }
  };
  return {
    /** Those that were seen last. */
    get blockers() {
      return blockers;
    },
    /** Runs one try of the step. */
    async during<T>(work: () => Promise<T>): Promise<T> {
      const end = new AbortController();
      const following = follow(end.signal);
      try {
        return await work();
      } finally {
        end.abort();
        await following;
      }
    },
  };
}

export type StepWatch = ReturnType<typeof watchStep>;

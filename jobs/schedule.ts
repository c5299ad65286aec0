import { insertAuditOfSlot } from "../db/audits.ts";
import type { Sql } from "../db/connect.ts";
import { insertJobOfSlot, type Slot } from "../db/cron_runs.ts";
import { describeError, type Log } from "../log.ts";
import { pause } from "./repeat.ts";
import { upkeep } from "./upkeep.ts";

/** Something that is to be put into the queue every hour or every day. */
export interface ScheduleEntry {
  /** Stored with each slot: a new name runs the last slot again. */
  readonly name: string;
  /** UTC. Without an hour: every hour. */
  readonly at: { readonly hour?: number; readonly minute: number };
  /** Claims the slot and puts its job into the queue, in one statement; see `claimSlot`. */
  readonly enqueue: (sql: Sql, slot: Slot) => Promise<void>;
}

/** All that Lotline does by the clock. */
export const SCHEDULE: readonly ScheduleEntry[] = [
  {
    name: "upkeep",
    at: { minute: 20 },
    enqueue: (sql, slot) => insertJobOfSlot(sql, slot, upkeep.kind),
  },
  { name: "audit", at: { hour: 2, minute: 0 }, enqueue: insertAuditOfSlot },
];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A clock may strike this much too early, in ms. */
const EARLY_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;

/** When an entry was due last, in ms since 1970. */
export function lastSlot({ at: { hour, minute } }: ScheduleEntry, now: number): number {
  const [everyMs, offsetMs] = hour === undefined
    ? [HOUR_MS, minute * MINUTE_MS]
    : [DAY_MS, hour * HOUR_MS + minute * MINUTE_MS];
  return Math.floor((now - offsetMs) / everyMs) * everyMs + offsetMs;
}

/** The same for cron. */
export function cronExpression({ at: { hour, minute } }: ScheduleEntry): string {
  return `${minute} ${hour ?? "*"} * * *`;
}

/**
 * Puts into the queue what is due, when it is due, and first what was due last and was missed.
 * Every worker does this; the first one's row in `lotline.cron_runs` makes the others' do nothing.
 * Resolves when the signal is aborted; never rejects.
 */
export async function followSchedule(
  entries: readonly ScheduleEntry[],
  { sql, log, signal }: { readonly sql: Sql; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const strike = async (entry: ScheduleEntry) => {
    for (let tries = 0; !signal.aborted; tries++) {
      const at = new Date(lastSlot(entry, Date.now() + EARLY_MS)).toISOString();
      try {
        return await entry.enqueue(sql, { name: entry.name, at });
      } catch (error) {
        if (tries === 0) {
          log("warn", "scheduled work can't be put into the queue", {
            name: entry.name,
            error: describeError(error),
          });
        }
        await pause(AFTER_FAILURE_MS, signal);
      }
    }
  };
  // A cron whose signal was aborted before never resolves.
  if (signal.aborted) return;
  // Deno's own retries are off: `strike` doesn't give up. Without the signal the process would
  // never end.
  const options = { backoffSchedule: [], signal };
  await Promise.all(entries.flatMap((entry) => [
    Deno.cron(`lotline ${entry.name}`, cronExpression(entry), options, () => strike(entry)),
    strike(entry),
  ]));
}

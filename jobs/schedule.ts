import { AUDIT_WORK, insertAuditOfSlot } from "../db/audits.ts";
import type { Sql } from "../db/sql.ts";
import {
  insertJobOfSlot,
  isSlotClaimed,
  SCHEDULED_KEY,
  type ScheduledWork,
  type Slot,
} from "../db/cron_runs.ts";
import { describeError, type Log } from "../log.ts";
import { delay } from "../timing.ts";
import { MINUTE_MS, type QuietHours, quietUntil } from "./quiet_hours.ts";
import { upkeep } from "./upkeep.ts";

/** Work that is put into the queue every hour or every day. */
export interface ScheduleEntry {
  /** Stored with each slot: a new name runs the last slot again. */
  readonly name: string;
  /** UTC; without an hour, every hour. */
  readonly at: { readonly hour?: number; readonly minute: number };
  /**
   * Claims the slot and puts its job into the queue, in one statement; see `claimSlot`. Returns whether
   * there is a new job.
   */
  readonly enqueue: (sql: Sql, slot: Slot) => Promise<boolean | void>;
  /** Its jobs: if the last one of a slot is dead, the slot gets another one, once. */
  readonly work?: ScheduledWork;
  /** Whether it waits for the end of the quiet hours. */
  readonly isQuiet?: boolean;
}

export const SCHEDULE: readonly ScheduleEntry[] = [
  {
    name: "upkeep",
    at: { minute: 20 },
    enqueue: (sql, slot) => insertJobOfSlot(sql, slot, upkeep.kind),
    work: { kind: upkeep.kind, uniqueKey: SCHEDULED_KEY },
  },
  {
    name: "audit",
    at: { hour: 2, minute: 0 },
    enqueue: insertAuditOfSlot,
    work: AUDIT_WORK,
    isQuiet: true,
  },
];

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How much too early a cron may run, in ms. */
const EARLY_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;
const MAX_AFTER_FAILURE_MS = 60_000;
/** How often dead and postponed work is checked, in ms. */
const CHECK_MS = 60_000;
/** A slot counts as missed when its job is queued so much later, in ms. */
const MISSED_MS = 5 * MINUTE_MS;

/** When an entry was last due, in ms since 1970. */
export function lastSlot({ at: { hour, minute } }: ScheduleEntry, now: number): number {
  const [everyMs, offsetMs] = hour === undefined
    ? [HOUR_MS, minute * MINUTE_MS]
    : [DAY_MS, hour * HOUR_MS + minute * MINUTE_MS];
  return Math.floor((now - offsetMs) / everyMs) * everyMs + offsetMs;
}

export function cronExpression({ at: { hour, minute } }: ScheduleEntry): string {
  return `${minute} ${hour ?? "*"} * * *`;
}

export interface ScheduleDeps {
  readonly sql: Sql;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly quietHours?: readonly QuietHours[];
  /** Returns the time in ms since 1970. */
  readonly now?: () => number;
  readonly checkMs?: number;
}

/**
 * Puts work into the queue when it is due, starting with the last slot if it was missed. Dead work is
 * queued once more, and what is due in quiet hours after their end. Every worker does this; the first
 * one's row in `lotline.cron_runs` makes it happen once. Resolves when the signal is aborted; never
 * rejects.
 */
export async function followSchedule(
  entries: readonly ScheduleEntry[],
  { sql, log, signal, quietHours = [], now = Date.now, checkMs = CHECK_MS }: ScheduleDeps,
): Promise<void> {
  const reported = new Map<ScheduleEntry, string>();
  /** Logs once a slot that it waits for the end of the quiet hours. */
  const reportPostponed = async (entry: ScheduleEntry, slot: Slot, until: number) => {
    if (reported.get(entry) === slot.at || await isSlotClaimed(sql, slot)) return;
    reported.set(entry, slot.at);
    log("info", "scheduled_work_postponed", {
      ...slotFields(slot),
      until: new Date(until).toISOString(),
    });
  };
  const enqueue = async (entry: ScheduleEntry) => {
    const slot = {
      name: entry.name,
      at: new Date(lastSlot(entry, now() + EARLY_MS)).toISOString(),
    };
    const until = entry.isQuiet ? quietUntil(quietHours, now()) : undefined;
    if (until !== undefined) return await reportPostponed(entry, slot, until);
    const isNew = await entry.enqueue(sql, slot);
    if (isNew && now() - Date.parse(slot.at) > MISSED_MS) {
      log("info", "scheduled_work_caught_up", {
        ...slotFields(slot),
        ...(entry.isQuiet && quietHours.length === 0 && {
          hint: "AUDIT_QUIET_HOURS can keep it away from working hours",
        }),
      });
    }
    if (isNew || entry.work === undefined) return;
    const again = { ...slot, name: `${entry.name} once more`, died: entry.work };
    if (await entry.enqueue(sql, again)) {
      log("warn", "scheduled_work_retried", slotFields(slot));
    }
  };
  const enqueueWithRetries = async (entry: ScheduleEntry) => {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        return await enqueue(entry);
      } catch (error) {
        if (failures === 0) {
          log("warn", "scheduled_work_not_queued", {
            name: entry.name,
            error: describeError(error),
          });
        }
        await delay(Math.min(AFTER_FAILURE_MS * 2 ** failures, MAX_AFTER_FAILURE_MS), signal);
      }
    }
  };
  const enqueuing = new Map<ScheduleEntry, Promise<void>>();
  /** One at a time for each entry: a second one would log and do the same. */
  const enqueueOnce = (entry: ScheduleEntry): Promise<void> => {
    const running = enqueuing.get(entry) ??
      enqueueWithRetries(entry).finally(() => enqueuing.delete(entry));
    enqueuing.set(entry, running);
    return running;
  };
  const check = async () => {
    while (!signal.aborted) {
      await Promise.all(entries.map(enqueueOnce));
      await delay(checkMs, signal);
    }
  };
  // A cron whose signal was aborted before never resolves.
  if (signal.aborted) return;
  // Deno's own retries are off: `enqueueWithRetries` never gives up. Without the signal the process
  // would never end.
  const options = { backoffSchedule: [], signal };
  await Promise.all([
    ...entries.map((entry) =>
      Deno.cron(`lotline ${entry.name}`, cronExpression(entry), options, () => enqueueOnce(entry))
    ),
    check(),
  ]);
}

const slotFields = ({ name, at }: Slot) => ({ name, slot: at });

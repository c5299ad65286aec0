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
import { type QuietHours, quietUntil } from "./quiet_hours.ts";
import { upkeep } from "./upkeep.ts";

/** Something that is to be put into the queue every hour or every day. */
export interface ScheduleEntry {
  /** Stored with each slot: a new name runs the last slot again. */
  readonly name: string;
  /** UTC. Without an hour: every hour. */
  readonly at: { readonly hour?: number; readonly minute: number };
  /**
   * Claims the slot and puts its job into the queue, in one statement; see `claimSlot`. Gives whether
   * there is a new job now.
   */
  readonly enqueue: (sql: Sql, slot: Slot) => Promise<boolean | void>;
  /** Its jobs: when the last one of a slot is dead, there is another one for this slot, once. */
  readonly work?: ScheduledWork;
  /** Whether it is kept away from the quiet hours. */
  readonly keepsQuietHours?: boolean;
}

/** All that Lotline does by the clock. */
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
    keepsQuietHours: true,
  },
];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A clock may strike this much too early, in ms. */
const EARLY_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;
const MAX_AFTER_FAILURE_MS = 60_000;
/** How often it is looked what has died, and what had to wait for the end of the quiet hours, in ms. */
const CHECK_MS = 60_000;
/** What is put into the queue so much after its slot was missed by all workers, in ms. */
const MISSED_MS = 5 * MINUTE_MS;

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

/** What following the schedule takes. */
export interface ScheduleDeps {
  readonly sql: Sql;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** When nothing begins that {@link ScheduleEntry.keepsQuietHours keeps them}; at no time: none. */
  readonly quietHours?: readonly QuietHours[];
  /** Gives the time in ms since 1970. */
  readonly now?: () => number;
  readonly lookMs?: number;
}

/**
 * Puts into the queue what is due, when it is due, and first what was due last and was missed. What
 * died is put there once more, and what is due in the quiet hours after their end.
 * Every worker does this; the first one's row in `lotline.cron_runs` makes the others' do nothing.
 * Resolves when the signal is aborted; never rejects.
 */
export async function followSchedule(
  entries: readonly ScheduleEntry[],
  { sql, log, signal, quietHours = [], now = Date.now, lookMs = CHECK_MS }: ScheduleDeps,
): Promise<void> {
  const reported = new Map<ScheduleEntry, string>();
  /** Puts it off, and says so once a slot. */
  const putOff = async (entry: ScheduleEntry, slot: Slot, until: number) => {
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
    const until = entry.keepsQuietHours ? quietUntil(quietHours, now()) : undefined;
    if (until !== undefined) return await putOff(entry, slot, until);
    const isNew = await entry.enqueue(sql, slot);
    if (isNew && now() - Date.parse(slot.at) > MISSED_MS) {
      log("info", "scheduled_work_caught_up", {
        ...slotFields(slot),
        ...(entry.keepsQuietHours && quietHours.length === 0 && {
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
  const strike = async (entry: ScheduleEntry) => {
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
  const striking = new Map<ScheduleEntry, Promise<void>>();
  /** One at a time: while one goes on trying, a second one would say and do the same. */
  const strikeOnce = (entry: ScheduleEntry): Promise<void> => {
    const running = striking.get(entry) ??
      strike(entry).finally(() => striking.delete(entry));
    striking.set(entry, running);
    return running;
  };
  const check = async () => {
    while (!signal.aborted) {
      await Promise.all(entries.map(strikeOnce));
      await delay(lookMs, signal);
    }
  };
  // A cron whose signal was aborted before never resolves.
  if (signal.aborted) return;
  // Deno's own retries are off: `strike` doesn't give up. Without the signal the process would
  // never end.
  const options = { backoffSchedule: [], signal };
  await Promise.all([
    ...entries.map((entry) =>
      Deno.cron(`lotline ${entry.name}`, cronExpression(entry), options, () => strikeOnce(entry))
    ),
    check(),
  ]);
}

const slotFields = ({ name, at }: Slot) => ({ name, slot: at });

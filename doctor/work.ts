import { listLastSlots } from "../db/cron_runs.ts";
import {
  type ChangesState,
  type QueueState,
  readChangesState,
  readQueueState,
} from "../db/work_state.ts";
import { type QuietHours, quietUntil } from "../jobs/quiet_hours.ts";
import { lastSlot, SCHEDULE } from "../jobs/schedule.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { DatabaseCheck } from "./checks.ts";
import { note, ok, warning } from "./findings.ts";

const START_WORKER = "start deno task worker, and see its log";

/** What the worker queues by the clock. */
export const schedule: DatabaseCheck = {
  name: "schedule",
  needs: "schema",
  async run({ sql, settings }) {
    return scheduleFindings(await listLastSlots(sql), settings.quietHours, Date.now());
  },
};

/** How late a worker may queue what is due, in ms. */
const LATE_MS = 10 * 60_000;

/** @param last the last slot of each entry, as UTC text */
export function scheduleFindings(
  last: Readonly<Record<string, string>>,
  quietHours: readonly QuietHours[],
  now: number,
): readonly Finding[] {
  return SCHEDULE.map((entry) => {
    const { name } = entry;
    const slot = last[name];
    const isLate = slot === undefined || Date.parse(slot) < lastSlot(entry, now - LATE_MS);
    const message = slot === undefined
      ? `The ${name} has never run by the clock`
      : `The ${name} has last run by the clock for ${slot}`;
    if (!isLate) return ok("schedule", message);
    const isPostponed = entry.isQuiet && quietUntil(quietHours, now) !== undefined;
    return isPostponed
      ? note("schedule", `${message}, and waits for the end of AUDIT_QUIET_HOURS`)
      : warning("schedule", message, START_WORKER);
  });
}

export const jobs: DatabaseCheck = {
  name: "jobs",
  needs: "schema",
  run: async ({ sql }) => jobFindings(await readQueueState(sql)),
};

/** How long a job may be due before it counts as waiting, in s. */
const WAITS_S = 60;

export function jobFindings({ counts, waiting, expiredLeases }: QueueState): readonly Finding[] {
  const check = "jobs";
  const dead = counts.filter(({ state }) => state === "dead");
  const late = waiting.filter(({ seconds }) => seconds > WAITS_S);
  const findings = [
    ...dead.map(({ kind, jobs }) =>
      warning(
        check,
        `Jobs of kind ${kind} that were given up: ${jobs}`,
        "read their errors with deno task jobs dead, then retry or cancel them",
      )
    ),
    ...late.map(({ kind, seconds }) =>
      warning(
        check,
        `A job of kind ${kind} has been due for ${Math.round(seconds)} s`,
        "start deno task worker, or more of them",
      )
    ),
    ...(expiredLeases === 0 ? [] : [
      warning(check, `Running jobs whose worker is lost: ${expiredLeases}`, START_WORKER),
    ]),
  ];
  return findings.length > 0 ? findings : [ok(check, "No job is dead, lost or late")];
}

export const outbox: DatabaseCheck = {
  name: "outbox",
  needs: "schema",
  run: async ({ sql }) => outboxFindings(await readChangesState(sql)),
};

/** So many changes that wait are a lag; a relay that works looks several times a second. */
const LAG_ROWS = 1_000;
const SILENT_S = 10;
/** Of the outbox's limit, as a part of 1. */
const FULL = 0.8;

export function outboxFindings(
  { rows, bytes, limit, lost, relays, silent }: ChangesState,
): readonly Finding[] {
  const check = "outbox";
  const findings = [
    ...(relays > 0 ? [] : [
      warning(check, "No worker relays changes, so the cache isn't used", START_WORKER),
    ]),
    ...(silent === null || silent <= SILENT_S ? [] : [
      warning(
        check,
        `The relay of changes has been silent for ${Math.round(silent)} s`,
        "see the worker's log, and end its connection with pg_terminate_backend",
      ),
    ]),
    ...(rows < LAG_ROWS ? [] : [
      warning(check, `Changes that wait for the relay: at least ${rows}`, START_WORKER),
    ]),
    ...(bytes < limit * FULL ? [] : [
      warning(check, "The outbox is nearly full", START_WORKER),
    ]),
    ...(lost === 0 ? [] : [
      note(check, `Changes that were only counted, ever: ${lost}`),
    ]),
  ];
  return findings.some(({ level }) => level === "warning")
    ? findings
    : [ok(check, `Changes reach the cache and the jobs; waiting: ${rows}`), ...findings];
}

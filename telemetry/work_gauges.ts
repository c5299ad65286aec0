import { Gauge, Registry } from "prom-client";
import type { Sql } from "../db/sql.ts";
import {
  type ChangesState,
  MAX_ROWS,
  type QueueState,
  readChangesState,
  readOldestChange,
  readQueueState,
} from "../db/work_state.ts";
import { describeError, type Log } from "../log.ts";

/** A reading is reused this long, in ms, so that scrapers share one query. */
const KEEP_MS = 1_000;

interface WorkDeps {
  readonly sql: Sql;
  readonly log: Log;
  /**
   * For a worker: the kinds of its jobs. All others are shown as `unknown`, and the age of the oldest
   * change is shown as well.
   */
  readonly kinds?: readonly string[];
}

/**
 * Returns the state of the background work in Prometheus' text format, read from PostgreSQL at most
 * once a second. Never throws: a part that can't be read within a second is missing,
 * `lotline_work_readable` shows that, and the log says it once.
 */
export function createWorkGauges(
  { sql, log, kinds }: WorkDeps,
  now: () => number = () => performance.now(),
): () => Promise<string> {
  const unreadable = new Set<string>();
  const readOrNone = async <T>(what: string, state: Promise<T>): Promise<T | undefined> => {
    try {
      const read = await state;
      unreadable.delete(what);
      return read;
    } catch (error) {
      if (!unreadable.has(what)) {
        log("warn", "work_state_unreadable", { what, error: describeError(error) });
      }
      unreadable.add(what);
      return undefined;
    }
  };
  const read = async () =>
    await describeWork(
      ...await Promise.all([
        readOrNone("jobs", readQueueState(sql)),
        readOrNone("changes", readChangesState(sql)),
        kinds && readOrNone("oldest_change", readOldestChange(sql)),
      ]),
      kinds,
    );
  let reading: { readonly at: number; readonly text: Promise<string> } | undefined;
  return () => {
    if (reading === undefined || now() - reading.at >= KEEP_MS) {
      reading = { at: now(), text: read() };
    }
    return reading.text;
  };
}

async function describeWork(
  queue: QueueState | undefined,
  changes: ChangesState | undefined,
  oldestChange: number | null | undefined,
  kinds: readonly string[] | undefined,
): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `lotline_${name}`, help, labelNames, registers: [registry] });
  const shown = (kind: string) => kinds === undefined || kinds.includes(kind) ? kind : "unknown";
  const readable = gauge("work_readable", "1 when this part was read in time.", "what");
  readable.set({ what: "jobs" }, queue === undefined ? 0 : 1);
  readable.set({ what: "changes" }, changes === undefined ? 0 : 1);
  if (kinds !== undefined) {
    readable.set({ what: "oldest_change" }, oldestChange === undefined ? 0 : 1);
  }
  if (queue !== undefined) {
    const help = "Background jobs that are ready, running or dead.";
    const jobs = gauge("jobs", help, "kind", "state");
    for (const { kind, state, jobs: count } of queue.counts) {
      jobs.inc({ kind: shown(kind), state }, count);
    }
    const oldestHelp = "Age of the oldest job that could start.";
    const oldest = gauge("jobs_oldest_due_seconds", oldestHelp, "kind");
    const ages = new Map<string, number>();
    for (const { kind, seconds } of queue.waiting) {
      ages.set(shown(kind), Math.max(ages.get(shown(kind)) ?? 0, seconds));
    }
    for (const [kind, seconds] of ages) oldest.set({ kind }, seconds);
    const expired = gauge("jobs_expired_leases", "Running jobs whose lease has expired.");
    expired.set(queue.expiredLeases);
  }
  if (changes !== undefined) {
    const { rows, bytes, limit, lost, relays, silent } = changes;
    gauge("outbox_rows", `Changes that wait for a relay, ${MAX_ROWS} at most.`).set(rows);
    gauge("outbox_bytes", "Size of the outbox, without its index.").set(bytes);
    gauge("outbox_limit_bytes", "Size at which changes are counted as lost.").set(limit);
    gauge("changes_lost", "Changes that were never stored.").set(lost);
    gauge("relays", "1 when a relay works.").set(relays);
    if (silent !== null) {
      gauge("relay_silent_seconds", "Time since the relay's last query.").set(silent);
    }
  }
  if (oldestChange !== undefined && oldestChange !== null) {
    const help =
      "Time since the oldest change was written that waits for a relay; 0 when none waits.";
    gauge("outbox_oldest_seconds", help).set(oldestChange);
  }
  return await registry.metrics();
}

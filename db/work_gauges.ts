import { Gauge, Registry } from "prom-client";
import type { Sql } from "./sql.ts";
import {
  type ChangesState,
  MAX_ROWS,
  type QueueState,
  readChangesState,
  readOldestChange,
  readQueueState,
} from "./work_state.ts";
import { describeError, type Log } from "../log.ts";

/** A reading is reused this long, in ms, so that scrapers share one query. */
const KEEP_MS = 1_000;

interface WorkDeps {
  readonly sql: Sql;
  readonly log: Log;
  /** The kinds that are shown by their names, others as `unknown`; all by default. */
  readonly kinds?: readonly string[];
  /**
   * Whether it also shows the age of the oldest change, and names each series that has no value now.
   * The API's own `/metrics` stays as it was before.
   */
  readonly isWhole?: boolean;
}

/**
 * Returns the state of the background work in Prometheus' text format, read from PostgreSQL at most
 * once a second. Never throws: a part that can't be read within a second is missing,
 * `lotline_work_readable` shows that, and the log says it once.
 */
export function createWorkGauges(
  { sql, log, kinds, isWhole = false }: WorkDeps,
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
        isWhole ? readOrNone("oldest_change", readOldestChange(sql)) : undefined,
      ]),
      { kinds, isWhole },
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
  { kinds, isWhole }: {
    readonly kinds: readonly string[] | undefined;
    readonly isWhole: boolean;
  },
): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `lotline_${name}`, help, labelNames, registers: [registry] });
  const shown = (kind: string) => kinds === undefined || kinds.includes(kind) ? kind : "unknown";
  const readable = gauge("work_readable", "1 when this part was read in time.", "what");
  readable.set({ what: "jobs" }, queue === undefined ? 0 : 1);
  readable.set({ what: "changes" }, changes === undefined ? 0 : 1);
  if (isWhole) {
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
    if (silent !== null || isWhole) {
      setOrRemove(gauge("relay_silent_seconds", "Time since the relay's last query."), silent);
    }
  }
  if (oldestChange !== undefined) {
    const help = "Age of the oldest change that waits for a relay; 0 when none waits.";
    setOrRemove(gauge("outbox_oldest_seconds", help), oldestChange);
  }
  return await registry.metrics();
}

/** Without a value the series is missing, and its help is there. */
function setOrRemove(gauge: Gauge, value: number | null): void {
  if (value === null) gauge.remove();
  else gauge.set(value);
}

import { Gauge, Registry } from "prom-client";
import type { Sql } from "../db/sql.ts";
import {
  type ChangesState,
  MAX_ROWS,
  type QueueState,
  readChangesState,
  readQueueState,
} from "../db/work_state.ts";
import { describeError, type Log } from "../log.ts";

/** How long a reading serves all that ask, in ms: however many do, PostgreSQL is asked once. */
const KEEP_MS = 1_000;

/**
 * Gives the state of the background work in Prometheus' text format, read from PostgreSQL at most
 * once a second. Never throws: what can't be read within a second is left out, which
 * `lotline_work_readable` says, and once the log.
 */
export function createWorkGauges(
  { sql, log }: { readonly sql: Sql; readonly log: Log },
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
      ]),
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
): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const readable = new Gauge({
    name: "lotline_work_readable",
    help: "1 when PostgreSQL told in time how this part of the background work stands.",
    labelNames: ["what"],
    registers,
  });
  readable.set({ what: "jobs" }, queue === undefined ? 0 : 1);
  readable.set({ what: "changes" }, changes === undefined ? 0 : 1);
  if (queue !== undefined) addQueue(registers, queue);
  if (changes !== undefined) addChanges(registers, changes);
  return await registry.metrics();
}

function addQueue(registers: Registry[], { counts, waiting, expiredLeases }: QueueState): void {
  const jobs = new Gauge({
    name: "lotline_jobs",
    help: "Background jobs that are ready, running or dead.",
    labelNames: ["kind", "state"],
    registers,
  });
  for (const { kind, state, jobs: count } of counts) jobs.set({ kind, state }, count);
  const oldest = new Gauge({
    name: "lotline_jobs_oldest_due_seconds",
    help: "For how long the oldest job that could start has been due.",
    labelNames: ["kind"],
    registers,
  });
  for (const { kind, seconds } of waiting) oldest.set({ kind }, seconds);
  new Gauge({
    name: "lotline_jobs_expired_leases",
    help: "Running jobs whose worker is lost and that nobody has taken back yet.",
    registers,
  }).set(expiredLeases);
}

function addChanges(registers: Registry[], state: ChangesState): void {
  const gauge = (name: string, help: string, value: number) =>
    new Gauge({ name, help, registers }).set(value);
  gauge("lotline_outbox_rows", `Changes that wait for a relay, ${MAX_ROWS} at most.`, state.rows);
  gauge("lotline_outbox_bytes", "Size of the outbox, without its index.", state.bytes);
  gauge("lotline_outbox_limit_bytes", "Size at which changes are counted as lost.", state.limit);
  gauge("lotline_changes_lost", "Changes that weren't written down, ever.", state.lost);
  gauge("lotline_relays", "1 when a relay works.", state.relays);
  if (state.silent !== null) {
    gauge("lotline_relay_silent_seconds", "Since the relay last asked PostgreSQL.", state.silent);
  }
}

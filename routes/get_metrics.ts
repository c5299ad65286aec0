import { createRoute, z } from "@hono/zod-openapi";
import { Gauge, Registry } from "prom-client";
import {
  type ChangesState,
  MAX_ROWS,
  type QueueState,
  readChangesState,
  readQueueState,
} from "../db/work_state.ts";
import { type App, operation } from "../http/operation.ts";
import { describeError } from "../log.ts";
import type { RouteDeps } from "./deps.ts";
import { errors } from "./responses.ts";

const definition = createRoute({
  operationId: "getMetrics",
  method: "get",
  path: "/metrics",
  responses: {
    200: {
      description: "",
      content: { "text/plain": { schema: z.string() } },
    },
    ...errors(401, 403, 405, 500, 503),
  },
});

/**
 * The counters of this process in Prometheus' text format, and the state of the background work of
 * all processes, if PostgreSQL responds within a second.
 */
export const getMetrics = (app: App, { metrics, ...deps }: RouteDeps) => {
  const workGauges = createWorkGauges(deps);
  operation(app, definition, async (c) => {
    const [counters, gauges] = await Promise.all([metrics.text(), workGauges()]);
    return c.body(`${counters}\n${gauges}`, 200, { "content-type": metrics.type });
  });
};

/** A reading is reused this long, in ms, so that scrapers share one query. */
const KEEP_MS = 1_000;

/**
 * Returns the state of the background work in Prometheus' text format, read from PostgreSQL at most
 * once a second. Never throws: a part that can't be read within a second is missing,
 * `lotline_work_readable` shows that, and the log says it once.
 */
export function createWorkGauges(
  { sql, log }: Pick<RouteDeps, "sql" | "log">,
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
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `lotline_${name}`, help, labelNames, registers: [registry] });
  const readable = gauge("work_readable", "1 when this part was read in time.", "what");
  readable.set({ what: "jobs" }, queue === undefined ? 0 : 1);
  readable.set({ what: "changes" }, changes === undefined ? 0 : 1);
  if (queue !== undefined) {
    const help = "Background jobs that are ready, running or dead.";
    const jobs = gauge("jobs", help, "kind", "state");
    for (const { kind, state, jobs: count } of queue.counts) jobs.set({ kind, state }, count);
    const oldestHelp = "Age of the oldest job that could start.";
    const oldest = gauge("jobs_oldest_due_seconds", oldestHelp, "kind");
    for (const { kind, seconds } of queue.waiting) oldest.set({ kind }, seconds);
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
  return await registry.metrics();
}

import { startApi, type TestApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { type HammerOptions, type HammerResult, hammerTraces } from "./trace_hammer.ts";

/** The result, and the trace cache counters of the processes, added up. */
export interface StumblingResult extends HammerResult {
  readonly hits: number;
  readonly misses: number;
  /** Traces that were too late to be cached: their lot had changed in between. */
  readonly keptTooLate: number;
}

/**
 * Hammers the traces of two API processes and a worker. One API is paused repeatedly between
 * reading a trace and caching it, and the relay is sometimes late.
 */
export async function hammerStumbling(options: HammerOptions): Promise<StumblingResult> {
  await using database = await freshDatabase();
  await using valkey = await ownValkey();
  const place = { databaseUrl: database.url, environment: { VALKEY_URL: valkey.server.url } };
  await using one = await startApi(place);
  await using other = await startApi(place);
  await using worker = await startWorker(place);
  let result: HammerResult;
  {
    using _reader = stumbling(other.process, 150, 60);
    using _relay = stumbling(worker.process, 1_500, 400);
    result = await hammerTraces(
      { lotline: [one.url, other.url], sql: database.sql },
      options,
    );
  }
  const counts = [await cacheCounts(one), await cacheCounts(other)];
  const sum = (what: string) => counts.reduce((all, one) => all + (one[what] ?? 0), 0);
  return {
    ...result,
    hits: sum("reads hit"),
    misses: sum("reads miss"),
    keptTooLate: sum("stores stale_refused"),
  };
}

/** Pauses a process repeatedly, as a busy machine does, until it is disposed of. */
function stumbling(process: Deno.ChildProcess, everyMs: number, forMs: number): Disposable {
  let resume: ReturnType<typeof setTimeout> | undefined;
  const timer = setInterval(() => {
    process.kill("SIGSTOP");
    resume = setTimeout(() => process.kill("SIGCONT"), forMs);
  }, everyMs);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      clearTimeout(resume);
      process.kill("SIGCONT");
    },
  };
}

/** What the trace cache of a process counted, such as `reads hit`. */
export async function cacheCounts(api: TestApi): Promise<Record<string, number>> {
  const { text } = await api.get("/metrics");
  const lines = text.matchAll(/^lotline_trace_cache_(\w+)_total\{outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(
    [...lines].map(([, of, outcome, n]) => [`${of} ${outcome}`, Number(n)]),
  );
}

/**
 * Lotline with its trace cache on, and with every requested trace in it.
 *
 * @module
 */

import { join } from "node:path";
import { createClient } from "redis";
import { startService } from "../dev/service_process.ts";
import { startValkey } from "../dev/valkey.ts";
import { delay } from "../timing.ts";
import type { Entry } from "./contender.ts";
import { type Place, startLotline } from "./servers.ts";
import { CONNECTIONS } from "./wrk.ts";

/** The least share of the reads that the cache must serve, from 0 to 1. */
const MIN_HITS = 0.9;
const RELAY_MS = 10_000;

/** Starts the API, a worker (its relay invalidates the cache) and their Valkey. */
export async function startCachedLotline(
  index: Place,
  say: (line: string) => void,
): Promise<Entry | undefined> {
  await using stack = new AsyncDisposableStack();
  const { databaseUrl, folder } = index;
  const valkey = await startValkey({ dir: join(folder, "valkey"), progress: say });
  if (valkey === undefined) return undefined;
  stack.use(valkey);
  const worker = stack.use(
    await startService({
      name: "worker",
      task: "worker",
      env: { DATABASE_URL: databaseUrl, VALKEY_URL: valkey.url },
      logFile: join(folder, "worker.log"),
      pidFile: join(folder, "worker.pid"),
      isReady: (log) => log.includes('"event":"working"'),
    }),
  );
  const api = stack.use(
    await startLotline(index, { AUTH_MODE: "legacy", VALKEY_URL: valkey.url }),
  );
  const parts = stack.move();
  return {
    pid: api.pid,
    url: api.url,
    helpers: [worker.pid, valkey.pid],
    async prepare(requests) {
      await empty(valkey.url);
      const urls = new Set(requests.map(({ path }) => api.url + path));
      await untilCached(api.url, urls);
      await runBatch(urls);
      const before = await cacheReads(api.url);
      return async () => {
        const after = await cacheReads(api.url);
        const hits = (after.hits - before.hits) / (after.all - before.all);
        if (hits >= MIN_HITS) return;
        throw new Error(`The cache served only ${Math.round(hits * 100)} % of the reads`);
      };
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Entries stored earlier would all expire within the run, at the same time. */
async function empty(url: string): Promise<void> {
  const client = await createClient({ url }).connect();
  await client.flushAll();
  client.destroy();
}

/** Waits until the relay has noticed that Valkey is empty, and traces are cached again. */
async function untilCached(apiUrl: string, [url = ""]: Iterable<string>): Promise<void> {
  const { hits } = await cacheReads(apiUrl);
  for (const start = Date.now(); Date.now() - start < RELAY_MS;) {
    await runBatch([url]);
    if ((await cacheReads(apiUrl)).hits > hits) return;
    await delay(20);
  }
  throw new Error(`Nothing was served from the cache within ${RELAY_MS} ms`);
}

async function runBatch(urls: Iterable<string>): Promise<void> {
  const left = urls[Symbol.iterator]();
  const send = async () => {
    for (const url of { [Symbol.iterator]: () => left }) await (await fetch(url)).text();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, send));
}

/** How many cache reads there have been, and how many were hits. */
async function cacheReads(apiUrl: string): Promise<{ all: number; hits: number }> {
  const text = await (await fetch(`${apiUrl}/metrics`)).text();
  return cacheReadsOf(text);
}

/** The same, from the text of `/metrics`. */
export function cacheReadsOf(metrics: string): { all: number; hits: number } {
  const reads = { all: 0, hits: 0 };
  const lines = /^lotline_trace_cache_reads_total\{outcome="(\w+)"\} (\d+)$/gm;
  for (const [, outcome, count] of metrics.matchAll(lines)) {
    reads.all += Number(count);
    if (outcome === "hit") reads.hits += Number(count);
  }
  return reads;
}

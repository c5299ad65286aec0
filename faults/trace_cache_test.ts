import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { FRESH_MS } from "../cache/trace_cache.ts";
import { freePort } from "../dev/free_port.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { startApi } from "../testing/api.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import { mixedLoad } from "../testing/load.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { delay } from "../timing.ts";
import { cacheCounts, hammerStumbling } from "./stumbling_hammer.ts";

// Runs alone: responses must be younger than the cache's window of 0.1 s.

const SEED = 4;

Deno.test(`no response is stale beyond the window while both upstreams write and processes pause (seed ${SEED})`, async () => {
  const result = await hammerStumbling({ seed: SEED, reads: 6_000, changesPerSecond: 500 });
  deepStrictEqual(result.wrong, []);
  const { ownWrites, changes, hits, misses, keptTooLate } = result;
  const enough = ownWrites > 20 && changes > 500 && hits > 200 && misses > 200 && keptTooLate > 0;
  ok(enough, JSON.stringify({ ownWrites, changes, hits, misses, keptTooLate }));
});

/** An API and a worker on the seed's rows, both with Valkey through a link. */
async function startThroughLink() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await freshDatabase());
  const valkey = stack.use(await ownValkey());
  const link = stack.use(await openLink(valkey.server.port));
  await resetToSeed(database.sql, await loadSeed());
  const environment = { VALKEY_URL: `redis://127.0.0.1:${link.port}` };
  const api = stack.use(await startApi({ databaseUrl: database.url, environment }));
  const worker = stack.use(await startWorker({ databaseUrl: database.url, environment }));
  const weight = async () => {
    const { status, json } = await api.get("/api/traceability/MIX-BATCH-88");
    strictEqual(status, 200);
    return json.central.weight_kg;
  };
  const hits = async () => (await cacheCounts(api))["reads hit"] ?? 0;
  await eventually("the cache is used", async () => {
    strictEqual(await weight(), "540.0");
    return await hits() > 0;
  });
  return {
    sql: database.sql,
    databaseUrl: database.url,
    valkey: valkey.server,
    link,
    api,
    worker,
    weight,
    hits,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("when the worker is killed, entries that it can't invalidate any more aren't used", async () => {
  await using it = await startThroughLink();
  it.worker.process.kill("SIGKILL");
  await it.worker.process.status;
  await it.sql`update lots set weight_kg = 2`;
  await delay(FRESH_MS + 5);
  for (let n = 0; n < 20; n++) strictEqual(await it.weight(), "2");
});

Deno.test("while Valkey is down traces come from PostgreSQL, and the cache is correct when it is back", async () => {
  await using it = await startThroughLink();
  await it.valkey.kill();
  const load = await mixedLoad(it.api, 200);
  deepStrictEqual([load.broken, [...load.statuses.keys()].sort()], [[], [200, 201]]);
  await it.sql`update lots set weight_kg = 2`;
  strictEqual(await it.weight(), "2");
  await it.valkey.start();
  const before = await it.hits();
  await eventually("the cache is used again", async () => {
    strictEqual(await it.weight(), "2");
    return await it.hits() > before;
  });
});

Deno.test("with Valkey as a black hole no request is delayed by more than half a second, and later ones not", async () => {
  await using it = await startThroughLink();
  it.link.swallow();
  const timed = async () => {
    const began = performance.now();
    await it.weight();
    return performance.now() - began;
  };
  const requested = Promise.all(Array.from({ length: 20 }, timed));
  const first = await withDeadline("the first have a response", requested);
  ok(Math.max(...first) > 90, "Valkey must have been waited for");
  const later: number[] = [];
  for (let n = 0; n < 200; n++) later.push(await timed());
  // Some may be the first on a new connection, which the black hole swallows as well.
  const [middle = NaN] = later.toSorted((a, b) => a - b).slice(100);
  ok(middle < Math.max(...first) / 2, `${middle} of ${Math.max(...first)} ms`);
  await it.sql`update lots set weight_kg = 2`;
  strictEqual(await it.weight(), "2");
  it.link.heal();
  const before = await it.hits();
  await eventually("the cache is used again", async () => {
    strictEqual(await it.weight(), "2");
    return await it.hits() > before;
  });
});

Deno.test("changes that another worker relayed while a relay was cut off from Valkey are in no response when that relay resumes", async () => {
  await using it = await startThroughLink();
  const { sql } = it;
  {
    await using other = await startWorker({
      databaseUrl: it.databaseUrl,
      environment: { VALKEY_URL: `redis://127.0.0.1:${freePort()}` },
    });
    // Paused, so that the other one is the first to take over.
    it.worker.process.kill("SIGSTOP");
    await sql`select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and application_name = 'lotline-relay'
        and datname = current_database()`;
    await sql`update lots set weight_kg = 2`;
    await eventually("the other one has taken the changes", async () => {
      return (await sql`select from lotline.outbox`).length === 0;
    });
    other.process.kill("SIGKILL");
    await other.process.status;
  }
  // The changes may have been relayed while the relay's last mark is still valid.
  await delay(FRESH_MS + 5);
  it.worker.process.kill("SIGCONT");
  const before = await it.hits();
  await eventually("the cache is used again", async () => {
    strictEqual(await it.weight(), "2");
    return await it.hits() > before;
  });
});

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { FRESH_MS } from "../cache/trace_cache.ts";
import { loadSeed, resetToSeed } from "../contract-tests/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { mixedLoad } from "../testing/load.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { hammerTraces } from "./trace_hammer.ts";

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Stops a process again and again for a while, as a busy machine does, until it is disposed of. */
function stumbling(process: Deno.ChildProcess, everyMs: number, forMs: number): Disposable {
  const timer = setInterval(() => {
    process.kill("SIGSTOP");
    setTimeout(() => process.kill("SIGCONT"), forMs);
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** What the trace cache of a process counted. */
async function counts(api: TestApi): Promise<Record<string, number>> {
  const { text } = await api.get("/metrics");
  const lines = text.matchAll(/^lotline_trace_cache_(\w+)_total\{outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(
    [...lines].map(([, of, outcome, n]) => [`${of} ${outcome}`, Number(n)]),
  );
}

const SEED = 4;

Deno.test(`no answer is stale beyond the window while both sides write and processes stumble (seed ${SEED})`, async () => {
  await using database = await freshDatabase();
  await using valkey = await ownValkey();
  const place = { databaseUrl: database.url, environment: { VALKEY_URL: valkey.server.url } };
  await using one = await startApi(place);
  await using other = await startApi(place);
  await using legacy = await startLegacy({ databaseUrl: database.url, port: 0 });
  await using worker = await startWorker(place);
  // A reader that is held up between reading and keeping; a relay that is late.
  using _reader = stumbling(other.process, 150, 60);
  using _relay = stumbling(worker.process, 1_500, 400);
  const result = await hammerTraces(
    { lotline: [one.url, other.url], legacy: legacy.url, sql: database.sql },
    { seed: SEED, reads: 6_000, changesPerSecond: 500 },
  );
  deepStrictEqual(result.wrong, []);
  ok(result.ownWrites > 20 && result.changes > 500, JSON.stringify(result));
  const [a, b] = [await counts(one), await counts(other)];
  for (const what of ["reads hit", "reads miss", "stores stored"]) {
    ok((a[what] ?? 0) + (b[what] ?? 0) > 200, `${what}: ${a[what]} + ${b[what]}`);
  }
  ok((a["stores stale_refused"] ?? 0) + (b["stores stale_refused"] ?? 0) > 0);
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
  const hits = async () => (await counts(api))["reads hit"] ?? 0;
  await eventually("the cache is used", async () => {
    strictEqual(await weight(), "540.0");
    return await hits() > 0;
  });
  return {
    sql: database.sql,
    valkey: valkey.server,
    link,
    api,
    worker,
    weight,
    hits,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("when the worker is killed, what it can't remove any more isn't used", async () => {
  await using it = await startThroughLink();
  it.worker.process.kill("SIGKILL");
  await it.worker.process.status;
  await it.sql`update lots set weight_kg = 2`;
  await wait(FRESH_MS + 5);
  for (let n = 0; n < 20; n++) strictEqual(await it.weight(), "2");
});

Deno.test("while Valkey is gone traces come from PostgreSQL, and the cache is right when it is back", async () => {
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

Deno.test("while Valkey is a black hole no request pays more than half a second, and later ones nothing", async () => {
  await using it = await startThroughLink();
  it.link.swallow();
  const timed = async () => {
    const began = performance.now();
    await it.weight();
    return performance.now() - began;
  };
  const first = await Promise.all(Array.from({ length: 20 }, timed));
  ok(Math.max(...first) < 500, `${Math.max(...first)} ms`);
  ok(Math.max(...first) > 90, "Valkey must have been waited for");
  const later: number[] = [];
  for (const until = performance.now() + 1_500; performance.now() < until;) {
    later.push(await timed());
  }
  // One may be the first on a new connection, which the black hole swallows as well.
  const slow = later.filter((ms) => ms > 90);
  ok(slow.length <= 1 && later.length > 100, `slow: ${slow} of ${later.length}`);
  await it.sql`update lots set weight_kg = 2`;
  strictEqual(await it.weight(), "2");
  it.link.heal();
  const before = await it.hits();
  await eventually("the cache is used again", async () => {
    strictEqual(await it.weight(), "2");
    return await it.hits() > before;
  });
});

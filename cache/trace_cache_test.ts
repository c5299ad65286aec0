import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { ahead, LONG_FRESH_MS, NOTHING, startCache, TRACE } from "../testing/trace_cache.ts";
import { delay } from "../timing.ts";
import { createTraceCache, createTraceInvalidation, FRESH_MS } from "./trace_cache.ts";
import type { Valkey } from "./valkey.ts";

Deno.test("a cached response is returned with its ETag, for its own lot only", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  await it.relay();
  deepStrictEqual(await it.cached("A"), TRACE);
  strictEqual(await it.cached("a"), undefined);
  deepStrictEqual(it.counted(), ["miss", "keep: stored", "hit", "miss"]);
});

Deno.test("a response that a later version has cached in another form isn't used", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  const stored = await it.link.tryCommand((client) => client.get("{lotline:traces}:body:A"));
  match(stored ?? "", /^\S+ W\/"26-abc"\n\{/);
  await it.link.tryCommand((client) => client.set("{lotline:traces}:body:A", `v2 ${stored}`));
  strictEqual(await it.cached("A"), undefined);
  await it.set("A");
  deepStrictEqual(await it.cached("A"), TRACE);
});

Deno.test("without a relay on time nothing is cached and nothing cached is used", async () => {
  await using it = await startCache();
  await it.set("A");
  await it.relay();
  strictEqual(await it.cached("A"), undefined);
  await it.set("A");
  await delay(LONG_FRESH_MS + 10);
  strictEqual(await it.cached("A"), undefined);
  await it.relay();
  deepStrictEqual(await it.cached("A"), TRACE);
  deepStrictEqual(it.counted(), [
    "bypassed",
    "miss",
    "miss",
    "keep: stored",
    "stale_refused",
    "hit",
  ]);
});

Deno.test("a relay that was delayed between reading and announcing changes doesn't count as on time", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  await delay(LONG_FRESH_MS + 10);
  await it.apply(NOTHING);
  strictEqual(await it.cached("A"), undefined);
  await it.apply(NOTHING);
  deepStrictEqual(await it.cached("A"), TRACE);
});

Deno.test("a relay that may have missed changes doesn't count as on time", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  await delay(LONG_FRESH_MS + 10);
  for (let n = 0; n < 3; n++) await it.apply({ ...NOTHING, complete: false });
  strictEqual(await it.cached("A"), undefined);
});

Deno.test("a changed lot's trace is invalidated, others stay", async () => {
  await using it = await startCache();
  await it.relay();
  for (const lot of ["A", "B"]) await it.set(lot);
  await it.relay(["A"]);
  strictEqual(await it.cached("A"), undefined);
  deepStrictEqual(await it.cached("B"), TRACE);
});

Deno.test("a trace read before its lot changed can't be cached after it", async () => {
  for (const change of ["relay", "forget"] as const) {
    await using it = await startCache();
    await it.relay();
    const read = await it.cache.find("A");
    ok(read.trace === undefined);
    if (change === "relay") await it.relay(["A"]);
    else await it.cache.invalidate("A");
    await read.set(TRACE);
    await it.relay();
    strictEqual(await it.cached("A"), undefined);
    deepStrictEqual(it.counted(), ["miss", "keep: stale_refused", "miss"]);
    // A trace that is read after that can be cached.
    await it.set("A");
    await it.relay();
    deepStrictEqual(await it.cached("A"), TRACE);
  }
});

Deno.test("reads and changes within the same microsecond are kept apart", async () => {
  // The relay's last mark, a change, and a read that only knows that mark, at one moment.
  const moment = `{ '${Math.floor(Date.now() / 1_000) + 1}', '7' }`;
  await using it = await startCache({ clock: () => moment });
  await it.relay();
  const read = await it.cache.find("A");
  ok(read.trace === undefined);
  await it.cache.invalidate("A");
  await read.set(TRACE);
  deepStrictEqual(it.counted(), ["miss", "keep: stale_refused"]);
});

Deno.test("a trace that was read longer ago than changes are remembered isn't cached", async () => {
  await using it = await startCache();
  await it.relay();
  // As if the relay's last mark were 16 s old.
  await it.link.tryCommand(async (client) => {
    const [epoch, readAt] = (await client.get("{lotline:traces}:fresh") ?? "").split(" ");
    const long = Number(readAt) - 16_000_000;
    await client.set("{lotline:traces}:fresh", `${epoch} ${long}`, { expiration: "KEEPTTL" });
  });
  await it.set("A");
  deepStrictEqual(it.counted(), ["miss", "keep: stale_refused"]);
});

Deno.test("an invalidated trace is gone immediately", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  await it.cache.invalidate("A");
  await it.relay();
  strictEqual(await it.cached("A"), undefined);
});

Deno.test("when everything may have changed, nothing cached before is used, and nothing read before is cached", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  const read = await it.cache.find("B");
  ok(read.trace === undefined);
  await it.apply({ ...NOTHING, everything: true });
  await read.set(TRACE);
  await it.relay();
  for (const lot of ["A", "B"]) strictEqual(await it.cached(lot), undefined);
  deepStrictEqual(it.counted(), [
    "miss",
    "keep: stored",
    "miss",
    "keep: stale_refused",
    "stale_refused",
    "miss",
  ]);
});

Deno.test("a Valkey that was emptied between a read and its set caches nothing", async () => {
  await using it = await startCache();
  await it.relay();
  const read = await it.cache.find("A");
  ok(read.trace === undefined);
  await it.relay(["A"]);
  await it.link.tryCommand((client) => client.flushAll());
  await it.relay();
  await it.relay();
  await read.set(TRACE);
  await it.relay();
  strictEqual(await it.cached("A"), undefined);
  // After that it works as before.
  await it.set("A");
  await it.relay();
  deepStrictEqual(await it.cached("A"), TRACE);
});

Deno.test("a relay that another one has replaced is ignored", async () => {
  await using it = await startCache();
  await it.relay();
  const later = createTraceInvalidation(it.relayLink, LONG_FRESH_MS);
  for (let n = 0; n < 2; n++) await later.apply(NOTHING);
  await it.set("A");
  await delay(LONG_FRESH_MS + 10);
  await it.apply(NOTHING);
  strictEqual(await it.cached("A"), undefined);
  await later.apply(NOTHING);
  await later.apply(NOTHING);
  deepStrictEqual(await it.cached("A"), TRACE);
});

Deno.test("entries from before a restart of Valkey aren't used", async () => {
  await using it = await startCache({ persist: true });
  await it.relay();
  await it.set("A");
  await it.server.stop();
  await it.server.start();
  for (const link of [it.link, it.relayLink]) await eventually("Valkey is back", link.isUsable);
  await it.relay();
  await it.relay();
  strictEqual(await it.cached("A"), undefined);
  const outcomes = it.counted();
  strictEqual(outcomes.at(-1), "stale_refused", "the test is about cached entries");
});

Deno.test("after changes that Valkey missed, nothing cached before is used", async () => {
  await using it = await startCache();
  let isAway = false;
  const relay = createTraceInvalidation(
    sometimesAway(it.relayLink, () => isAway),
    LONG_FRESH_MS,
  );
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  await it.set("A");
  await relay.apply(NOTHING);
  deepStrictEqual(await it.cached("A"), TRACE);
  isAway = true;
  await relay.apply({ ...NOTHING, lotCodes: ["A"] });
  isAway = false;
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  strictEqual(await it.cached("A"), undefined);
});

/** A link that carries nothing and closes nothing while it is cut. */
function sometimesAway(link: Valkey, isAway: () => boolean): Valkey {
  return {
    ...link,
    connection: link.connection,
    tryCommand: async (work, patienceMs) =>
      isAway() ? undefined : await link.tryCommand(work, patienceMs),
  };
}

Deno.test("a silent Valkey delays no request for longer than a tenth of a second", async () => {
  await using it = await startCache();
  await it.relay();
  it.server.pause();
  const order: string[] = [];
  const says = async (what: string, work: Promise<unknown>) => {
    await work;
    order.push(what);
  };
  // Half a second, five times the cache's timeout, starts at the same moment.
  const patient = says("half a second", it.relayLink.tryCommand((client) => client.get("x")));
  await says("cache", Promise.all(["A", "B", "C"].map((lot) => it.cached(lot))));
  // A hundred tenths of a second would be far more than that half.
  for (let n = 0; n < 100; n++) await it.cached("A");
  await says("cache, a hundred times", Promise.resolve());
  await patient;
  deepStrictEqual(order, ["cache", "cache, a hundred times", "half a second"]);
  it.server.resume();
});

Deno.test("after an invalidation that Valkey didn't receive, this process bypasses the cache for some time", async () => {
  await using it = await startCache();
  let now = 0;
  let isAway = false;
  const metrics = { cacheRead() {}, cacheStored() {} };
  const cache = createTraceCache(sometimesAway(it.link, () => isAway), metrics, () => now);
  await it.relay();
  await it.set("A");
  isAway = true;
  await cache.invalidate("A");
  isAway = false;
  deepStrictEqual(await it.cached("A"), TRACE, "another process may use it for as long");
  strictEqual((await cache.find("A")).trace, undefined);
  now += FRESH_MS;
  await it.relay();
  deepStrictEqual((await cache.find("A")).trace, TRACE);
});

Deno.test("nothing is cached for longer than a minute, and no body over a million characters", async () => {
  await using it = await startCache();
  await it.relay();
  await it.set("A");
  const left = await it.link.tryCommand((client) => client.pTTL("{lotline:traces}:body:A"));
  ok(left !== undefined && left > 50_000 && left <= 60_000, `${left} ms`);
  await it.relay();
  const large = await it.cache.find("B");
  ok(large.trace === undefined);
  await large.set({ ...TRACE, body: "x".repeat(1_000_001) });
  await it.relay();
  strictEqual(await it.cached("B"), undefined);
});

Deno.test("the record of changes has a bound, with a relay or without", async () => {
  let seconds = 0;
  await using it = await startCache({ clock: () => ahead(seconds) });
  const remembered = () => it.link.tryCommand((c) => c.zCard("{lotline:traces}:changed"));
  for (const goOn of [() => it.relay(), () => it.cache.invalidate("LOT-0")]) {
    await it.relay(Array.from({ length: 100 }, (_, n) => `LOT-${n}`));
    strictEqual(await remembered(), 100);
    seconds += 30;
    await goOn();
    const left = await remembered() ?? Infinity;
    ok(left <= 1, `${left} changes`);
  }
});

for (const database of ["another", undefined]) {
  const whose = database === undefined ? "while its own isn't known" : "of another database";
  Deno.test(`a process believes no relay ${whose}, and uses nothing cached under it`, async () => {
    await using it = await startCache();
    await it.relay();
    await it.set("A");
    deepStrictEqual(await it.cached("A"), TRACE);
    const counted: string[] = [];
    const metrics = {
      cacheRead: (outcome: string) => counted.push(outcome),
      cacheStored: (outcome: string) => counted.push(outcome),
    };
    const link = { ...it.link, connection: it.link.connection, database };
    const cache = createTraceCache(link, metrics, undefined, LONG_FRESH_MS);
    await it.relay();
    const found = await cache.find("A");
    strictEqual(found.trace, undefined);
    if (found.trace === undefined) await found.set({ ...TRACE, etag: 'W/"other"' });
    deepStrictEqual(counted, ["bypassed"]);
    // Its own relay begins another epoch, or says nothing while it doesn't know its database.
    const relay = createTraceInvalidation(link, LONG_FRESH_MS);
    for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
    if (database === undefined) await it.relay();
    deepStrictEqual(await it.cached("A"), database === undefined ? TRACE : undefined);
  });
}

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import {
  ahead,
  LONG_FRESH_MS,
  NOTHING,
  startCache,
  TRACE,
  withClock,
} from "../testing/trace_cache.ts";
import { createTraceCache, createTraceInvalidation } from "./trace_cache.ts";
import { connectValkey, type Valkey } from "./valkey.ts";

/*
 * The trace cache when Valkey's clock jumps, when another Valkey takes over, and when it returns
 * with older contents.
 */

Deno.test("a trace read before its lot changed isn't cached after the clock went ahead and back", async () => {
  let seconds = 0;
  await using it = await startCache({ clock: () => ahead(seconds) });
  await it.relay();
  const read = await it.cache.find("A");
  ok(read.trace === undefined);
  await it.apply({ ...NOTHING, lotCodes: ["A"] });
  seconds = 20;
  await it.apply(NOTHING);
  seconds = 0;
  await read.set(TRACE);
  deepStrictEqual(it.counted(), ["miss", "keep: stale_refused"]);
  // The relay starts again with the current clock.
  for (let n = 0; n < 3; n++) await it.apply(NOTHING);
  await it.set("A");
  deepStrictEqual(await it.cached("A"), TRACE);
});

const freshFor = (link: Valkey) =>
  link.tryCommand((client) => client.pTTL("{lotline:traces}:fresh"));

Deno.test("when the clock goes back, nothing counts as up to date for that long", async () => {
  let seconds = 20;
  await using it = await startCache({ clock: () => ahead(seconds) });
  await it.relay();
  ok(
    (await freshFor(it.link) ?? 0) > 19_000,
    "the test is about a mark that is valid for too long",
  );
  seconds = 0;
  for (let n = 0; n < 4; n++) {
    await it.apply(NOTHING);
    const ms = await freshFor(it.link) ?? Infinity;
    ok(ms <= LONG_FRESH_MS, `${ms} ms`);
  }
  ok((await freshFor(it.link) ?? 0) > 0, "it works again");
});

Deno.test("a mark that this process has held for too long is ignored, whatever Valkey's clock says", async () => {
  let now = 0;
  await using it = await startCache({ clock: () => ahead(20) });
  const metrics = { cacheRead() {}, cacheStored() {} };
  const cache = createTraceCache(it.link, metrics, () => now, LONG_FRESH_MS);
  await it.relay();
  await it.set("A");
  deepStrictEqual((await cache.find("A")).trace, TRACE);
  now += LONG_FRESH_MS;
  strictEqual((await cache.find("A")).trace, undefined);
  await it.relay();
  deepStrictEqual((await cache.find("A")).trace, TRACE);
});

/** Two Valkeys behind one address: the cache's, and one with slightly older contents. */
async function startTwo() {
  const stack = new AsyncDisposableStack();
  const it = stack.use(await startCache());
  const other = stack.use(await ownValkey());
  const otherLink = stack.adopt(connectValkey(other.server.url, () => {}), (link) => link.close());
  await eventually("a link", otherLink.isUsable);
  return {
    it,
    otherLink,
    /** Copies the current contents of the first one, and nothing later. */
    async copy() {
      await it.link.tryCommand((client) => client.configSet("repl-diskless-sync-delay", "0"));
      const notified = (...command: string[]) =>
        otherLink.tryCommand((client) => client.sendCommand<string>(command));
      await notified("REPLICAOF", "127.0.0.1", String(it.server.port));
      await eventually("it has all", async () => {
        const state = await notified("INFO", "replication");
        return state?.includes("master_link_status:up") ?? false;
      });
      await notified("REPLICAOF", "NO", "ONE");
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A link that leads to one Valkey, and later to another. */
function moving(first: Valkey): { link: Valkey; lead(to: Valkey, isNoticed?: boolean): void } {
  let now = first;
  let connection = 1;
  return {
    link: {
      isUsable: () => now.isUsable(),
      problem: () => now.problem(),
      close: () => {},
      get connection() {
        return connection;
      },
      get database() {
        return now.database;
      },
      tryCommand: (work, patienceMs) => now.tryCommand(work, patienceMs),
    },
    lead(to, isNoticed = true) {
      now = to;
      if (isNoticed) connection++;
    },
  };
}

Deno.test("on another Valkey freshness isn't computed with the first one's clock", async () => {
  await using two = await startTwo();
  const { link, lead } = moving(withClock(two.it.link, () => ahead(20)));
  const relay = createTraceInvalidation(link, LONG_FRESH_MS);
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  lead(two.otherLink);
  for (let n = 0; n < 3; n++) {
    await relay.apply(NOTHING);
    const ms = await freshFor(two.otherLink) ?? Infinity;
    ok(ms <= LONG_FRESH_MS, `${ms} ms`);
  }
  ok((await freshFor(two.otherLink) ?? 0) > 0, "it works there");
});

Deno.test("a client sees its own write when Valkey returns with older contents", async () => {
  await using two = await startTwo();
  const { it, otherLink } = two;
  const { link, lead } = moving(it.link);
  const metrics = { cacheRead() {}, cacheStored() {} };
  const cache = createTraceCache(link, metrics, undefined, LONG_FRESH_MS);
  // Up to date for long: the copy takes time.
  const relay = createTraceInvalidation(it.relayLink, 30_000);
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  await it.set("A");
  deepStrictEqual((await cache.find("A")).trace, TRACE);
  await two.copy();
  await cache.invalidate("A");
  lead(otherLink);
  ok((await freshFor(otherLink) ?? 0) > 0, "the test is about a mark that is still valid");
  for (let n = 0; n < 3; n++) strictEqual((await cache.find("A")).trace, undefined);
});

Deno.test("changes that Valkey lost are in no response, even if no connection broke", async () => {
  await using two = await startTwo();
  const { it, otherLink } = two;
  const { link, lead } = moving(it.link);
  const relay = createTraceInvalidation(link, LONG_FRESH_MS);
  const metrics = { cacheRead() {}, cacheStored() {} };
  for (let n = 0; n < 2; n++) await relay.apply(NOTHING);
  await it.set("A");
  await two.copy();
  await relay.apply({ ...NOTHING, lotCodes: ["A"] });
  lead(otherLink, false);
  for (let n = 0; n < 3; n++) await relay.apply(NOTHING);
  const cache = createTraceCache(otherLink, metrics, undefined, LONG_FRESH_MS);
  strictEqual((await cache.find("A")).trace, undefined);
});

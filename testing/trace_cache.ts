import { createTraceCache, createTraceInvalidation } from "../cache/trace_cache.ts";
import { connectValkey, type Valkey } from "../cache/valkey.ts";
import { eventually } from "./eventually.ts";
import { ownValkey } from "./own_valkey.ts";

/** A response to cache. */
export const TRACE = { body: '{"central":{"lot_code":"A\\n\\u0000 é"}}\n', etag: 'W/"26-abc"' };
/** The relay has seen no change. */
export const NOTHING = { lotCodes: [], everything: false, complete: true };

/**
 * How long a relay's mark is valid, in ms: longer than in service, so that a slow machine doesn't
 * make a relay late by accident.
 */
export const LONG_FRESH_MS = 600;

/**
 * A separate Valkey, the cache on it, and the relay's side, controlled by the test. `clock` is the
 * time that Valkey's scripts see, see {@link ahead}.
 */
export async function startCache(
  { persist = false, clock }: { persist?: boolean; clock?: () => string } = {},
) {
  const valkey = await ownValkey({ persist });
  const connected = () => {
    const link = connectValkey(valkey.server.url, () => {});
    return clock ? withClock(link, clock) : link;
  };
  const link = connected();
  const relayLink = connected();
  for (const one of [link, relayLink]) await eventually("a link", one.isUsable);
  const counted: string[] = [];
  const metrics = {
    cacheRead: (outcome: string) => counted.push(outcome),
    cacheStored: (outcome: string) => counted.push(`keep: ${outcome}`),
  };
  const cache = createTraceCache(link, metrics, undefined, LONG_FRESH_MS);
  const relay = createTraceInvalidation(relayLink, LONG_FRESH_MS);
  return {
    server: valkey.server,
    link,
    relayLink,
    cache,
    /** The counts since the last call. */
    counted: () => counted.splice(0),
    /** A relay that is on time: it knows these changes, and no others. */
    async relay(lotCodes: string[] = []) {
      await relay.apply(NOTHING);
      await relay.apply({ ...NOTHING, lotCodes });
    },
    apply: relay.apply,
    async set(lotCode: string) {
      const found = await cache.find(lotCode);
      if (found.trace === undefined) await found.set(TRACE);
    },
    async cached(lotCode: string) {
      return (await cache.find(lotCode)).trace;
    },
    [Symbol.asyncDispose]: async () => {
      link.close();
      relayLink.close();
      await valkey[Symbol.asyncDispose]();
    },
  };
}

/** A time as Lua has it: Valkey's own, this many seconds ahead. */
export function ahead(seconds: number): string {
  return `(function(t) return { t[1] + ${seconds}, t[2] } end)(redis.call('TIME'))`;
}

/** The same Valkey with another clock for its scripts. Its keys still expire by its own clock. */
export function withClock(link: Valkey, time: () => string): Valkey {
  return {
    isUsable: link.isUsable,
    problem: link.problem,
    close: link.close,
    get connection() {
      return link.connection;
    },
    get database() {
      return link.database;
    },
    tryCommand: (work, patienceMs) =>
      link.tryCommand((client) => {
        const evaluate: typeof client.eval = (script, options) =>
          client.eval(String(script).replace("redis.call('TIME')", time()), options);
        return work(
          new Proxy(client, {
            get: (of, name) => name === "eval" ? evaluate : Reflect.get(of, name),
          }),
        );
      }, patienceMs),
  };
}

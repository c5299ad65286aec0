import { createBatcher } from "../batcher.ts";
import type { CacheOutcome, Metrics } from "../metrics.ts";
import type { Valkey } from "./valkey.ts";

/*
 * Finished answers of the trace endpoint, kept in Valkey. Three rules make them right:
 *
 * - The relay, which removes what has changed, says again and again that it is up to date, each time
 *   for FRESH_MS. Whenever it doesn't (it is away, late, or can't reach PostgreSQL or Valkey), no
 *   kept answer is used. So none is ever older than FRESH_MS.
 * - An answer is kept only if its lot wasn't among the changed ones since before PostgreSQL was read.
 *   Time is a counter in Valkey that follows Valkey's clock; no two clocks are compared.
 * - Whenever something may have been missed, the relay begins a new epoch, and what was kept in
 *   another one isn't used.
 */

/** A finished answer. */
export interface FinishedTrace {
  readonly body: string;
  readonly etag: string;
}

/** What the cache knows of a lot: its answer, or how to keep it once it has been read. */
export type Lookup =
  | { readonly trace: FinishedTrace }
  | { readonly trace: undefined; set(trace: FinishedTrace): Promise<void> };

/** The trace cache, as the routes use it. No method ever throws or keeps a client waiting for more than a tenth of a second. */
export interface TraceCache {
  /** Ask before PostgreSQL is read: what changes after this moment prevents the keeping. */
  find(lotCode: string): Promise<Lookup>;
  /** Removes the answer for a lot that this process has written. */
  invalidate(lotCode: string): Promise<void>;
}

/** How old an answer from the cache may be at most, in ms. */
export const FRESH_MS = 100;
/** How long an answer is kept at most, in ms: a bound on what nobody could have noticed. */
const TTL_MS = 60_000;
/** How long Valkey is waited for, in ms: after that PostgreSQL would have answered long ago. */
const TIMEOUT_MS = 100;
/** How answers are looked for: those of some requests together, half as dear as one by one. */
const READS = { maxConcurrent: 2, maxBatchSize: 32, slowMs: 50 };
/** Longer bodies aren't kept, in characters. */
const MAX_BODY_CHARACTERS = 1_000_000;
/** How long changes are remembered, in µs: longer than an answer may be on its way. */
const REMEMBER_US = 20_000_000;
const OLDEST_READ_US = 15_000_000;
/** How far Valkey's clock may go back unnoticed, in µs: the counter runs ahead of it by less. */
const CLOCK_SLACK_US = 1_000;

// The tag in braces puts all of them on one node of a cluster: they are used together. Each script
// names one of them as its first key, by which a cluster finds that node.
const key = (name: string) => `{lotline:traces}:${name}`;
const EPOCH = key("epoch");
const FRESH = key("fresh");
const CLOCK = key("clock");
/** The number that the last script of the relay gave: a Valkey that has lost one has lost the number. */
const APPLIED = key("applied");
/** The keys of answers that changed lately, by the time of the change. */
const CHANGED = key("changed");
const bodyKey = (lotCode: string) => key(`body:${lotCode}`);

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]`;

// The counter moves with every change and every tick, at least as far as the clock. When the clock has
// gone back, what was remembered or allowed by it counts no more: the relay begins a new epoch.
const TICK = `${NOW}
local last = tonumber(redis.call('GET', '${CLOCK}') or '0')
if last > now + ${CLOCK_SLACK_US} then
  redis.call('DEL', '${EPOCH}', '${FRESH}', '${CHANGED}')
  last = 0
end
local tick = math.max(now, last + 1)
redis.call('SET', '${CLOCK}', string.format('%.0f', tick))
redis.call('ZREMRANGEBYSCORE', '${CHANGED}', '-inf', string.format('%.0f', tick - ${REMEMBER_US}))
local function remove(key)
  redis.call('DEL', key)
  redis.call('ZADD', '${CHANGED}', string.format('%.0f', tick), key)
end`;

// An answer's age goes by the counter, which doesn't go back when the clock does.
const SET_SCRIPT = `${NOW}
local epoch, read_at, value = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local tick = math.max(now, tonumber(redis.call('GET', '${CLOCK}') or '0'))
local changed = redis.call('ZSCORE', '${CHANGED}', KEYS[2])
if redis.call('GET', '${EPOCH}') ~= epoch or tick - read_at > ${OLDEST_READ_US}
  or (changed and tonumber(changed) > read_at) then return 0 end
redis.call('SET', KEYS[2], value, 'PX', ${TTL_MS})
return 1`;

const INVALIDATE_SCRIPT = `${TICK}
remove(KEYS[2])`;

/**
 * Judges what the relay said last, beside Valkey's own clock: after a step back of that clock, or in
 * another Valkey whose clock is behind, a word may stand for longer than it is good for. So one that
 * this process has known for FRESH_MS isn't believed, nor the first one on a new connection, where
 * Valkey may have older contents.
 */
function createFreshnessCheck(
  valkey: Pick<Valkey, "connection">,
  now: () => number,
  freshMs: number,
) {
  let connection: number | undefined;
  let untrusted: string | undefined;
  let last: string | undefined;
  let since = 0;
  return (fresh: string): boolean => {
    if (connection !== valkey.connection) {
      if (connection !== undefined) untrusted = fresh;
      connection = valkey.connection;
    }
    if (fresh !== last) {
      last = fresh;
      since = now();
    }
    return fresh !== untrusted && now() - since < freshMs;
  };
}

/**
 * The trace cache on this Valkey. `now` is a clock that never goes back, in ms; `freshMs` is the
 * relay's.
 */
export function createTraceCache(
  valkey: Valkey,
  metrics: Pick<Metrics, "cacheRead" | "cacheStored">,
  now: () => number = () => performance.now(),
  freshMs: number = FRESH_MS,
): TraceCache {
  let bypassUntil = 0;
  const isTrusted = createFreshnessCheck(valkey, now, freshMs);
  const bypass = (outcome: CacheOutcome): Lookup => {
    metrics.cacheRead(outcome);
    return { trace: undefined, set: () => Promise.resolve() };
  };

  const read = createBatcher(
    (bodies: readonly string[]) =>
      valkey.tryCommand((client) => client.mGet([FRESH, ...bodies]), TIMEOUT_MS),
    READS,
  );

  return {
    async find(lotCode) {
      const body = bodyKey(lotCode);
      const { result: [fresh, ...bodies] = [], index } = await read(body);
      const cached = bodies[index];
      if (!fresh || !isTrusted(fresh) || now() < bypassUntil) {
        return bypass(cached ? "stale_refused" : "bypassed");
      }
      const [epoch = "", readAt = ""] = fresh.split(" ");
      if (cached?.startsWith(`${epoch} `)) {
        metrics.cacheRead("hit");
        const line = cached.indexOf("\n");
        return {
          trace: { etag: cached.slice(epoch.length + 1, line), body: cached.slice(line + 1) },
        };
      }
      metrics.cacheRead(cached ? "stale_refused" : "miss");
      return {
        trace: undefined,
        async set(trace) {
          if (trace.body.length > MAX_BODY_CHARACTERS) return;
          const value = `${epoch} ${trace.etag}\n${trace.body}`;
          const stored = await valkey.tryCommand((client) =>
            client.eval(SET_SCRIPT, { keys: [CLOCK, body], arguments: [epoch, readAt, value] })
          );
          if (stored !== undefined) metrics.cacheStored(stored === 1 ? "stored" : "stale_refused");
        },
      };
    },
    async invalidate(lotCode) {
      const removed = await valkey.tryCommand(
        (client) =>
          client.eval(INVALIDATE_SCRIPT, { keys: [CLOCK, bodyKey(lotCode)] }).then(() => true),
        TIMEOUT_MS,
      );
      // What is kept there may be believed for FRESH_MS more, though not by whoever wrote the lot.
      if (!removed) bypassUntil = now() + freshMs;
    },
  };
}

/** What may be in cached answers and has changed. */
export interface TraceChanges {
  /** The lots whose answers have changed. */
  readonly lotCodes: readonly string[];
  /** More has changed than `lotCodes` says: all answers count as changed. */
  readonly everything: boolean;
  /** Whether what changed until now is really all known. */
  readonly complete: boolean;
}

/** The relay's side of the cache. */
export interface TraceInvalidation {
  /**
   * A relay's turn begins: the next {@link apply} begins a new epoch. Another relay may have taken
   * changes meanwhile that Valkey was never told of.
   */
  beginTurn(): void;
  /**
   * Removes what has changed, and lets the rest be used for {@link FRESH_MS} from the moment at which
   * the call before this one was answered: so read the changes between the two. Never throws; what
   * couldn't be removed isn't used any more.
   */
  apply(changes: TraceChanges): Promise<void>;
}

const APPLY = `${TICK}
local epoch, begins = ARGV[1], ARGV[2] == 'new'
local known_until, fresh_ms, applied = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if begins then
  redis.call('SET', '${EPOCH}', epoch)
  redis.call('DEL', '${FRESH}')
elseif redis.call('GET', '${EPOCH}') ~= epoch or redis.call('GET', '${APPLIED}') ~= applied then
  return { 'lost', '0', '' }
end
applied = string.format('%.0f', tick)
redis.call('SET', '${APPLIED}', applied)
for i = 2, #KEYS do remove(KEYS[i]) end
local until_ms = math.floor(known_until / 1000) + fresh_ms
if until_ms > now / 1000 and known_until <= now then
  redis.call('SET', '${FRESH}', epoch .. ' ' .. applied, 'PXAT', string.format('%.0f', until_ms))
end
return { 'applied', string.format('%.0f', now), applied }`;

/** The relay's side of the cache on this Valkey. Only one relay at a time is believed. */
export function createTraceInvalidation(
  valkey: Valkey,
  freshMs: number = FRESH_MS,
): TraceInvalidation {
  let epoch: string | undefined;
  let connection: number | undefined;
  /** Valkey's clock at the last answer, in µs; 0: none that could be relied on. */
  let knownUntil = "0";
  /** What Valkey must remember of the last answer. */
  let lastApplied = "";
  const reset = () => {
    epoch = undefined;
    knownUntil = "0";
  };
  return {
    beginTurn: reset,
    async apply({ lotCodes, everything, complete }) {
      // On a new connection there may be another Valkey with another clock, or older contents.
      if (connection !== valkey.connection) reset();
      const begins = epoch === undefined || everything;
      if (begins) epoch = crypto.randomUUID();
      connection = valkey.connection;
      const knownFrom = complete ? knownUntil : "0";
      const args = [epoch ?? "", begins ? "new" : "", knownFrom, String(freshMs), lastApplied];
      const keys = begins ? [CLOCK] : [CLOCK, ...lotCodes.map(bodyKey)];
      const reply = await valkey.tryCommand((client) =>
        client.eval(APPLY, { keys, arguments: args })
      );
      const [status, now = "0", applied = ""] = Array.isArray(reply) ? reply.map(String) : [];
      if (status !== "applied") return reset();
      knownUntil = now;
      lastApplied = applied;
    },
  };
}

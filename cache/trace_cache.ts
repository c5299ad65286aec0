import { createBatcher } from "../batcher.ts";
import type { CacheOutcome, Metrics } from "../metrics.ts";
import type { Valkey } from "./valkey.ts";

/*
 * Responses of the trace endpoint, cached in Valkey. Three rules make them correct:
 *
 * - The relay, which removes changed responses, states repeatedly that it is up to date, each time
 *   for FRESH_MS. Without that statement (it is late, or can't reach PostgreSQL or Valkey) no cached
 *   response is used. So none is ever older than FRESH_MS.
 * - A response is cached only if its lot hasn't changed since before PostgreSQL was read. Time is a
 *   counter in Valkey that follows Valkey's clock; no two clocks are compared.
 * - Whenever a change may have been missed, the relay begins a new epoch; responses of another epoch
 *   aren't used. An epoch names its database: another one's relay may have begun it in the same Valkey.
 */

interface CachedTrace {
  readonly body: string;
  readonly etag: string;
}

/** The cached response of a lot, or a function that caches it. */
type Lookup =
  | { readonly trace: CachedTrace }
  | { readonly trace: undefined; set(trace: CachedTrace): Promise<void> };

export type TraceCache = ReturnType<typeof createTraceCache>;

/** The cache, as the relay uses it. */
export type TraceInvalidation = ReturnType<typeof createTraceInvalidation>;

/** The greatest age of a response from the cache, in ms. */
export const FRESH_MS = 100;
/** How long a response is stored, in ms: a bound on undetected errors. */
const TTL_MS = 60_000;
/** The most time for Valkey, in ms: PostgreSQL would be faster. */
const TIMEOUT_MS = 100;
/** Reads of several requests share a command, which halves their cost. */
const READS = { maxConcurrent: 2, maxBatchSize: 32, slowMs: 50 };
/** Longer bodies aren't cached. */
const MAX_BODY_CHARACTERS = 1_000_000;
/** How long changes are stored, in µs: longer than {@link OLDEST_READ_US}. */
const REMEMBER_US = 20_000_000;
/** The greatest age of a response that is still cached, in µs. */
const OLDEST_READ_US = 15_000_000;
/** How far Valkey's clock may go back undetected, in µs: the counter is ahead of it by less. */
const CLOCK_SLACK_US = 1_000;

// During an update two versions share these keys, and the relay of either removes the responses of both.
// So no name here ever changes. A response in another form gets a word before its epoch: the earlier
// version takes it for one of another epoch, and doesn't use it.
//
// The hash tag puts all keys into one slot of a cluster. Each script is given every key that it uses.
const key = (name: string) => `{lotline:traces}:${name}`;
const EPOCH = key("epoch");
const FRESH = key("fresh");
const CLOCK = key("clock");
/** The number of the relay's last script: a Valkey that has lost a script has lost the number. */
const APPLIED = key("applied");
/** The keys of recently changed responses, by the time of the change. */
const CHANGED = key("changed");
const bodyKey = (lotCode: string) => key(`body:${lotCode}`);
/** The first keys of each script, under the names of {@link NOW}; bodies follow. */
const KEYS = [EPOCH, FRESH, CLOCK, APPLIED, CHANGED];
/** The index of the first body, as Lua counts. */
const BODY = KEYS.length + 1;

const NOW = `
local EPOCH, FRESH, CLOCK, APPLIED, CHANGED = unpack(KEYS, 1, ${KEYS.length})
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]`;

// The counter moves with every change and every tick, at least as far as the clock. When the clock has
// gone back, stored changes and statements are invalid: the relay begins a new epoch.
const TICK = `${NOW}
local last = tonumber(redis.call('GET', CLOCK) or '0')
if last > now + ${CLOCK_SLACK_US} then
  redis.call('DEL', EPOCH, FRESH, CHANGED)
  last = 0
end
local tick = math.max(now, last + 1)
redis.call('SET', CLOCK, string.format('%.0f', tick))
redis.call('ZREMRANGEBYSCORE', CHANGED, '-inf', string.format('%.0f', tick - ${REMEMBER_US}))
local function remove(key)
  redis.call('DEL', key)
  redis.call('ZADD', CHANGED, string.format('%.0f', tick), key)
end`;

// A response's age is measured by the counter, which never goes back.
const SET_SCRIPT = `${NOW}
local epoch, read_at, value = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local tick = math.max(now, tonumber(redis.call('GET', CLOCK) or '0'))
local changed = redis.call('ZSCORE', CHANGED, KEYS[${BODY}])
if redis.call('GET', EPOCH) ~= epoch or tick - read_at > ${OLDEST_READ_US}
  or (changed and tonumber(changed) > read_at) then return 0 end
redis.call('SET', KEYS[${BODY}], value, 'PX', ${TTL_MS})
return 1`;

const INVALIDATE_SCRIPT = `${TICK}
remove(KEYS[${BODY}])`;

const newEpoch = (database: string) => `${database}:${crypto.randomUUID()}`;
const isOf = (database: string | undefined, epoch: string) =>
  database !== undefined && epoch.startsWith(`${database}:`);

/**
 * Checks the relay's last statement by this process's clock too: after a step back of Valkey's clock,
 * or in another Valkey whose clock is behind, it may exist for too long. A statement is invalid when
 * this process has known it for FRESH_MS, and so is the first one on a new connection, where Valkey may
 * have older contents.
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
 * The cache, as the routes use it. No method throws or waits longer than {@link TIMEOUT_MS}.
 *
 * @param now a monotonic clock, in ms
 */
export function createTraceCache(
  valkey: Valkey,
  metrics: Pick<Metrics, "cacheRead" | "cacheStored">,
  now: () => number = () => performance.now(),
  freshMs: number = FRESH_MS,
) {
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
    /** Call before PostgreSQL is read: a later change prevents the caching. */
    async find(lotCode: string): Promise<Lookup> {
      const body = bodyKey(lotCode);
      const { result: [fresh, ...bodies] = [], index } = await read(body);
      const cached = bodies[index];
      if (!fresh || !isTrusted(fresh) || now() < bypassUntil) {
        return bypass(cached ? "stale_refused" : "bypassed");
      }
      const [epoch = "", readAt = ""] = fresh.split(" ");
      if (!isOf(valkey.database, epoch)) return bypass("bypassed");
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
            client.eval(SET_SCRIPT, { keys: [...KEYS, body], arguments: [epoch, readAt, value] })
          );
          if (stored !== undefined) metrics.cacheStored(stored === 1 ? "stored" : "stale_refused");
        },
      };
    },
    /** Removes the response for a lot that this process has written. */
    async invalidate(lotCode: string): Promise<void> {
      const removed = await valkey.tryCommand(
        (client) =>
          client.eval(INVALIDATE_SCRIPT, { keys: [...KEYS, bodyKey(lotCode)] }).then(() => true),
        TIMEOUT_MS,
      );
      // Others may use the old response for FRESH_MS, but not the process that wrote the lot.
      if (!removed) bypassUntil = now() + freshMs;
    },
  };
}

export interface TraceChanges {
  /** The lots whose responses have changed. */
  readonly lotCodes: readonly string[];
  /** More has changed than `lotCodes` names: all responses count as changed. */
  readonly everything: boolean;
  /** Whether all changes until now are known. */
  readonly complete: boolean;
}

const APPLY = `${TICK}
local epoch, begins = ARGV[1], ARGV[2] == 'new'
local known_until, fresh_ms, applied = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if begins then
  redis.call('SET', EPOCH, epoch)
  redis.call('DEL', FRESH)
elseif redis.call('GET', EPOCH) ~= epoch or redis.call('GET', APPLIED) ~= applied then
  return { 'lost', '0', '' }
end
applied = string.format('%.0f', tick)
redis.call('SET', APPLIED, applied)
for i = ${BODY}, #KEYS do remove(KEYS[i]) end
local until_ms = math.floor(known_until / 1000) + fresh_ms
if until_ms > now / 1000 and known_until <= now then
  redis.call('SET', FRESH, epoch .. ' ' .. applied, 'PXAT', string.format('%.0f', until_ms))
end
return { 'applied', string.format('%.0f', now), applied }`;

/** Of several relays only the last one that began a turn is valid. */
export function createTraceInvalidation(valkey: Valkey, freshMs: number = FRESH_MS) {
  let epoch: string | undefined;
  let connection: number | undefined;
  /** Valkey's clock at the last response, in µs; 0: there is no valid one. */
  let knownUntil = "0";
  /** The number that Valkey must still have from the last response. */
  let lastApplied = "";
  const reset = () => {
    epoch = undefined;
    knownUntil = "0";
  };
  return {
    /**
     * A relay's turn begins: the next {@link apply} begins a new epoch. Another relay may have removed
     * changes from the outbox that Valkey has never received.
     */
    beginTurn: reset,
    /**
     * Removes changed responses and permits the others for {@link FRESH_MS} from the reply to the
     * last call on: read the changes between the two calls. Never throws; if a response couldn't be
     * removed, none is used.
     */
    async apply({ lotCodes, everything, complete }: TraceChanges): Promise<void> {
      // On a new connection there may be another Valkey with another clock, or older contents.
      if (connection !== valkey.connection) reset();
      const { database } = valkey;
      if (database === undefined) return reset();
      const begins = epoch === undefined || everything || !isOf(database, epoch);
      if (begins) epoch = newEpoch(database);
      connection = valkey.connection;
      const knownFrom = complete ? knownUntil : "0";
      const args = [epoch ?? "", begins ? "new" : "", knownFrom, String(freshMs), lastApplied];
      const keys = begins ? KEYS : [...KEYS, ...lotCodes.map(bodyKey)];
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

import { createHash } from "node:crypto";
import type { Valkey } from "../cache/valkey.ts";
import { networkOf } from "../client_address.ts";
import {
  later,
  PENDING_MS,
  type Refusal,
  TryCounts,
  type TryLimit,
  WINDOW_MS,
} from "./try_counts.ts";

export type Turn =
  | {
    readonly allowed: true;
    /** The login succeeded: removes its try and the account's failed ones before it. */
    succeed(): Promise<void>;
    /** The login failed: its try counts for a whole window from now. */
    fail(): Promise<void>;
    /** The login did not finish: removes its try. */
    cancel(): Promise<void>;
  }
  | {
    readonly allowed: false;
    readonly by: "account" | "address";
    /** The seconds until the next try, a whole number from 1. */
    readonly retryAfterS: number;
  };

export type LoginThrottle = ReturnType<typeof createLoginThrottle>;

interface Deps {
  /** Failed tries per window and account, from any address. */
  readonly perAccount: number;
  /** Failed tries per window and address, for any account. */
  readonly perAddress: number;
  readonly valkey?: Valkey | undefined;
  /** A monotonic clock, in ms. */
  readonly now?: () => number;
}

/**
 * A throttle with a sliding window. Valkey counts the tries of all processes, and each process
 * counts its own. A try is refused when either count is full: Valkey may be unavailable, or may
 * have lost its data (FLUSHALL, eviction, a restart).
 */
export function createLoginThrottle(
  { perAccount, perAddress, valkey, now = () => performance.now() }: Deps,
) {
  const own = new TryCounts(now);
  const limitsOf = (email: string, address: string): readonly [TryLimit, TryLimit] => [
    { key: keyOf("account", email), max: perAccount },
    { key: keyOf("address", networkOf(address)), max: perAddress },
  ];
  /** The refusal of this process or of Valkey, whichever lasts longer. */
  const refusalBy = (
    limits: readonly [TryLimit, TryLimit],
    { refusal, successAt }: SharedCounts,
  ): Turn | undefined => {
    // A success in another process has cleared the account's count everywhere.
    if (successAt !== undefined) own.clearUntil(limits[0].key, successAt);
    const longer = later(own.refusalOf(limits), refusal);
    if (longer === undefined) return undefined;
    const by = longer.index === 0 ? "account" : "address";
    return { allowed: false, by, retryAfterS: Math.max(1, Math.ceil(longer.waitMs / 1_000)) };
  };
  const runScript = async (
    [account, address]: readonly [TryLimit, TryLimit],
    script: string,
    ...values: (string | number)[]
  ): Promise<unknown> =>
    await valkey?.tryCommand((client) =>
      client.eval(script, {
        keys: [account.key, address.key, `${account.key}:success`],
        arguments: values.map(String),
      })
    );
  return {
    /** The turn that `consume` would return, without counting. */
    async peek(email: string, address: string): Promise<Turn> {
      const limits = limitsOf(email, address);
      const shared = await runScript(limits, PEEK, perAccount, perAddress);
      const noEffect = () => Promise.resolve();
      return refusalBy(limits, sharedCounts(shared)) ??
        { allowed: true, succeed: noEffect, fail: noEffect, cancel: noEffect };
    },
    /**
     * Counts a try before its password is checked, so that parallel tries don't bypass the limit.
     * The caller must report the outcome. Never throws.
     */
    async consume(email: string, address: string): Promise<Turn> {
      const limits = limitsOf(email, address);
      const id = crypto.randomUUID();
      const shared = sharedCounts(
        await runScript(limits, CONSUME, perAccount, perAddress, id, PENDING_MS, WINDOW_MS),
      );
      const refusal = refusalBy(limits, shared);
      if (refusal !== undefined) {
        // Valkey counted the try, but a refused try must not count.
        if (shared.refusal === undefined) await runScript(limits, CANCEL, id);
        return refusal;
      }
      own.count(limits, id, PENDING_MS, shared.at);
      return {
        allowed: true,
        async succeed() {
          own.remove(limits, id);
          own.clearUntil(limits[0].key, Infinity);
          await runScript(limits, SUCCEED, id, WINDOW_MS);
        },
        async fail() {
          own.count(limits, id, WINDOW_MS, shared.at);
          await runScript(limits, FAIL, id, WINDOW_MS);
        },
        async cancel() {
          own.remove(limits, id);
          await runScript(limits, CANCEL, id);
        },
      };
    },
  };
}

/** One hash tag puts both keys of a login into one cluster slot. Valkey stores no emails. */
function keyOf(kind: "account" | "address", name: string): string {
  const digest = createHash("sha256").update(name).digest("base64url");
  return `lotline:{login}:${kind}:${digest}`;
}

/*
 * Each count is a sorted set: the id of a try, scored by the time at which it expires, in ms of
 * Valkey's clock, which all processes share. A set expires one window after its last try. The third
 * key is the time of the account's last success, kept while an earlier try may count.
 */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local success = tonumber(redis.call('GET', KEYS[3]) or -1)`;

// Returns the index of the full count and the ms until one of its tries expires, or goes on. ARGV: the
// two maxima.
const CHECK = `${NOW}
for i = 1, 2 do
  local max = tonumber(ARGV[i])
  if redis.call('ZCOUNT', KEYS[i], '(' .. now, '+inf') >= max then
    local expiring = redis.call('ZREVRANGE', KEYS[i], max - 1, max - 1, 'WITHSCORES')
    return {i - 1, tonumber(expiring[2]) - now, micros, success}
  end
end`;

// Index -1 and 0 ms: no count is full. Then the time, and that of the account's last success or -1, both
// in µs of Valkey's clock: no two scripts run in the same µs.
const PEEK = `${CHECK}
return {-1, 0, micros, success}`;

// Also adds the try. ARGV: the two maxima, the try's id, its ms until it expires, the window.
const CONSUME = `${CHECK}
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  redis.call('ZADD', KEYS[i], now + ARGV[4], ARGV[3])
  redis.call('PEXPIRE', KEYS[i], ARGV[5])
end
return {-1, 0, micros, success}`;

const FAIL = `${NOW}
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end`;

const CANCEL = `for i = 1, 2 do redis.call('ZREM', KEYS[i], ARGV[1]) end`;
const SUCCEED = `${NOW}
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], string.format('%.0f', micros), 'PX', ARGV[2])`;

/** Valkey's counts; empty while it is unavailable. */
interface SharedCounts {
  readonly refusal?: Refusal;
  /** The time of the reply, in µs of Valkey's clock. */
  readonly at?: number;
  /** The account's last success in any process, by the same clock. */
  readonly successAt?: number;
}

function sharedCounts(reply: unknown): SharedCounts {
  if (!Array.isArray(reply)) return {};
  const [index = -1, waitMs = 0, at = 0, successAt = -1] = reply.map(Number);
  return {
    at,
    ...(index >= 0 && { refusal: { index, waitMs } }),
    ...(successAt >= 0 && { successAt }),
  };
}

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

/** What a login may do: try, or come back later. */
export type Turn =
  | {
    readonly allowed: true;
    /** The login was right: its try, and the account's failed ones before it, are forgotten. */
    succeed(): Promise<void>;
    /** The login was wrong: its try counts from now on for a whole window. */
    fail(): Promise<void>;
    /** The login came to no end: its try isn't counted. */
    cancel(): Promise<void>;
  }
  | {
    readonly allowed: false;
    /** What has had too many failed tries. */
    readonly by: "account" | "address";
    /** In that many seconds there is one try again, a whole number from 1. */
    readonly retryAfterS: number;
  };

/** Bounds how often passwords are guessed. */
export interface LoginThrottle {
  /**
   * Counts a try before its password is looked at, so that many at once are no way around; how it
   * ended is to be told. Never throws.
   */
  consume(email: string, address: string): Promise<Turn>;
  /** The turn that {@link LoginThrottle.consume} would give; nothing is counted, then or at its end. */
  peek(email: string, address: string): Promise<Turn>;
}

interface Deps {
  /** Failed tries in a window before an account has to wait, whoever tries. */
  readonly perAccount: number;
  /** The same for an address, whatever the account. */
  readonly perAddress: number;
  readonly valkey?: Valkey;
  /** A clock that never goes back, in ms. */
  readonly now?: () => number;
}

/**
 * A throttle over a sliding window. The tries of all processes are in Valkey; each process counts
 * for itself as well. Whichever of the two has too many refuses: Valkey may be away, and it may have
 * forgotten (FLUSHALL, eviction, a restart).
 */
export function createLoginThrottle(
  { perAccount, perAddress, valkey, now = () => performance.now() }: Deps,
): LoginThrottle {
  const own = new TryCounts(now);
  const limitsOf = (email: string, address: string): readonly [TryLimit, TryLimit] => [
    { key: keyOf("account", email), max: perAccount },
    { key: keyOf("address", networkOf(address)), max: perAddress },
  ];
  /** The refusal of this process or of Valkey, the longer one of two. */
  const refusalBy = (
    limits: readonly [TryLimit, TryLimit],
    { refusal, successAt }: SharedCounts,
  ): Turn | undefined => {
    // The login that succeeded in another process has cleared the account's count for all.
    if (successAt !== undefined) own.clearUntil(limits[0].key, successAt);
    const longer = later(own.refusalOf(limits), refusal);
    if (longer === undefined) return undefined;
    const by = longer.index === 0 ? "account" : "address";
    return { allowed: false, by, retryAfterS: Math.max(1, Math.ceil(longer.waitMs / 1_000)) };
  };
  return {
    async peek(email, address) {
      const limits = limitsOf(email, address);
      const shared = await valkey?.tryCommand((client) =>
        client.eval(PEEK, {
          keys: keysOf(limits),
          arguments: [String(perAccount), String(perAddress)],
        })
      );
      const noEffect = () => Promise.resolve();
      return refusalBy(limits, sharedCounts(shared)) ??
        { allowed: true, succeed: noEffect, fail: noEffect, cancel: noEffect };
    },
    async consume(email, address) {
      const limits = limitsOf(email, address);
      const keys = keysOf(limits);
      const id = crypto.randomUUID();
      const runScript = async (script: string, ...more: number[]): Promise<unknown> =>
        await valkey?.tryCommand((client) =>
          client.eval(script, { keys, arguments: [id, ...more.map(String)] })
        );
      const shared = sharedCounts(
        await runScript(CONSUME, PENDING_MS, WINDOW_MS, perAccount, perAddress),
      );
      const refusal = refusalBy(limits, shared);
      if (refusal !== undefined) {
        // Valkey has counted it, and a try that is refused doesn't count.
        if (shared.refusal === undefined) await runScript(CANCEL);
        return refusal;
      }
      own.count(limits, id, PENDING_MS, shared.at);
      return {
        allowed: true,
        async succeed() {
          own.remove(limits, id);
          own.clear(limits[0].key);
          await runScript(SUCCEED, WINDOW_MS);
        },
        async fail() {
          own.count(limits, id, WINDOW_MS, shared.at);
          await runScript(FAIL, WINDOW_MS);
        },
        async cancel() {
          own.remove(limits, id);
          await runScript(CANCEL);
        },
      };
    },
  };
}

/** The two counts of a login, then where the account's last success is noted for all processes. */
function keysOf([account, address]: readonly [TryLimit, TryLimit]): string[] {
  return [account.key, address.key, `${account.key}:success`];
}

/** One hash tag, so that both keys of a login are in one slot of a cluster. No email in Valkey. */
function keyOf(kind: "account" | "address", name: string): string {
  const digest = createHash("sha256").update(name).digest("base64url");
  return `lotline:{login}:${kind}:${digest}`;
}

/*
 * Each count is a sorted set: a try's id by the moment when it doesn't count any more, in ms by
 * Valkey's clock, which is one for all processes. It goes by itself a window after its last try. The
 * third key is the moment of the account's last success, for as long as a try before it may count.
 */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local success = tonumber(redis.call('GET', KEYS[3]) or -1)`;

// Gives the place of the count that has too many tries, from 0, and the ms until one of them leaves;
// or adds the try to both and gives the place -1. Then the moment, and that of the account's last
// success or -1, both in microseconds by Valkey's clock: no two scripts run in the same one.
const CONSUME = `${NOW}
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local tries, most = redis.call('ZCARD', KEYS[i]), tonumber(ARGV[3 + i])
  if tries >= most then
    local leaves = redis.call('ZRANGE', KEYS[i], tries - most, tries - most, 'WITHSCORES')
    return {i - 1, tonumber(leaves[2]) - now, micros, success}
  end
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[3])
end
return {-1, 0, micros, success}`;

// The same without adding, or removing what doesn't count any more.
const PEEK = `${NOW}
for i = 1, 2 do
  local most = tonumber(ARGV[i])
  if redis.call('ZCOUNT', KEYS[i], '(' .. now, '+inf') >= most then
    local leaves = redis.call('ZREVRANGE', KEYS[i], most - 1, most - 1, 'WITHSCORES')
    return {i - 1, tonumber(leaves[2]) - now, micros, success}
  end
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

/** What Valkey says; nothing while it is away. */
interface SharedCounts {
  readonly refusal?: Refusal;
  /** When it said so, by its clock, in µs. */
  readonly at?: number;
  /** When the account last had a success, in any process, by the same clock. */
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

import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Valkey } from "../cache/valkey.ts";
import { PENDING_MS, type Refusal, TryCounts, type TryLimit, WINDOW_MS } from "./try_counts.ts";

/** What a login may do: try, or come back later. */
export type Turn =
  | {
    readonly allowed: true;
    /** The login was right: its try, and the account's failed ones before it, are forgotten. */
    succeed(): Promise<void>;
    /** The login was wrong: its try counts from now on for a whole window. */
    fail(): Promise<void>;
    /** The login came to no end: its try isn't counted. */
    takeBack(): Promise<void>;
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
  enter(email: string, address: string): Promise<Turn>;
  /** The turn that {@link LoginThrottle.enter} would give; nothing is counted, then or at its end. */
  look(email: string, address: string): Promise<Turn>;
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
 * for itself as well, and goes by that while Valkey is away.
 */
export function createLoginThrottle(
  { perAccount, perAddress, valkey, now = () => performance.now() }: Deps,
): LoginThrottle {
  const own = new TryCounts(now);
  const limitsOf = (email: string, address: string): readonly [TryLimit, TryLimit] => [
    { key: keyOf("account", email), most: perAccount },
    { key: keyOf("address", networkOf(address)), most: perAddress },
  ];
  const refusalBy = (limits: readonly TryLimit[], shared: unknown): Turn | undefined => {
    const refusal = shared === undefined ? own.refusalOf(limits) : refusalIn(shared);
    if (refusal === undefined) return undefined;
    const { index, waitMs } = refusal;
    const by = index === 0 ? "account" : "address";
    return { allowed: false, by, retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)) };
  };
  return {
    async look(email, address) {
      const limits = limitsOf(email, address);
      const shared = await valkey?.attempt((client) =>
        client.eval(LOOK, {
          keys: limits.map(({ key }) => key),
          arguments: [String(perAccount), String(perAddress)],
        })
      );
      const nothing = () => Promise.resolve();
      return refusalBy(limits, shared) ??
        { allowed: true, succeed: nothing, fail: nothing, takeBack: nothing };
    },
    async enter(email, address) {
      const limits = limitsOf(email, address);
      const keys = limits.map(({ key }) => key);
      const id = crypto.randomUUID();
      const tell = async (script: string, ...more: number[]): Promise<unknown> =>
        await valkey?.attempt((client) =>
          client.eval(script, { keys, arguments: [id, ...more.map(String)] })
        );
      const shared = await tell(ENTER, PENDING_MS, WINDOW_MS, perAccount, perAddress);
      const refusal = refusalBy(limits, shared);
      if (refusal !== undefined) return refusal;
      own.count(limits, id, PENDING_MS);
      return {
        allowed: true,
        async succeed() {
          own.remove(limits, id);
          own.clear(limits[0].key);
          await tell(SUCCEED);
        },
        async fail() {
          own.count(limits, id, WINDOW_MS);
          await tell(FAIL, WINDOW_MS);
        },
        async takeBack() {
          own.remove(limits, id);
          await tell(TAKE_BACK);
        },
      };
    },
  };
}

/** One hash tag, so that both keys of a login are in one slot of a cluster. No email in Valkey. */
function keyOf(kind: "account" | "address", name: string): string {
  const digest = createHash("sha256").update(name).digest("base64url");
  return `lotline:{login}:${kind}:${digest}`;
}

/** Whoever has an IPv6 address has the other 2^64 of its network as well. */
function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString();
}

/*
 * Each key is a sorted set: a try's id by the moment when it doesn't count any more, in ms by Valkey's
 * clock, which is one for all processes. It goes by itself a window after its last try.
 */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

// Gives the place of the key that has too many tries, from 0, and the ms until one of them leaves; or
// adds the try to both and gives the place -1.
const ENTER = `${NOW}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local tries, most = redis.call('ZCARD', key), tonumber(ARGV[3 + i])
  if tries >= most then
    local leaves = redis.call('ZRANGE', key, tries - most, tries - most, 'WITHSCORES')
    return {i - 1, tonumber(leaves[2]) - now}
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[3])
end
return {-1, 0}`;

// The same without adding, or removing what doesn't count any more.
const LOOK = `${NOW}
for i, key in ipairs(KEYS) do
  local most = tonumber(ARGV[i])
  if redis.call('ZCOUNT', key, '(' .. now, '+inf') >= most then
    local leaves = redis.call('ZREVRANGE', key, most - 1, most - 1, 'WITHSCORES')
    return {i - 1, tonumber(leaves[2]) - now}
  end
end
return {-1, 0}`;

const FAIL = `${NOW}
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end`;

const TAKE_BACK = `for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end`;
const SUCCEED = `redis.call('DEL', KEYS[1]) redis.call('ZREM', KEYS[2], ARGV[1])`;

function refusalIn(reply: unknown): Refusal | undefined {
  const [index, waitMs] = Array.isArray(reply) ? reply.map(Number) : [];
  if (index === undefined || waitMs === undefined || index < 0) return undefined;
  return { index, waitMs };
}

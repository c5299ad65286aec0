import { LRUCache } from "lru-cache";

/** The window of failed tries: 15 minutes, in ms. */
export const WINDOW_MS = 15 * 60_000;

/**
 * A try without an outcome counts this long, in ms: longer than any login takes. Most tries
 * succeed, so a client that is refused because of running tries shall retry soon, not in 15
 * minutes.
 */
export const PENDING_MS = 30_000;

export interface TryLimit {
  readonly key: string;
  readonly max: number;
}

/** The index of a reached limit, and the ms until a try is free. */
export interface Refusal {
  readonly index: number;
  readonly waitMs: number;
}

export function later(one: Refusal | undefined, other: Refusal | undefined): Refusal | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.waitMs > one.waitMs ? other : one;
}

interface Try {
  readonly id: string;
  /** When Valkey counted it, by Valkey's clock; undefined if it did not. */
  readonly sharedAt: number | undefined;
  /** When it expires, by this process's clock. */
  readonly expiresAt: number;
}

/**
 * The tries of this process by key. Beyond the maximum, the key that was changed least recently is
 * dropped.
 */
export class TryCounts {
  /** Sorted by expiry, the earliest first. About 1 kB each when full: at most 20 MB. */
  readonly #tries = new LRUCache<string, readonly Try[]>({ max: 20_000 });

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number) {}

  /** The first limit that is reached. */
  refusalOf(limits: readonly TryLimit[]): Refusal | undefined {
    for (const [index, { key, max }] of limits.entries()) {
      const oldestCounting = this.#counting(key).at(-max);
      if (oldestCounting !== undefined) {
        return { index, waitMs: oldestCounting.expiresAt - this.now() };
      }
    }
    return undefined;
  }

  /**
   * Counts a try on all limits for `forMs`, replacing an earlier count of it.
   *
   * @param sharedAt when Valkey counted it, by Valkey's clock
   */
  count(limits: readonly TryLimit[], id: string, forMs: number, sharedAt?: number): void {
    for (const { key, max } of limits) {
      const others = this.#counting(key).filter((one) => one.id !== id);
      const tries = [...others, { id, sharedAt, expiresAt: this.now() + forMs }]
        .sort((a, b) => a.expiresAt - b.expiresAt);
      // A key needs no more tries than its limit.
      this.#tries.set(key, tries.slice(-max));
    }
  }

  remove(limits: readonly TryLimit[], id: string): void {
    for (const { key } of limits) {
      this.#retain(key, (one) => one.id !== id);
    }
  }

  /**
   * Removes the tries of a key that were counted until `moment`, by Valkey's clock. Tries that only
   * this process counted stay until they expire.
   */
  clearUntil(key: string, moment: number): void {
    this.#retain(key, ({ sharedAt = Infinity }) => sharedAt > moment);
  }

  #retain(key: string, isRetained: (one: Try) => boolean): void {
    const retained = this.#counting(key).filter(isRetained);
    if (retained.length === 0) this.#tries.delete(key);
    else this.#tries.set(key, retained);
  }

  #counting(key: string): readonly Try[] {
    const now = this.now();
    return (this.#tries.peek(key) ?? []).filter(({ expiresAt }) => expiresAt > now);
  }
}

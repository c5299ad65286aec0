/** How far back failed tries count, in ms: 15 minutes. */
export const WINDOW_MS = 15 * 60_000;

/**
 * How long a try counts whose end isn't known, in ms: longer than any takes. Most ends are successes,
 * and who is refused for those in work is to come back in a moment, not in 15 minutes.
 */
export const PENDING_MS = 30_000;

/** How many tries a key may have in a window. */
export interface TryLimit {
  readonly key: string;
  readonly max: number;
}

/** Which of some limits is reached, by its place, and how long until it isn't. */
export interface Refusal {
  readonly index: number;
  readonly waitMs: number;
}

/** The refusal that lasts longer; nothing when neither is one. */
export function later(one: Refusal | undefined, other: Refusal | undefined): Refusal | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.waitMs > one.waitMs ? other : one;
}

interface Try {
  readonly id: string;
  /** When it was counted by all processes, by the clock that they share; nothing: it wasn't. */
  readonly sharedAt: number | undefined;
  /** When it doesn't count any more, by this process's clock. */
  readonly expiresAt: number;
}

// About 1 kB each when they are full: 20 MB at the most.
const MAX_KEYS = 20_000;

/**
 * Tries by key, in this process. Bounded: of too many keys the one that was tried longest ago makes
 * room.
 */
export class TryCounts {
  /** Those that still count, the one that leaves first in front. */
  readonly #tries = new Map<string, readonly Try[]>();

  /** @param now a clock that never goes back, in ms */
  constructor(private readonly now: () => number) {}

  /** The first of these limits that has no try left. */
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
   * Counts a try for so many ms on all of these, whether it counted before or not.
   *
   * @param sharedAt when it was counted by all processes, by the clock that they share
   */
  count(limits: readonly TryLimit[], id: string, forMs: number, sharedAt?: number): void {
    for (const { key, max } of limits) {
      const others = this.#counting(key).filter((one) => one.id !== id);
      const tries = [...others, { id, sharedAt, expiresAt: this.now() + forMs }]
        .sort((a, b) => a.expiresAt - b.expiresAt);
      // Deleted first: the map's order is that of the last tries.
      this.#tries.delete(key);
      // More of one key than its limit needn't be known.
      this.#tries.set(key, tries.slice(-max));
    }
    while (this.#tries.size > MAX_KEYS) {
      const [oldest] = this.#tries.keys();
      if (oldest !== undefined) this.#tries.delete(oldest);
    }
  }

  /** Takes a try back from all of these. */
  remove(limits: readonly TryLimit[], id: string): void {
    for (const { key } of limits) {
      const others = this.#counting(key).filter((one) => one.id !== id);
      if (others.length === 0) this.#tries.delete(key);
      else this.#tries.set(key, others);
    }
  }

  /** Forgets the tries of a key. */
  clear(key: string): void {
    this.#tries.delete(key);
  }

  /**
   * Forgets the tries of a key that were counted up to a moment of the clock that all processes
   * share. One that only this process knows stays until it leaves.
   */
  clearUntil(key: string, moment: number): void {
    const since = this.#counting(key).filter(({ sharedAt = Infinity }) => sharedAt > moment);
    if (since.length === 0) this.#tries.delete(key);
    else this.#tries.set(key, since);
  }

  #counting(key: string): readonly Try[] {
    const now = this.now();
    return (this.#tries.get(key) ?? []).filter(({ expiresAt }) => expiresAt > now);
  }
}

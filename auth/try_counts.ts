/** How far back failed tries count, in ms: 15 minutes. */
export const WINDOW_MS = 15 * 60_000;

/** How many tries a key may have in a window. */
export interface TryLimit {
  readonly key: string;
  readonly most: number;
}

/** Which of some limits is reached, by its place, and how long until it isn't. */
export interface Refusal {
  readonly index: number;
  readonly waitMs: number;
}

// About 1 kB each when they are full: 20 MB at the most.
const MOST_KEYS = 20_000;

/**
 * Tries of the last {@link WINDOW_MS} by key, in this process. Bounded: of too many keys the one
 * that was tried longest ago makes room.
 */
export class TryCounts {
  readonly #tries = new Map<string, { readonly id: string; readonly at: number }[]>();

  /** @param now a clock that never goes back, in ms */
  constructor(private readonly now: () => number) {}

  /** The first of these limits that has no try left. */
  refusalOf(limits: readonly TryLimit[]): Refusal | undefined {
    for (const [index, { key, most }] of limits.entries()) {
      const leaves = this.#recent(key).at(-most);
      if (leaves !== undefined) return { index, waitMs: leaves.at + WINDOW_MS - this.now() };
    }
    return undefined;
  }

  /** Adds a try to all of these; more of one key than its limit needn't be known. */
  add(limits: readonly TryLimit[], id: string): void {
    for (const { key, most } of limits) {
      const tries = [...this.#recent(key), { id, at: this.now() }].slice(-most);
      // Deleted first: the map's order is that of the last tries.
      this.#tries.delete(key);
      this.#tries.set(key, tries);
    }
    while (this.#tries.size > MOST_KEYS) {
      const [oldest] = this.#tries.keys();
      if (oldest !== undefined) this.#tries.delete(oldest);
    }
  }

  /** Takes a try back from all of these. */
  remove(keys: readonly string[], id: string): void {
    for (const key of keys) this.#keep(key, this.#recent(key).filter((one) => one.id !== id));
  }

  /** Forgets all tries of a key. */
  clear(key: string): void {
    this.#tries.delete(key);
  }

  #recent(key: string) {
    const since = this.now() - WINDOW_MS;
    return (this.#tries.get(key) ?? []).filter(({ at }) => at > since);
  }

  #keep(key: string, tries: { readonly id: string; readonly at: number }[]): void {
    if (tries.length === 0) this.#tries.delete(key);
    else this.#tries.set(key, tries);
  }
}

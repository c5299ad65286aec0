import type { Claims } from "./claims.ts";

// About 0.5 kB each.
const MAX_TOKENS = 10_000;

/**
 * Tokens whose signature was found good, until they expire. Checking an Ed25519 signature costs more
 * than all else that a request costs this process (docs/performance.md), and a client sends the same
 * token with each of its requests. Bounded: the one that was added first makes room.
 */
export class VerifiedTokens {
  readonly #claims = new Map<string, Claims>();

  /** What a token says, if it was added and is still in time at `now`, in s since 1970. */
  get(token: string, now: number): Claims | undefined {
    const claims = this.#claims.get(token);
    if (claims === undefined || claims.exp > now) return claims;
    this.#claims.delete(token);
    return undefined;
  }

  add(token: string, claims: Claims): void {
    if (this.#claims.size >= MAX_TOKENS) {
      const [first] = this.#claims.keys();
      if (first !== undefined) this.#claims.delete(first);
    }
    this.#claims.set(token, claims);
  }

  clear(): void {
    this.#claims.clear();
  }
}

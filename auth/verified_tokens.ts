import type { Claims } from "./claims.ts";

/** About 0.5 kB each. */
const MAX_TOKENS = 10_000;

/**
 * Tokens with a verified signature, until they expire. Verifying an Ed25519 signature costs this
 * process more than the rest of a request (docs/performance.md), and clients reuse their tokens.
 * When it is full, the oldest entry is dropped.
 */
export class VerifiedTokens {
  readonly #claims = new Map<string, Claims>();

  /** @param now in s since 1970 */
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

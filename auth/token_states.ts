import { LRUCache } from "lru-cache";
import type { AccountState, FoundRevocations, RevocationQuery } from "../db/revocations.ts";
import type { TokenFault } from "../metrics.ts";
import type { Revocation } from "./revocation_stream.ts";
import type { Claims } from "./claims.ts";

/** A token is not trusted when PostgreSQL has not been read for this long, in ms. */
const TOO_OLD_MS = 15_000;
/** A token that was not sent for this long is forgotten, in ms. */
const KEEP_UNUSED_MS = 10 * 60_000;
/** Tokens, and accounts: half a kB each. One that is dropped is read again when needed. */
const MAX_ENTRIES = 10_000;
/** The most rows per statement: larger statements would delay the requests of this process. */
const MAX_AT_ONCE = 1_000;

export type TokenState = "good" | "unknown" | TokenFault;

export interface Reading extends RevocationQuery {
  /** By the process's clock, in ms. */
  readonly startedAt: number;
  /** Its position among all reads and changes. */
  readonly sequence: number;
}

interface Entry {
  /** The time of this knowledge, by the process's clock, in ms; -Infinity before the first read. */
  readAt: number;
  /** The position of the read or change that it comes from: an earlier read changes nothing. */
  sequence: number;
}

/**
 * The tokens that this process received lately and their accounts, with their state in PostgreSQL.
 * Only these are read again, so the number of accounts does not affect the size of a read.
 */
export class TokenStates {
  readonly #accounts: LRUCache<string, Entry & { state: AccountState | undefined }>;
  readonly #tokens: LRUCache<string, Entry & { isRevoked: boolean }>;
  #sequence = 0;

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number) {
    const kept = {
      max: MAX_ENTRIES,
      ttl: KEEP_UNUSED_MS,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now },
    };
    this.#accounts = new LRUCache(kept);
    this.#tokens = new LRUCache(kept);
  }

  /** The state of a token. Only reads after its first arrival count. */
  stateOf({ sub, jti, iat, role }: Claims): TokenState {
    const account = this.#accounts.get(keyOf(sub));
    const token = this.#tokens.get(keyOf(jti));
    if (token?.isRevoked) return "logged_out";
    // The account may have changed since its read, and the new token be the first sign of that.
    if (token === undefined || token.readAt === -Infinity) return "unknown";
    if (account?.state === undefined) return "unknown";
    const { exists, disabled, tokensFrom, role: roleOfNow } = account.state;
    if (!exists) return "no_account";
    if (disabled) return "disabled";
    if (iat < (tokensFrom ?? 0)) return "ended";
    if (role !== roleOfNow) return "other_role";
    return this.now() - Math.min(account.readAt, token.readAt) > TOO_OLD_MS ? "unknown" : "good";
  }

  /** Starts a read of some tokens and their accounts. */
  read(tokens: readonly Claims[]): Reading {
    const startedAt = this.now();
    const nothing = { readAt: -Infinity, sequence: 0 };
    const accounts = tokens.map(({ sub, jti }) => {
      const userId = keyOf(sub);
      const tokenId = keyOf(jti);
      if (!this.#tokens.has(tokenId)) this.#tokens.set(tokenId, { ...nothing, isRevoked: false });
      if (!this.#accounts.has(userId)) this.#accounts.set(userId, { ...nothing, state: undefined });
      // An empty version makes the query return the account, even if its entry is dropped
      // meanwhile.
      return { userId, version: "" };
    });
    return {
      accounts,
      tokens: tokens.map(({ jti }) => keyOf(jti)),
      startedAt,
      sequence: ++this.#sequence,
    };
  }

  /** Starts reads of everything known. */
  readAll(): Reading[] {
    const startedAt = this.now();
    const accounts = [...this.#accounts].map(([userId, { state }]) => ({
      userId,
      version: state?.version ?? "",
    }));
    const tokens = [...this.#tokens].flatMap(([id, { isRevoked }]) => isRevoked ? [] : id);
    const sequence = ++this.#sequence;
    const count = Math.max(1, Math.ceil(Math.max(accounts.length, tokens.length) / MAX_AT_ONCE));
    return Array.from({ length: count }, (_, i) => {
      const [from, to] = [i * MAX_AT_ONCE, (i + 1) * MAX_AT_ONCE];
      return {
        accounts: accounts.slice(from, to),
        tokens: tokens.slice(from, to),
        startedAt,
        sequence,
      };
    });
  }

  finish(reading: Reading, found: FoundRevocations): void {
    const { startedAt, sequence } = reading;
    const states = new Map(found.accounts.map((state) => [state.userId, state]));
    for (const { userId } of reading.accounts) {
      const account = this.#accounts.peek(userId);
      // A change that arrived during the read may be missing in its result.
      if (account === undefined || account.sequence > sequence) continue;
      Object.assign(account, { readAt: startedAt, sequence });
      account.state = states.get(userId) ?? account.state;
    }
    const revoked = new Set(found.tokens);
    for (const id of reading.tokens) {
      const token = this.#tokens.peek(id);
      if (token === undefined || token.sequence > sequence) continue;
      Object.assign(token, { readAt: startedAt, sequence });
      token.isRevoked ||= revoked.has(id);
    }
  }

  /** Applies a change before it is read. Unknown tokens are read when they arrive. */
  apply(revocation: Revocation): void {
    const sequence = ++this.#sequence;
    if (revocation.kind === "token") {
      const token = this.#tokens.peek(keyOf(revocation.tokenId));
      if (token !== undefined) Object.assign(token, { sequence, isRevoked: true });
      return;
    }
    const account = this.#accounts.peek(keyOf(revocation.userId));
    if (account === undefined) return;
    account.sequence = sequence;
    const { disabled, tokensFrom } = revocation;
    // An empty version makes the next read return the whole account.
    if (account.state) account.state = { ...account.state, disabled, tokensFrom, version: "" };
  }
}

/** PostgreSQL compares UUIDs without regard to case. */
function keyOf(id: string): string {
  return id.toLowerCase();
}

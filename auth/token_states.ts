import type { AccountState, FoundRevocations, RevocationQuery } from "../db/revocations.ts";
import type { TokenFault } from "../metrics.ts";
import type { Revocation } from "./revocation_stream.ts";
import type { Claims } from "./claims.ts";

/** After this long without PostgreSQL a token is not believed any more, in ms. */
const TOO_OLD_MS = 15_000;
/** What wasn't sent for this long isn't read again and again any more, in ms. */
const KEEP_UNUSED_MS = 10 * 60_000;
/** Half a kB each; of more the one that came first makes room and is read anew when it is sent. */
const MAX_ACCOUNTS = 10_000;
const MAX_TOKENS = 10_000;
/** So many of each are read in one statement: more would hold up the requests of this process. */
const MAX_AT_ONCE = 1_000;

/** What is known of a token whose signature is good: nothing, or that it is good or why it isn't. */
export type TokenState = "good" | "unknown" | TokenFault;

/** One reading of PostgreSQL: what it asks for, and how old its answer will be. */
export interface Reading extends RevocationQuery {
  /** By the process's clock, in ms. */
  readonly startedAt: number;
  /** Its place among all readings and news. */
  readonly sequence: number;
}

interface Entry {
  /** The moment that this is known of, by the process's clock, in ms; nothing is known before. */
  readAt: number;
  /** The place of the reading or the news that it comes from: an older reading changes nothing. */
  sequence: number;
  usedAt: number;
}

interface StoredAccount extends Entry {
  state: AccountState | undefined;
}

interface StoredToken extends Entry {
  isRevoked: boolean;
}

/**
 * The tokens that this process was sent lately and their accounts, with what PostgreSQL said of them.
 * Only these are read again, so a reading is never larger than this memory, however many accounts
 * there are.
 */
export class TokenStates {
  readonly #accounts = new Map<string, StoredAccount>();
  readonly #tokens = new Map<string, StoredToken>();
  #sequence = 0;

  /** @param now a clock that never goes back, in ms */
  constructor(private readonly now: () => number) {}

  /** What is known of a token. Only what was read after it was first sent counts. */
  stateOf({ sub, jti, iat, role }: Claims): TokenState {
    const account = this.#accounts.get(keyOf(sub));
    const token = this.#tokens.get(keyOf(jti));
    const now = this.now();
    if (token !== undefined) token.usedAt = now;
    if (account !== undefined) account.usedAt = now;
    if (token?.isRevoked) return "logged_out";
    // An account may have changed since it was read, and the new token be the first to tell.
    if (token === undefined || token.readAt === -Infinity) return "unknown";
    if (account?.state === undefined) return "unknown";
    const { exists, disabled, tokensFrom, role: roleOfNow } = account.state;
    if (!exists) return "no_account";
    if (disabled) return "disabled";
    if (iat < (tokensFrom ?? 0)) return "ended";
    if (role !== roleOfNow) return "other_role";
    return now - Math.min(account.readAt, token.readAt) > TOO_OLD_MS ? "unknown" : "good";
  }

  /** Begins a reading of some tokens and their accounts, of which something may be known or not. */
  read(tokens: readonly Claims[]): Reading {
    const startedAt = this.now();
    const nothing = { readAt: -Infinity, sequence: 0, usedAt: startedAt };
    const accounts = tokens.map(({ sub, jti }) => {
      const userId = keyOf(sub);
      addIfNew(this.#tokens, keyOf(jti), { ...nothing, isRevoked: false }, MAX_TOKENS);
      addIfNew(this.#accounts, userId, { ...nothing, state: undefined }, MAX_ACCOUNTS);
      // Not the version that is known: an answer must come also if the account makes room meanwhile.
      return { userId, version: "" };
    });
    return {
      accounts,
      tokens: tokens.map(({ jti }) => keyOf(jti)),
      startedAt,
      sequence: ++this.#sequence,
    };
  }

  /** Begins readings of all that is known, and drops what wasn't sent for long. */
  readAll(): Reading[] {
    const startedAt = this.now();
    for (const map of [this.#accounts, this.#tokens]) {
      for (const [key, { usedAt }] of map) {
        if (startedAt - usedAt > KEEP_UNUSED_MS) map.delete(key);
      }
    }
    const accounts = [...this.#accounts].map(([userId, { state }]) => ({
      userId,
      version: state?.version ?? "",
    }));
    // What was revoked stays so.
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

  /** Ends a reading with what was found. */
  finish(reading: Reading, found: FoundRevocations): void {
    const { startedAt, sequence } = reading;
    const states = new Map(found.accounts.map((state) => [state.userId, state]));
    for (const { userId } of reading.accounts) {
      const account = this.#accounts.get(userId);
      // News that came meanwhile may be missing in what was read.
      if (account === undefined || account.sequence > sequence) continue;
      Object.assign(account, { readAt: startedAt, sequence });
      account.state = states.get(userId) ?? account.state;
    }
    const revoked = new Set(found.tokens);
    for (const id of reading.tokens) {
      const token = this.#tokens.get(id);
      if (token === undefined || token.sequence > sequence) continue;
      Object.assign(token, { readAt: startedAt, sequence });
      token.isRevoked ||= revoked.has(id);
    }
  }

  /** Learns of a change before it is read. What isn't known yet will be read when it is sent. */
  apply(revocation: Revocation): void {
    const sequence = ++this.#sequence;
    if (revocation.kind === "token") {
      const token = this.#tokens.get(keyOf(revocation.tokenId));
      if (token !== undefined) Object.assign(token, { sequence, isRevoked: true });
      return;
    }
    const account = this.#accounts.get(keyOf(revocation.userId));
    if (account === undefined) return;
    account.sequence = sequence;
    const { disabled, tokensFrom } = revocation;
    // No version is the one of this: the next reading gives the whole of it.
    if (account.state) account.state = { ...account.state, disabled, tokensFrom, version: "" };
  }
}

/** Ids are compared as PostgreSQL does, whatever their letter case. */
function keyOf(id: string): string {
  return id.toLowerCase();
}

function addIfNew<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  if (map.has(key)) return;
  if (map.size >= max) {
    const [first] = map.keys();
    if (first !== undefined) map.delete(first);
  }
  map.set(key, value);
}

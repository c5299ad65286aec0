import type { Valkey } from "../cache/valkey.ts";
import type { Sql } from "../db/connect.ts";
import type { IdempotencyKey } from "../db/idempotency_keys.ts";
import { type AccountState, listRevocations, revokeToken } from "../db/revocations.ts";
import { describeError, type Log } from "../log.ts";
import { announce, createNewsReader, type Revocation } from "./revocation_news.ts";
import type { Claims } from "./tokens.ts";

/*
 * Which tokens are refused though their signature is good. The truth is in PostgreSQL, which is read
 * every few seconds; a stream in Valkey carries each change to the other processes at once. Without
 * Valkey a change arrives a little later, and nothing that was revoked comes back. When PostgreSQL
 * hasn't been read for a while, too little is known of any token to believe it.
 */

/** How often PostgreSQL is read, and tried again after a failure, in ms. */
const READ_EVERY_MS = 3_000;
const RETRY_MS = 1_000;
/** How often Valkey is asked for news, in ms. */
const NEWS_EVERY_MS = 500;
/** After this long without PostgreSQL a token is not believed any more, in ms. */
const TOO_OLD_MS = 15_000;

/** What is known of a token whose signature is good; `unknown` while PostgreSQL can't be read. */
export type TokenState = "good" | "revoked" | "unknown";

/** The revocations as this process knows them. */
export interface Revocations extends Disposable {
  stateOf(claims: Claims): TokenState;
  /** Reads PostgreSQL now. Never throws. */
  refresh(): Promise<void>;
  /**
   * Ends one token, here at once and everywhere within seconds. It is stored when this resolves, and
   * the key, if there is one, with it.
   */
  revoke(claims: Claims, key?: IdempotencyKey): Promise<void>;
}

interface Deps {
  readonly sql: Sql;
  readonly valkey?: Valkey;
  readonly log: Log;
  /** A clock that never goes back, in ms. */
  readonly now?: () => number;
}

/** Follows the revocations until it is disposed of. */
export function followRevocations(
  { sql, valkey, log, now = () => performance.now() }: Deps,
): Revocations {
  let accounts = new Map<string, AccountState>();
  let tokens = new Set<string>();
  let readAt = -Infinity;
  let isFailing = false;

  const apply = (revocation: Revocation) => {
    if (revocation.kind === "account") accounts.set(revocation.userId, revocation);
    else tokens.add(revocation.tokenId);
  };

  // What came while PostgreSQL was being read may be missing in what was read.
  let cameMeanwhile: Revocation[] = [];
  const hear = (revocation: Revocation) => {
    cameMeanwhile.push(revocation);
    apply(revocation);
  };

  const read = async () => {
    cameMeanwhile = [];
    const started = now();
    try {
      const stored = await listRevocations(sql);
      accounts = new Map(stored.accounts.map((account) => [account.userId, account]));
      tokens = new Set(stored.tokens);
      cameMeanwhile.forEach(apply);
      readAt = started;
      isFailing = false;
    } catch (error) {
      if (!isFailing) log("warn", "revocations can't be read", { error: describeError(error) });
      isFailing = true;
    }
  };
  let reading: Promise<void> | undefined;
  const refresh = () => reading ??= read().finally(() => reading = undefined);

  const stops: (() => void)[] = [];
  stops.push(repeat(refresh, () => isFailing ? RETRY_MS : READ_EVERY_MS));
  if (valkey !== undefined) {
    const readNews = createNewsReader(valkey);
    stops.push(repeat(async () => (await readNews()).forEach(hear), () => NEWS_EVERY_MS));
  }

  return {
    refresh,
    stateOf({ sub, jti, iat }) {
      const account = accounts.get(sub);
      if (tokens.has(jti) || account?.disabled || iat < (account?.tokensFrom ?? 0)) {
        return "revoked";
      }
      return now() - readAt > TOO_OLD_MS ? "unknown" : "good";
    },
    async revoke({ jti, sub, exp }, key) {
      await revokeToken(sql, { tokenId: jti, userId: sub, expiresAt: exp }, key);
      const revocation = { kind: "token", tokenId: jti, expiresAt: exp } as const;
      hear(revocation);
      await announce(valkey, revocation);
    },
    [Symbol.dispose]: () => stops.forEach((stop) => stop()),
  };
}

/** Does something now and again and again, with a pause after each time, until it is told to stop. */
function repeat(work: () => Promise<void>, pauseMs: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const again = async () => {
    await work();
    if (isOver) return;
    timer = setTimeout(again, pauseMs());
    Deno.unrefTimer(timer);
  };
  again();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

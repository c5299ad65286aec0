import type { Valkey } from "../cache/valkey.ts";
import type { Sql } from "../db/sql.ts";
import type { IdempotencyKey } from "../db/idempotency_keys.ts";
import { findRevocations, revokeToken } from "../db/revocations.ts";
import { batchedQuery } from "../db/batched_query.ts";
import { isStatementTimeout, wasRolledBack } from "../db/pg_errors.ts";
import { ApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { withDeadline } from "../timing.ts";
import { type Reading, type TokenState, TokenStates } from "./token_states.ts";
import { createRevocationReader, publishRevocation } from "./revocation_stream.ts";
import type { Claims } from "./claims.ts";

/*
 * Which tokens are refused though their signature is good. The truth is in PostgreSQL: a token and
 * its account are read when the token is first sent, and again every few seconds, so that what SQL
 * has changed is seen as well. A stream in Valkey carries each change that Lotline makes to the other
 * processes at once. Without Valkey it arrives a little later, and nothing that was revoked comes
 * back. When PostgreSQL hasn't been read for a while, too little is known of any token to believe it.
 */

/** How often PostgreSQL is read, and tried again after a failure, in ms. */
const READ_EVERY_MS = 3_000;
const RETRY_MS = 1_000;
/** How often Valkey is asked for news, in ms. */
const NEWS_EVERY_MS = 500;
/** The share of the pool's connections that first readings of tokens may be on at once. */
const SHARE_OF_POOL = 1 / 4;
/** A look that must not hold anything up is over after this long, in ms. */
const QUICK_CHECK_MS = 250;

/** The revocations as this process knows them. */
export interface Revocations extends Disposable {
  /** What is known of a token without a look; `unknown` when it wasn't sent lately. */
  stateOf(claims: Claims): TokenState;
  /** Reads a token and its account. `unknown` when PostgreSQL can't be read. Never throws. */
  check(claims: Claims): Promise<TokenState>;
  /** The same within a quarter of a second, and at once while PostgreSQL is away. */
  checkQuickly(claims: Claims): Promise<TokenState>;
  /** Reads all that is known again. Never throws. */
  refresh(): Promise<void>;
  /**
   * Ends one token, here at once and everywhere within seconds. It is stored when this resolves, and
   * the key, if there is one, with it.
   *
   * @throws {ApiError} 429 when too many of the account's tokens that were ended are still in time
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
  const known = new TokenStates(now);
  let isFailing = false;

  const finish = async (reading: Reading, deadlineMs?: number) => {
    known.finish(reading, await findRevocations(sql, reading, deadlineMs));
    isFailing = false;
  };
  const fail = (error: unknown) => {
    if (!isFailing) log("warn", "revocations_unreadable", { error: describeError(error) });
    isFailing = true;
  };

  const readToken = batchedQuery<Claims, void>(sql, SHARE_OF_POOL, {
    async runBatch(tokens, deadlineMs) {
      await finish(known.read(tokens), deadlineMs);
      return () => {};
    },
    runOne: async (token, deadlineMs) => await finish(known.read([token]), deadlineMs),
    shouldRunAlone: (error) => wasRolledBack(error) || isStatementTimeout(error),
  });
  const check = async (claims: Claims): Promise<TokenState> => {
    try {
      await readToken(claims);
      // News that came meanwhile made what was read too old.
      if (known.stateOf(claims) === "unknown") await readToken(claims);
    } catch (error) {
      fail(error);
    }
    return known.stateOf(claims);
  };

  let reading: Promise<void> | undefined;
  const readAll = async () => {
    for (const part of known.readAll()) await finish(part);
  };
  const refresh = () => reading ??= readAll().catch(fail).finally(() => reading = undefined);

  const stops: (() => void)[] = [];
  stops.push(runLoop(refresh, () => isFailing ? RETRY_MS : READ_EVERY_MS));
  if (valkey !== undefined) {
    const readNews = createRevocationReader(valkey);
    stops.push(
      runLoop(
        async () => (await readNews()).forEach((news) => known.apply(news)),
        () => NEWS_EVERY_MS,
      ),
    );
  }

  return {
    refresh,
    check,
    stateOf: (claims) => known.stateOf(claims),
    async checkQuickly(claims) {
      if (isFailing) return "unknown";
      return await withDeadline(check(claims), QUICK_CHECK_MS, () => "unknown");
    },
    async revoke(claims, key) {
      const { jti, sub, exp } = claims;
      if (!await revokeToken(sql, { tokenId: jti, userId: sub, expiresAt: exp }, key)) {
        throw new ApiError("account_busy", "Too many of your tokens have ended, try again later", {
          headers: { "retry-after": "60" },
        });
      }
      const revocation = { kind: "token", tokenId: jti, expiresAt: exp } as const;
      known.apply(revocation);
      await publishRevocation(valkey, revocation);
    },
    [Symbol.dispose]: () => stops.forEach((stop) => stop()),
  };
}

/** Does something now and again and again, with a pause after each time, until it is told to stop. */
function runLoop(work: () => Promise<void>, delayMs: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const again = async () => {
    await work();
    if (isOver) return;
    timer = setTimeout(again, delayMs());
    Deno.unrefTimer(timer);
  };
  again();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

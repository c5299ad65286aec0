import type { Valkey } from "../cache/valkey.ts";
import type { Sql } from "../db/sql.ts";
import type { IdempotencyKey } from "../db/idempotency_keys.ts";
import { findRevocations, revokeToken } from "../db/revocations.ts";
import { batchedQuery } from "../db/batched_query.ts";
import { isStatementTimeout, wasRolledBack } from "../db/pg_errors.ts";
import { ApiError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { delay, withDeadline } from "../timing.ts";
import { type Reading, type TokenState, TokenStates } from "./token_states.ts";
import { createRevocationReader, publishRevocation } from "./revocation_stream.ts";
import type { Claims } from "./claims.ts";

/*
 * Tokens that are refused although their signature is valid. PostgreSQL is the source of truth: a
 * token and its account are read when the token first arrives, and again every few seconds, which
 * also finds changes made with SQL. A stream in Valkey announces each change by Lotline to the
 * other processes at once. Without Valkey changes arrive a little later, and no revocation is
 * reversed. When PostgreSQL has been unreadable for a while, no token is trusted.
 */

/** Intervals between reads of PostgreSQL, and after a failure, in ms. */
const READ_EVERY_MS = 3_000;
const RETRY_MS = 1_000;
/** The interval between reads of the stream, in ms. */
const NEWS_EVERY_MS = 500;
/** The share of the pool that first reads of tokens may use at once. */
const SHARE_OF_POOL = 1 / 4;
/** The time limit of `checkQuickly`, in ms. */
const QUICK_CHECK_MS = 250;

export type Revocations = ReturnType<typeof followRevocations>;

interface Deps {
  readonly sql: Sql;
  readonly valkey?: Valkey | undefined;
  readonly log: Log;
  /** A monotonic clock, in ms. */
  readonly now?: () => number;
}

/** Follows the revocations until disposed. */
export function followRevocations(
  { sql, valkey, log, now = () => performance.now() }: Deps,
) {
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
      // A change that arrived during the read made it stale.
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

  const end = new AbortController();
  const repeat = async (work: () => Promise<void>, delayMs: () => number) => {
    while (!end.signal.aborted) {
      await work();
      await delay(delayMs(), end.signal);
    }
  };
  void repeat(refresh, () => isFailing ? RETRY_MS : READ_EVERY_MS);
  if (valkey !== undefined) {
    const readNews = createRevocationReader(valkey);
    const applyNews = async () => (await readNews()).forEach((news) => known.apply(news));
    void repeat(applyNews, () => NEWS_EVERY_MS);
  }

  return {
    /** Reads all known tokens again. Never throws. */
    refresh,
    /** Reads a token and its account; `unknown` when PostgreSQL can't be read. Never throws. */
    check,
    /** The known state, without a read; `unknown` for a token that was not sent lately. */
    stateOf: (claims: Claims) => known.stateOf(claims),
    /** {@link check} within a quarter of a second, and at once while PostgreSQL is unavailable. */
    async checkQuickly(claims: Claims): Promise<TokenState> {
      if (isFailing) return "unknown";
      return await withDeadline(check(claims), QUICK_CHECK_MS, () => "unknown");
    },
    /**
     * Revokes one token: here at once, everywhere within seconds. It is stored, with the key if
     * any, when this resolves.
     *
     * @throws {ApiError} 429 when too many revoked tokens of the account have not expired yet
     */
    async revoke(claims: Claims, key?: IdempotencyKey): Promise<void> {
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
    [Symbol.dispose]: () => end.abort(),
  };
}

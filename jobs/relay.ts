import type { TraceInvalidation } from "../cache/trace_cache.ts";
import type { Sql } from "../db/sql.ts";
import { laterTransaction, readOutbox, removeFromOutbox } from "../db/outbox.ts";
import { tryRelayLock } from "../db/relay_lock.ts";
import { noteLostChanges, wakeRefresh } from "../db/trace_changes.ts";
import { openSession } from "../db/session.ts";
import type { Log } from "../log.ts";
import { delay, withDeadline } from "../timing.ts";
import { createFailureLog } from "./failure_log.ts";

/*
 * Drains the outbox that triggers fill, whoever writes to the old tables. One relay works at a time,
 * the others wait for it to go away. It looks every TICK_MS rather than being told by NOTIFY: it has
 * to say that often anyway that the cache is up to date, and a NOTIFY in the triggers would make all
 * writers commit one after the other (docs/decisions/0006).
 */

/** How often it looks, in ms. What others write is seen in answers that much later, at most. */
const TICK_MS = 20;
/** How often one that waits asks whether it is its turn, in ms. */
const TURN_MS = 1_000;
const RETRY_MS = 300;
const MAX_RETRY_MS = 2_400;
/** How often deep traces are marked, in ms, when something of them has changed. */
const REFRESH_MS = 500;
/** After this long a statement has failed, in ms: PostgreSQL may be there and its answer lost. */
const STATEMENT_MS = 5_000;
/** PostgreSQL lets another relay have its turn when this one says nothing for so long, in ms. */
const IDLE_MS = 3_000;

interface Deps {
  readonly databaseUrl: string;
  /** None: there is no cache. */
  readonly invalidation?: TraceInvalidation | undefined;
  readonly log: Log;
}

/**
 * Relays until the signal is aborted; never rejects. It goes on whatever happens to PostgreSQL or
 * Valkey.
 */
export async function runRelay(deps: Deps, stop: AbortSignal): Promise<void> {
  const failure = createFailureLog(deps.log, "relay_failed");
  const onRound = () => {
    if (failure.worked()) deps.log("info", "relay_recovered");
  };
  while (!stop.aborted) {
    try {
      await using session = openSession(deps.databaseUrl, {
        name: "lotline-relay",
        statementTimeoutMs: STATEMENT_MS,
        lockTimeoutMs: STATEMENT_MS,
        idleTimeoutMs: IDLE_MS,
      });
      await takeTurn(stop, session.sql);
      await relay(stop, session.sql, deps, onRound);
    } catch (error) {
      const failures = failure.failed(error);
      await delay(Math.min(RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS), stop);
    }
  }
}

/** Waits for the lock that one relay has; it goes with the connection. */
async function takeTurn(stop: AbortSignal, sql: Sql): Promise<void> {
  while (!stop.aborted) {
    if (await withStatementDeadline(tryRelayLock(sql))) return;
    await delay(TURN_MS, stop);
  }
}

/** @param onRound is told of each round in which all was done, since a database may read and not write */
async function relay(
  stop: AbortSignal,
  sql: Sql,
  { invalidation }: Deps,
  onRound: () => void,
): Promise<void> {
  let from = "0";
  let refreshedAt = -Infinity;
  const lossAt = watchLosses(() => withStatementDeadline(laterTransaction(sql)));
  invalidation?.beginTurn();
  while (!stop.aborted) {
    const began = performance.now();
    const batch = await withStatementDeadline(readOutbox(sql, from));
    const loss = await lossAt(batch);
    await invalidation?.apply({
      lotCodes: batch.lotCodes,
      everything: batch.everything || loss === "over",
      complete: loss !== "open",
    });
    if (batch.transactions.length > 0) await withStatementDeadline(removeFromOutbox(sql, batch));
    if (loss === "over") await withStatementDeadline(noteLostChanges(sql, batch.lost));
    from = batch.horizon;
    if (began - refreshedAt > REFRESH_MS) {
      await withStatementDeadline(wakeRefresh(sql));
      refreshedAt = began;
    }
    onRound();
    await delay(Math.max(1, TICK_MS - (performance.now() - began)), stop);
  }
}

/** What is known of changes that couldn't be written down. */
type Loss = "none" | "open" | "over";

/**
 * Tells whether a change may have been lost: `open` as long as the transaction it belongs to may
 * still be running, then `over`, once: until then everything may have changed, from then on nothing
 * more. What was lost before the first time counts as lost a moment ago.
 *
 * @param later gives a transaction of which all that write now are earlier
 */
export function watchLosses(
  later: () => Promise<string>,
): (seen: { readonly lost: string; readonly horizon: string }) => Promise<Loss> {
  let known = "0";
  let openUntil: string | undefined;
  return async ({ lost, horizon }) => {
    if (lost !== known) {
      known = lost;
      openUntil = await later();
      return "open";
    }
    if (openUntil === undefined) return "none";
    if (BigInt(horizon) < BigInt(openUntil)) return "open";
    openUntil = undefined;
    return "over";
  };
}

/** The result of a statement. @throws {Error} PostgreSQL is silent: the connection is then closed */
async function withStatementDeadline<T>(result: PromiseLike<T>): Promise<T> {
  return await withDeadline(result, STATEMENT_MS + 1_000, () => {
    throw new Error(`no answer from PostgreSQL in ${STATEMENT_MS} ms`);
  });
}

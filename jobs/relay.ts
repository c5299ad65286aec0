import type { TraceInvalidation } from "../cache/trace_cache.ts";
import type { WalPositions } from "../cache/wal_position.ts";
import { CONNECT_TIMEOUT_MS } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { laterTransaction, readOutbox, removeFromOutbox } from "../db/outbox.ts";
import { noteLostChanges, wakeRefresh } from "../db/trace_changes.ts";
import { isWrongServer } from "../db/pg_errors.ts";
import { onWrongServer } from "../db/servers.ts";
import { openSession } from "../db/session.ts";
import type { Log } from "../log.ts";
import { delay } from "../timing.ts";
import { createDatabaseWatch, type DatabaseWatch } from "./relay_database.ts";
import { createTurns, RELAY_NAME } from "./relay_turn.ts";
import { createFailureLog } from "./run_loop.ts";
import { inSpan } from "../telemetry/tracing.ts";

/*
 * Drains the outbox, which triggers on the old tables fill. One relay works at a time; the others wait.
 * It polls every TICK_MS: it must say as often that the cache is up to date, and a NOTIFY in the
 * triggers would make all writers commit one after the other (docs/decisions/0006).
 */

/** How often it reads the outbox, in ms: responses show a change at most that much later. */
const TICK_MS = 20;
const RETRY_MS = 300;
const MAX_RETRY_MS = 2_400;
/** How often changed deep traces are marked, in ms. */
const REFRESH_MS = 500;
/** How often it checks that the database is the same, and that all changes are noted, in ms. */
const DATABASE_MS = 2_000;
const STATEMENT_MS = 5_000;
/** PostgreSQL closes the connection of a silent relay after this long, so that another can work. */
const IDLE_MS = 3_000;

interface Deps {
  readonly databaseUrl: string;
  /** Absent: there is no cache. */
  readonly invalidation?: TraceInvalidation | undefined;
  /** Absent: a server that is restored to an earlier time isn't noticed. */
  readonly walPositions?: WalPositions | undefined;
  readonly log: Log;
}

/** Relays until the signal is aborted; never rejects, whatever happens to PostgreSQL or Valkey. */
export async function runRelay(deps: Deps, stop: AbortSignal): Promise<void> {
  const failure = createFailureLog(deps.log, "relay_failed");
  const onRound = () => {
    if (failure.succeeded()) deps.log("info", "relay_recovered");
  };
  const turns = createTurns(deps.log);
  const database = createDatabaseWatch(deps);
  while (!stop.aborted) {
    const left = new AbortController();
    using _departing = onWrongServer(deps.databaseUrl, () => left.abort());
    const end = AbortSignal.any([stop, left.signal]);
    try {
      await using session = openSession(deps.databaseUrl, {
        name: RELAY_NAME,
        statementTimeoutMs: STATEMENT_MS,
        lockTimeoutMs: STATEMENT_MS,
        idleTimeoutMs: IDLE_MS,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
      });
      await turns.take(end, session.sql);
      await relay(end, session.sql, { ...deps, database }, onRound);
    } catch (error) {
      const failures = failure.failed(error);
      const retryMs = isWrongServer(error) ? RETRY_MS : RETRY_MS * 2 ** (failures - 1);
      await delay(Math.min(retryMs, MAX_RETRY_MS), stop);
    }
  }
}

/** @param onRound called after each complete round: a database may read but not write */
async function relay(
  stop: AbortSignal,
  sql: Sql,
  { invalidation, database }: Deps & { readonly database: DatabaseWatch },
  onRound: () => void,
): Promise<void> {
  let from = "0";
  let refreshedAt = -Infinity;
  await database.begin(sql);
  let lookedAt = performance.now();
  const lossAt = watchLosses(() => laterTransaction(sql));
  invalidation?.beginTurn();
  while (!stop.aborted) {
    const began = performance.now();
    const batch = await readOutbox(sql, from);
    const loss = await lossAt(batch);
    const pass = async () => {
      await invalidation?.apply({
        lotCodes: batch.lotCodes,
        everything: batch.everything || loss === "over",
        complete: loss !== "open" && database.notesChanges,
      });
      if (batch.transactions.length > 0) await removeFromOutbox(sql, batch);
    };
    const causes = batch.traceparent ?? undefined;
    await (causes === undefined ? pass() : inSpan("outbox", { kind: "consumer", causes }, pass));
    if (loss === "over") await noteLostChanges(sql, batch.lost);
    from = batch.horizon;
    if (began - refreshedAt > REFRESH_MS) {
      await wakeRefresh(sql);
      refreshedAt = began;
    }
    if (began - lookedAt > DATABASE_MS) {
      // The next turn begins with the restored rows, and with an empty cache.
      if (await database.wasRestored(sql)) return;
      lookedAt = began;
    }
    onRound();
    await delay(Math.max(1, TICK_MS - (performance.now() - began)), stop);
  }
}

type Loss = "none" | "open" | "over";

/**
 * Returns a function that says whether a change may have been lost: `open` while its transaction may
 * still run, then `over`, once: until then everything may have changed, from then on nothing more.
 * Losses before the first call count as new.
 *
 * @param later returns a transaction that is later than all that write now
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

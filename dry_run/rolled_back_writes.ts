import type postgres from "postgres";
import { CONNECT_TIMEOUT_MS } from "../db/connect.ts";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { Session } from "../db/session.ts";
import type { SessionOptions } from "../db/session_settings.ts";
import { isStaleStatement } from "../db/pg_errors.ts";
import type { WritingStatement } from "../db/write.ts";
import { withDeadline } from "../timing.ts";

/** Each has a connection. */
const MAX_CONCURRENT = 4;
/** How long a dry run waits until fewer run, in ms. */
const TURN_TIMEOUT_MS = 200;
const RESPONSE_TIMEOUT_MS = 1_000;

/**
 * While a dry run has an entry in a unique index, other writers of the same code, in particular the old
 * server, wait for it. So its timeouts are short, and PostgreSQL ends an abandoned one.
 *
 * `readOnly`: only a transaction that begins with {@link BEGIN} can write. So a statement can't run
 * outside its transaction: not when `begin` fails before it, and not when postgres.js sends it again,
 * on another connection after a loss, or behind the `rollback` since its prepared statement is stale.
 */
export const DRY_RUN_SESSIONS = {
  name: "lotline-dry-runs",
  statementTimeoutMs: 250,
  lockTimeoutMs: 200,
  idleInTransactionTimeoutMs: 250,
  idleTimeoutMs: 60_000,
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  readOnly: true,
} as const satisfies SessionOptions;

// With the setting the triggers don't count a change that they can't store as lost: migration 0014.
const BEGIN = "begin read write; set local lotline.dry_run = 'on'";

/**
 * Writes that are rolled back. Disposing closes idle connections.
 *
 * @param open opens a session with {@link DRY_RUN_SESSIONS}
 * @param address of the sessions
 */
export function createRolledBackWrites(open: (onEnd: () => void) => Session, address: string) {
  const sessions = createSessionPool(open, DRY_RUN_SESSIONS.idleTimeoutMs, address, {
    name: DRY_RUN_SESSIONS.name,
  });
  const waiting = new Set<() => void>();
  let free = MAX_CONCURRENT;

  /** Waits for one of the turns, which are given in order. */
  const takeTurn = async (): Promise<void> => {
    if (free > 0) {
      free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    await withDeadline(promise, TURN_TIMEOUT_MS, () => {
      waiting.delete(resolve);
      throw new QueryDeadlineError(`no place for a dry run in ${TURN_TIMEOUT_MS} ms`);
    });
  };
  const releaseTurn = () => {
    const [next] = waiting;
    if (next === undefined) free++;
    else {
      waiting.delete(next);
      next();
    }
  };
  const run = <Row extends postgres.MaybeRow>(statement: WritingStatement) =>
    sessions.use((session) =>
      withDeadline(executeAndRollBack<Row>(session, statement), RESPONSE_TIMEOUT_MS, () => {
        throw new QueryDeadlineError(`no answer from PostgreSQL in ${RESPONSE_TIMEOUT_MS} ms`);
      })
    );

  return {
    /** @throws {QueryDeadlineError} when too many are running, or PostgreSQL doesn't respond */
    async write<Row extends postgres.MaybeRow>(statement: WritingStatement): Promise<Row[]> {
      await takeTurn();
      try {
        const outcome = await run<Row>(statement).catch((error) => {
          if (error instanceof QueryDeadlineError) throw error;
          // The session was lost or its prepared statements stale: repeated on a new one.
          return run<Row>(statement);
        });
        if ("error" in outcome) throw outcome.error;
        return outcome.rows;
      } finally {
        releaseTurn();
      }
    },
    [Symbol.dispose]: () => void sessions[Symbol.asyncDispose](),
  };
}

/**
 * Sends all statements at once, so that the transaction is short. After a failure those behind it fail.
 * PostgreSQL rolls back when the session is closed.
 *
 * @returns the rows or the refusal
 * @throws when the session can't be used again
 */
async function executeAndRollBack<Row extends postgres.MaybeRow>(
  { sql }: Session,
  { text, parameters }: WritingStatement,
): Promise<{ readonly rows: Row[] } | { readonly error: unknown }> {
  const all = [
    sql.unsafe(BEGIN),
    sql.unsafe<Row[]>(text, [...parameters], { prepare: true }),
    // Deferred constraints, which a commit would check.
    sql.unsafe("set constraints all immediate"),
    sql.unsafe("rollback"),
  ] as const;
  // Sends them in this order: a statement whose promise is awaited first would be sent first.
  for (const query of all) query.execute();
  const isOver = all[3].then(() => true, () => false);
  try {
    const [, rows] = await Promise.all(all);
    return { rows };
  } catch (error) {
    // The first failure has the cause.
    if (!await isOver || isStaleStatement(error)) throw error;
    return { error };
  }
}

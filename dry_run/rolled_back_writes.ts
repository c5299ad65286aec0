import type postgres from "postgres";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import type { Session, SessionOptions } from "../db/session.ts";
import { isStaleStatement } from "../db/pg_errors.ts";
import type { Write, WritingStatement } from "../db/write.ts";
import { withDeadline } from "../timing.ts";

/** Writes that are rolled back. Disposing closes idle connections. */
interface RolledBackWrites extends Disposable {
  /** @throws {QueryDeadlineError} when too many are running, or PostgreSQL doesn't respond */
  readonly write: Write;
}

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
  readOnly: true,
} as const satisfies SessionOptions;

// With the setting the triggers don't count a change that they can't store as lost: migration 0014.
const BEGIN = "begin read write; set local lotline.dry_run = 'on'";

/** @param open opens a session with {@link DRY_RUN_SESSIONS} */
export function createRolledBackWrites(
  open: (onEnd: () => void) => Session,
): RolledBackWrites {
  const idle = new Set<Session>();
  const turns = new Turns();

  const openSession = (): Session => {
    const opened: Session = open(() => idle.delete(opened));
    return opened;
  };

  const run = async <Row extends postgres.MaybeRow>(
    session: Session,
    statement: WritingStatement,
  ): Promise<Outcome<Row>> => {
    const outcome = await orTimeout(executeAndRollBack<Row>(session, statement));
    if (outcome.isGood) idle.add(session);
    // PostgreSQL rolls back when it is closed.
    else void session[Symbol.asyncDispose]();
    return outcome;
  };

  const runOnIdle = async <Row extends postgres.MaybeRow>(
    statement: WritingStatement,
  ): Promise<Outcome<Row> | undefined> => {
    const [session] = idle;
    if (session === undefined) return undefined;
    idle.delete(session);
    const outcome = await run<Row>(session, statement);
    // It may be closed, or its prepared statements stale: the dry run can be repeated on a new one.
    return outcome.isGood || outcome.error instanceof QueryDeadlineError ? outcome : undefined;
  };

  return {
    async write<Row extends postgres.MaybeRow>(statement: WritingStatement): Promise<Row[]> {
      await turns.acquire();
      try {
        const outcome = await runOnIdle<Row>(statement) ??
          await run<Row>(openSession(), statement);
        if ("error" in outcome) throw outcome.error;
        return outcome.rows;
      } finally {
        turns.release();
      }
    },
    [Symbol.dispose]() {
      for (const session of idle) void session[Symbol.asyncDispose]();
    },
  };
}

/** The result of a dry run, and whether its session can be used again. */
type Outcome<Row> =
  | { readonly rows: Row[]; readonly isGood: true }
  | { readonly error: unknown; readonly isGood: boolean };

/** Sends all statements at once, so that the transaction is short. After a failure those behind it fail. */
async function executeAndRollBack<Row extends postgres.MaybeRow>(
  { sql }: Session,
  { text, parameters }: WritingStatement,
): Promise<Outcome<Row>> {
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
    return { rows, isGood: true };
  } catch (error) {
    // The first failure has the cause.
    return { error, isGood: await isOver && !isStaleStatement(error) };
  }
}

async function orTimeout<Row>(outcome: Promise<Outcome<Row>>): Promise<Outcome<Row>> {
  return await withDeadline(outcome, RESPONSE_TIMEOUT_MS, () => ({
    error: new QueryDeadlineError(`no answer from PostgreSQL in ${RESPONSE_TIMEOUT_MS} ms`),
    isGood: false,
  }));
}

/** Admits {@link MAX_CONCURRENT} at a time, in their order. */
class Turns {
  readonly #waiting = new Set<() => void>();
  #free = MAX_CONCURRENT;

  /** @throws {QueryDeadlineError} after {@link TURN_TIMEOUT_MS} */
  async acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await withDeadline(promise, TURN_TIMEOUT_MS, () => {
      this.#waiting.delete(resolve);
      throw new QueryDeadlineError(`no place for a dry run in ${TURN_TIMEOUT_MS} ms`);
    });
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

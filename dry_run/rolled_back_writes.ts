import type postgres from "postgres";
import { QueryDeadlineError } from "../db/query_deadline.ts";
import type { Session, SessionOptions } from "../db/session.ts";
import { isStaleStatement } from "../db/pg_errors.ts";
import type { Write, WritingStatement } from "../db/write.ts";
import { withDeadline } from "../timing.ts";

/** Writes that leave nothing. Disposing closes the connections that are kept for the next ones. */
export interface RolledBackWrites extends Disposable {
  /**
   * Executes a statement and takes it back.
   * @throws {QueryDeadlineError} when too many are at it, or PostgreSQL is silent
   */
  readonly write: Write;
}

/** So many at a time; each has a connection. */
const MAX_CONCURRENT = 4;
/** Whoever has waited this long for one of them is told to come back, in ms. */
const PATIENCE_MS = 200;
/** After this long without an answer PostgreSQL is taken to be away, in ms. */
const SILENCE_MS = 1_000;

/**
 * How the sessions of dry runs are opened. While a dry run has its place in a unique index, whoever
 * writes the same code, the old server above all, waits for it: so it gives up early at every turn,
 * and PostgreSQL ends by itself one that nobody goes on with.
 *
 * `readOnly`: only a transaction that begins as {@link BEGIN} does can write. So there is no way for a
 * statement past its transaction: not when `begin` fails in front of it, and not when postgres.js sends
 * it anew, be it on another connection when the first is lost or, since what it had prepared is out of
 * date, behind the `rollback`.
 */
export const DRY_RUN_SESSIONS = {
  name: "lotline-dry-runs",
  statementTimeoutMs: 250,
  lockTimeoutMs: 200,
  idleInTransactionTimeoutMs: 250,
  idleTimeoutMs: 60_000,
  readOnly: true,
} as const satisfies SessionOptions;

// With the setting the triggers don't count a change that they can't note as lost: migration 0014.
const BEGIN = "begin read write; set local lotline.dry_run = 'on'";

/** @param open opens a session as {@link DRY_RUN_SESSIONS} says */
export function createRolledBackWrites(
  open: (onEnd: () => void) => Session,
): RolledBackWrites {
  const idle = new Set<Session>();
  const turns = new ShortTurns();

  const openSession = (): Session => {
    const opened: Session = open(() => idle.delete(opened));
    return opened;
  };

  const run = async <Row extends postgres.MaybeRow>(
    session: Session,
    statement: WritingStatement,
  ): Promise<Outcome<Row>> => {
    const outcome = await withoutSilence(executeAndRollBack<Row>(session, statement));
    if (outcome.isGood) idle.add(session);
    // Whatever has happened to it, PostgreSQL rolls back when it is closed.
    else void session[Symbol.asyncDispose]();
    return outcome;
  };

  const runOnKept = async <Row extends postgres.MaybeRow>(
    statement: WritingStatement,
  ): Promise<Outcome<Row> | undefined> => {
    const [kept] = idle;
    if (kept === undefined) return undefined;
    idle.delete(kept);
    const outcome = await run<Row>(kept, statement);
    // It may have been closed meanwhile, or hold what is out of date: a new one is worth a try then,
    // since a dry run can always be run once more.
    return outcome.isGood || outcome.error instanceof QueryDeadlineError ? outcome : undefined;
  };

  return {
    async write<Row extends postgres.MaybeRow>(statement: WritingStatement): Promise<Row[]> {
      await turns.enter();
      try {
        const outcome = await runOnKept<Row>(statement) ??
          await run<Row>(openSession(), statement);
        if ("error" in outcome) throw outcome.error;
        return outcome.rows;
      } finally {
        turns.leave();
      }
    },
    [Symbol.dispose]() {
      for (const session of idle) void session[Symbol.asyncDispose]();
    },
  };
}

/** What came of a dry run, and whether its session is good for another one. */
type Outcome<Row> =
  | { readonly rows: Row[]; readonly isGood: true }
  | { readonly error: unknown; readonly isGood: boolean };

/**
 * All is sent at once: an open transaction waits for nobody. After a statement that fails, those
 * behind it do nothing, up to the rollback.
 */
async function executeAndRollBack<Row extends postgres.MaybeRow>(
  { sql }: Session,
  { text, parameters }: WritingStatement,
): Promise<Outcome<Row>> {
  const all = [
    sql.unsafe(BEGIN),
    sql.unsafe<Row[]>(text, [...parameters], { prepare: true }),
    // What would be checked on commit.
    sql.unsafe("set constraints all immediate"),
    sql.unsafe("rollback"),
  ] as const;
  // It is this that sends them: whichever were asked for its end first would be sent first.
  for (const query of all) query.execute();
  const isOver = all[3].then(() => true, () => false);
  try {
    const [, rows] = await Promise.all(all);
    return { rows, isGood: true };
  } catch (error) {
    // The first to fail is the one that says why.
    return { error, isGood: await isOver && !isStaleStatement(error) };
  }
}

async function withoutSilence<Row>(outcome: Promise<Outcome<Row>>): Promise<Outcome<Row>> {
  return await withDeadline(outcome, SILENCE_MS, () => ({
    error: new QueryDeadlineError(`no answer from PostgreSQL in ${SILENCE_MS} ms`),
    isGood: false,
  }));
}

/** Lets in {@link MAX_CONCURRENT}, the others in the order in which they came, unless that takes long. */
class ShortTurns {
  readonly #waiting = new Set<() => void>();
  #free = MAX_CONCURRENT;

  /** @throws {QueryDeadlineError} after {@link TIMEOUT_MS} */
  async enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await withDeadline(promise, PATIENCE_MS, () => {
      this.#waiting.delete(resolve);
      throw new QueryDeadlineError(`no place for a dry run in ${PATIENCE_MS} ms`);
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

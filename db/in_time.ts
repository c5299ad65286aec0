import type postgres from "postgres";
import { type Sql, STATEMENT_TIMEOUT_MS } from "./connect.ts";

/** Thrown when a query had no answer in time; PostgreSQL may be away, or the pool is full. */
export class QueryDeadlineError extends Error {
  override name = "QueryDeadlineError";
  readonly code = "QUERY_DEADLINE";
}

// Later than the statement timeout, so that PostgreSQL's own, clearer answer comes first.
const DEADLINE_MS = STATEMENT_TIMEOUT_MS + 2_000;

/**
 * The rows of `query`, or {@link QueryDeadlineError} when they don't come in time.
 *
 * It waits here for a free connection. postgres.js would send it at once on a busy one, where it
 * can't be taken back and a slow statement in front holds it up while other connections are free.
 * A query whose time is up before its turn therefore never runs: nothing is stored for a client
 * that was told that it failed. One that is running is left to PostgreSQL's statement timeout: a
 * cancel request that comes a moment too late would hit the next statement on its connection.
 */
export async function inTime<T extends readonly postgres.MaybeRow[]>(
  sql: Sql,
  query: postgres.PendingQuery<T>,
  deadlineMs = DEADLINE_MS,
): Promise<postgres.RowList<T>> {
  const turns = turnsOf(sql);
  const turn = Promise.withResolvers<void>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new QueryDeadlineError(`no answer from PostgreSQL in ${deadlineMs} ms`));
      turns.leave(turn.resolve);
    }, deadlineMs);
  });
  try {
    turns.enter(turn.resolve);
    await Promise.race([turn.promise, late]);
    // The connection is free when the query is through, not when nobody waits for it any more.
    query.then(turns.next, turns.next);
    return await Promise.race([query, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets in as many as there are connections, the others in the order in which they came. */
class Turns {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(connections: number) {
    this.#free = connections;
  }

  enter(start: () => void): void {
    if (this.#free === 0) {
      this.#waiting.add(start);
      return;
    }
    this.#free--;
    start();
  }

  leave(start: () => void): void {
    this.#waiting.delete(start);
  }

  readonly next = (): void => {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(first);
    first();
  };
}

const turnsOfPools = new WeakMap<Sql, Turns>();

function turnsOf(sql: Sql): Turns {
  let turns = turnsOfPools.get(sql);
  if (turns === undefined) {
    turns = new Turns(sql.options.max);
    turnsOfPools.set(sql, turns);
  }
  return turns;
}

import type { Sql } from "./sql.ts";
import { handlerOf, intercept, isResponse, onceSettled, type Query } from "./driver.ts";
import { keepSessions } from "./kept_sessions.ts";
import type { Session } from "./session.ts";

/** Room for one connection, and for the next one when it has ended. */
interface Place {
  connection: Connection | undefined;
  /** Whether its last connection got an answer from PostgreSQL. */
  wasAnswered: boolean;
}

interface Connection {
  readonly session: Session;
  readonly handler: (query: Query) => void;
  /** By the process's clock, in ms. */
  readonly openedAt: number;
}

/** Thrown by a statement of a pool that was closed. */
class PoolEndedError extends Error {
  override name = "PoolEndedError";
  readonly code = "CONNECTION_ENDED";
}

/** How long nothing is tried again after a connection that couldn't be made. */
const RETRY_AFTER_MS = 100;
/** A connection is used so long: what its process of PostgreSQL keeps in memory only grows. */
const LIFETIME_MS = 45 * 60_000;
/** How long a connection is kept for the next transaction, in ms. */
const TRANSACTION_IDLE_MS = 60_000;

/**
 * Lets the statements of `sql` run on connections of a pool: on each one at a time, in the order in
 * which they came, so that a slow one holds up no other and one that waits can be taken back. A
 * connection that has failed is never used again, nor are those that were idle meanwhile. The pool
 * of postgres.js does use it: in 3.4.9 such a connection may never send again (its issue 1208), lose
 * a statement, or tell the next one the failure of the one before. A transaction (`sql.begin`) has a
 * connection of its own, beside those of the pool, which is kept for the next one.
 *
 * @param sql makes the statements; ending it ends the pool
 * @param max the most connections
 * @param open opens a connection, which says when it has ended
 */
export function pool(
  sql: Sql,
  max: number,
  open: (onEnd: () => void) => Session,
  lifetimeMs = LIFETIME_MS,
): Sql {
  const connections = new Connections(max, open, lifetimeMs);
  const transactions = keepSessions(open, TRANSACTION_IDLE_MS);
  const pooledSql = Object.assign(intercept(sql, connections.run), {
    begin: (work: (sql: Sql) => Promise<unknown>) =>
      transactions.use(({ sql }) => transaction(sql, work)),
    end: async (options?: { timeout?: number }) => {
      await Promise.all([
        connections.end(options),
        transactions[Symbol.asyncDispose](),
        sql.end(options),
      ]);
    },
  }) as Sql;
  pools.set(pooledSql, connections);
  return pooledSql;
}

/** What `work` throws is thrown before the commit: its session is closed then, which rolls back. */
async function transaction<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  await sql`begin`;
  const result = await work(sql);
  await sql`commit`;
  return result;
}

/** Takes a statement back that waits for a connection of its pool: it never runs and never ends. */
export function takeBack(sql: Sql, query: Promise<unknown>): void {
  pools.get(sql)?.takeBack(query);
}

const pools = new WeakMap<Sql, Connections>();

class Connections {
  readonly #open: (onEnd: () => void) => Session;
  readonly #lifetimeMs: number;
  readonly #places: readonly Place[];
  /** The last is taken first: one with a connection, if there is any. */
  readonly #free: Place[];
  #waiting: Query[] = [];
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();
  #hasEnded = false;

  constructor(max: number, open: (onEnd: () => void) => Session, lifetimeMs: number) {
    this.#open = open;
    this.#lifetimeMs = lifetimeMs;
    this.#places = Array.from(
      { length: max },
      () => ({ connection: undefined, wasAnswered: true }),
    );
    this.#free = [...this.#places];
  }

  readonly run = (query: Query): void => {
    if (this.#hasEnded) {
      query.reject(new PoolEndedError("the pool has ended"));
      return;
    }
    this.#waiting.push(query);
    this.#next();
  };

  takeBack(query: Promise<unknown>): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== query);
  }

  async end(options?: { timeout?: number }): Promise<void> {
    this.#hasEnded = true;
    for (const query of this.#waiting.splice(0)) {
      query.reject(new PoolEndedError("the pool has ended"));
    }
    for (const retry of this.#retries) clearTimeout(retry);
    await Promise.all(this.#places.map(({ connection }) => connection?.session.sql.end(options)));
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const place = this.#free.pop();
      if (place === undefined) return;
      this.#runOn(place, this.#waiting.shift() as Query);
    }
  }

  #runOn(place: Place, query: Query): void {
    const { connection: kept } = place;
    if (kept !== undefined && performance.now() - kept.openedAt > this.#lifetimeMs) {
      leave(place, kept);
    }
    const connection = place.connection ??= this.#connect(place);
    connection.handler(query);
    onceSettled(query, (failure) => {
      if (failure === undefined) {
        this.#onResponse(place);
      } else if (isResponse(failure.error)) {
        if (!connection.session.isUsable) leave(place, connection);
        this.#onResponse(place);
      } else {
        leave(place, connection);
        this.#leaveIdle();
        this.#giveBack(place);
      }
    });
  }

  /** What has happened to one connection may have happened to all. */
  #leaveIdle(): void {
    for (const place of [...this.#free]) {
      const { connection } = place;
      if (connection === undefined) continue;
      leave(place, connection);
      this.#takeLater(place);
    }
  }

  /** Those that have a connection are taken before it. */
  #takeLater(place: Place): void {
    const index = this.#free.indexOf(place);
    if (index !== -1) this.#free.unshift(...this.#free.splice(index, 1));
  }

  #connect(place: Place): Connection {
    const session = this.#open(() => {
      if (place.connection !== connection) return;
      place.connection = undefined;
      this.#takeLater(place);
    });
    const connection = { session, handler: handlerOf(session.sql), openedAt: performance.now() };
    place.wasAnswered = false;
    return connection;
  }

  #onResponse(place: Place): void {
    place.wasAnswered = true;
    this.#giveBack(place);
  }

  #giveBack(place: Place): void {
    if (this.#hasEnded) return;
    if (place.connection !== undefined) {
      this.#free.push(place);
      this.#next();
    } else if (place.wasAnswered) {
      this.#giveBackEmpty(place);
    } else {
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.#giveBackEmpty(place);
      }, RETRY_AFTER_MS);
      this.#retries.add(retry);
    }
  }

  #giveBackEmpty(place: Place): void {
    this.#free.unshift(place);
    this.#next();
  }
}

function leave(place: Place, connection: Connection): void {
  if (place.connection === connection) place.connection = undefined;
  void connection.session.sql.end({ timeout: 0 });
}

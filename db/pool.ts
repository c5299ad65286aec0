import type { Sql } from "./sql.ts";
import { handlerOf, intercept, onceSettled, type Query } from "./driver.ts";
import { isResponse } from "./pg_errors.ts";
import { createSessionPool } from "./session_pool.ts";
import type { Session } from "./session.ts";

/** Room for one connection, and for the next one when it has ended. */
interface Slot {
  connection: Connection | undefined;
  /** Whether its last connection got an answer from PostgreSQL. */
  hasResponded: boolean;
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
  const transactions = createSessionPool(open, TRANSACTION_IDLE_MS);
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
export function cancel(sql: Sql, query: Promise<unknown>): void {
  pools.get(sql)?.cancel(query);
}

const pools = new WeakMap<Sql, Connections>();

class Connections {
  readonly #open: (onEnd: () => void) => Session;
  readonly #lifetimeMs: number;
  readonly #places: readonly Slot[];
  /** The last is taken first: one with a connection, if there is any. */
  readonly #free: Slot[];
  #waiting: Query[] = [];
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();
  #hasEnded = false;

  constructor(max: number, open: (onEnd: () => void) => Session, lifetimeMs: number) {
    this.#open = open;
    this.#lifetimeMs = lifetimeMs;
    this.#places = Array.from(
      { length: max },
      () => ({ connection: undefined, hasResponded: true }),
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

  cancel(query: Promise<unknown>): void {
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
      const slot = this.#free.pop();
      if (slot === undefined) return;
      this.#runOn(slot, this.#waiting.shift() as Query);
    }
  }

  #runOn(slot: Slot, query: Query): void {
    const { connection: open } = slot;
    if (open !== undefined && performance.now() - open.openedAt > this.#lifetimeMs) {
      discard(slot, open);
    }
    const connection = slot.connection ??= this.#connect(slot);
    connection.handler(query);
    onceSettled(query, (failure) => {
      if (failure === undefined) {
        this.#onResponse(slot);
      } else if (isResponse(failure.error)) {
        if (!connection.session.isUsable) discard(slot, connection);
        this.#onResponse(slot);
      } else {
        discard(slot, connection);
        this.#leaveIdle();
        this.#giveBack(slot);
      }
    });
  }

  /** What has happened to one connection may have happened to all. */
  #leaveIdle(): void {
    for (const slot of [...this.#free]) {
      const { connection } = slot;
      if (connection === undefined) continue;
      discard(slot, connection);
      this.#takeLater(slot);
    }
  }

  /** Those that have a connection are taken before it. */
  #takeLater(slot: Slot): void {
    const index = this.#free.indexOf(slot);
    if (index !== -1) this.#free.unshift(...this.#free.splice(index, 1));
  }

  #connect(slot: Slot): Connection {
    const session = this.#open(() => {
      if (slot.connection !== connection) return;
      slot.connection = undefined;
      this.#takeLater(slot);
    });
    const connection = { session, handler: handlerOf(session.sql), openedAt: performance.now() };
    slot.hasResponded = false;
    return connection;
  }

  #onResponse(slot: Slot): void {
    slot.hasResponded = true;
    this.#giveBack(slot);
  }

  #giveBack(slot: Slot): void {
    if (this.#hasEnded) return;
    if (slot.connection !== undefined) {
      this.#free.push(slot);
      this.#next();
    } else if (slot.hasResponded) {
      this.#giveBackEmpty(slot);
    } else {
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.#giveBackEmpty(slot);
      }, RETRY_AFTER_MS);
      this.#retries.add(retry);
    }
  }

  #giveBackEmpty(slot: Slot): void {
    this.#free.unshift(slot);
    this.#next();
  }
}

function discard(slot: Slot, connection: Connection): void {
  if (slot.connection === connection) slot.connection = undefined;
  void connection.session.sql.end({ timeout: 0 });
}

import type { Sql } from "./sql.ts";
import { handlerOf, intercept, onceSettled, type Query } from "./driver.ts";
import { type Lane, LaneQueues, MAX_QUEUE_WAIT_MS, PoolBusyError } from "./lanes.ts";
import { isResponse } from "./pg_errors.ts";
import { type PoolState, showPool, waitsOf } from "./pool_metrics.ts";
import { onWrongServer, reportWrongServer } from "./servers.ts";
import { createSessionPool } from "./session_pool.ts";
import type { Session } from "./session.ts";
import { traceStatement } from "./statement_span.ts";
import { isTracing } from "../telemetry/tracing.ts";

/** A place for one connection, and for the next one when it has ended. */
interface Slot {
  connection: Connection | undefined;
  /** Whether its last connection had a response from PostgreSQL. */
  hasResponded: boolean;
}

interface Connection {
  readonly session: Session;
  readonly handler: (query: Query) => void;
  /** By the process's clock, in ms. */
  readonly openedAt: number;
  /** How often the pool had left a server when it was opened. */
  readonly departures: number;
}

interface PoolOptions {
  /** The `application_name` of its connections. */
  readonly name: string;
  /** When sessions of this address leave their server, the pool's connections do. */
  readonly address: string;
  /** The most connections. */
  readonly max: number;
  /** Opens a connection, which calls `onEnd` when it has ended. */
  readonly open: (onEnd: () => void) => Session;
  readonly lifetimeMs?: number;
}

class PoolEndedError extends Error {
  override name = "PoolEndedError";
  readonly code = "CONNECTION_ENDED";
}

/** The pause after a failed connection, in ms. */
const RETRY_AFTER_MS = 100;
/** Connections are replaced after this long: the memory of their PostgreSQL processes only grows. */
const LIFETIME_MS = 45 * 60_000;
/** How long an idle connection is kept for the next transaction, in ms. */
const TRANSACTION_IDLE_MS = 60_000;

/**
 * Runs the statements of `sql` on connections of a pool, one at a time on each and in their order, so
 * that a slow one delays no other and a waiting one can be cancelled. After a failure neither the
 * connection nor those that were idle are used again. The pool of postgres.js does use them: in 3.4.9
 * such a connection may never send again (its issue 1208), lose a statement, or fail the next one with
 * the error of the one before. A transaction (`sql.begin`) has a connection of its own beside the pool.
 *
 * @param sql makes the statements; ending it ends the pool
 */
export function pool(sql: Sql, options: PoolOptions): Sql {
  const { name, address, open } = options;
  const connections = new Connections(options);
  const transactions = createSessionPool(open, TRANSACTION_IDLE_MS, address, {
    name: `${name}-transactions`,
  });
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
  makers.set(pooledSql, sql);
  return pooledSql;
}

/**
 * The pool's `sql` for statements of one lane. While one of them has waited for over a second for a
 * connection, further ones are refused with {@link PoolBusyError}. What is no pool is returned as it is.
 */
export function inLane(pooledSql: Sql, lane: Lane): Sql {
  return marking(pooledSql, (query) => query.lane = lane, lane);
}

/**
 * The same lane's `sql` for what follows after a request has stored something: such statements are
 * never refused, since their request would be 503 and its work stored.
 */
export function continuing(laneSql: Sql): Sql {
  const lane = lanes.get(laneSql);
  if (lane === undefined) return laneSql;
  return marking(laneSql, (query) => {
    query.lane = lane;
    query.continues = true;
  }, lane);
}

function marking(pooledSql: Sql, mark: (query: Query) => void, lane: Lane): Sql {
  const [connections, sql] = [pools.get(pooledSql), makers.get(pooledSql)];
  if (connections === undefined || sql === undefined) return pooledSql;
  const run = (query: Query) => {
    mark(query);
    connections.run(query);
  };
  const { begin, end } = pooledSql;
  const laneSql = Object.assign(intercept(sql, run), { begin, end }) as Sql;
  pools.set(laneSql, connections);
  makers.set(laneSql, sql);
  lanes.set(laneSql, lane);
  return laneSql;
}

/** When `work` throws, the session is closed, which rolls back. */
async function transaction<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  await sql`begin`;
  const result = await work(sql);
  await sql`commit`;
  return result;
}

/** Cancels a statement that waits for a connection: it never runs, and its promise never settles. */
export function cancel(sql: Sql, query: Promise<unknown>): void {
  pools.get(sql)?.cancel(query);
}

/** Reports that the pool's server no longer serves, for what only reads and sees no error. */
export function leaveServer(sql: Sql): void {
  pools.get(sql)?.leaveServer();
}

const pools = new WeakMap<Sql, Connections>();
/** What makes the statements of each pool. */
const makers = new WeakMap<Sql, Sql>();
/** Of the results of {@link inLane}. */
const lanes = new WeakMap<Sql, Lane>();

class Connections {
  readonly #open: (onEnd: () => void) => Session;
  readonly #lifetimeMs: number;
  readonly #slots: readonly Slot[];
  /** The last is taken first; those with a connection stand last. */
  readonly #free: Slot[];
  readonly #waiting: LaneQueues<Query>;
  /** When those that wait began to, in ms; a statement that need not wait is never in it. */
  readonly #since = new Map<Promise<unknown>, number>();
  readonly #waits: { observe(seconds: number): void };
  readonly #shown: Disposable;
  readonly #retries = new Set<ReturnType<typeof setTimeout>>();
  readonly #departing: Disposable;
  #departures = 0;
  #hasEnded = false;

  readonly #address: string;

  constructor({ name, address, max, open, lifetimeMs = LIFETIME_MS }: PoolOptions) {
    this.#address = address;
    this.#waiting = new LaneQueues(max);
    this.#open = open;
    this.#lifetimeMs = lifetimeMs;
    this.#departing = onWrongServer(address, () => {
      this.#departures++;
      this.#discardIdle();
    });
    this.#slots = Array.from(
      { length: max },
      () => ({ connection: undefined, hasResponded: true }),
    );
    this.#free = [...this.#slots];
    this.#waits = waitsOf(name);
    this.#shown = showPool(name, () => this.#state());
  }

  readonly run = (query: Query): void => {
    if (this.#hasEnded) {
      query.reject(new PoolEndedError("the pool has ended"));
      return;
    }
    if (isTracing) traceStatement(query);
    const { lane } = query;
    if (lane !== undefined && !query.continues && this.#waiting.size > 0 && this.#isTooSlow(lane)) {
      query.reject(new PoolBusyError(lane));
      return;
    }
    this.#waiting.add(query);
    this.#next();
    if (this.#waiting.size > 0) this.#since.set(query, performance.now());
  };

  cancel(query: Promise<unknown>): void {
    if (this.#since.has(query)) this.#waits.observe(this.#waitOf(query));
    this.#waiting.remove(query as Query);
  }

  leaveServer(): void {
    reportWrongServer(this.#address, performance.now());
  }

  async end(options?: { timeout?: number }): Promise<void> {
    this.#hasEnded = true;
    this.#departing[Symbol.dispose]();
    this.#shown[Symbol.dispose]();
    for (const query of this.#waiting.clear()) {
      query.reject(new PoolEndedError("the pool has ended"));
    }
    for (const retry of this.#retries) clearTimeout(retry);
    await Promise.all(this.#slots.map(({ connection }) => connection?.session.sql.end(options)));
  }

  #next(): void {
    while (this.#waiting.size > 0) {
      if (this.#free.length === 0) return;
      const query = this.#waiting.take();
      if (query === undefined) return;
      const slot = this.#free.pop() as Slot;
      this.#waits.observe(this.#waitOf(query));
      this.#runOn(slot, query);
    }
  }

  #isTooSlow(lane: Lane): boolean {
    const first = this.#waiting.first(lane);
    const since = first && this.#since.get(first);
    return since !== undefined && performance.now() - since > MAX_QUEUE_WAIT_MS;
  }

  /** In seconds; usually nothing waits, and no clock is read. */
  #waitOf(query: Promise<unknown>): number {
    const since = this.#since.size === 0 ? undefined : this.#since.get(query);
    if (since === undefined) return 0;
    this.#since.delete(query);
    return (performance.now() - since) / 1_000;
  }

  #state(): PoolState {
    const idle = this.#free.filter(({ connection }) => connection !== undefined).length;
    return {
      inUse: this.#slots.filter(({ connection }) => connection !== undefined).length - idle,
      idle,
      max: this.#slots.length,
      waiting: this.#waiting.size,
    };
  }

  #runOn(slot: Slot, query: Query): void {
    const { connection: open } = slot;
    if (open !== undefined && performance.now() - open.openedAt > this.#lifetimeMs) {
      discard(slot, open);
    }
    const connection = slot.connection ??= this.#connect(slot);
    connection.handler(query);
    onceSettled(query, (failure) => {
      this.#waiting.ended(query);
      if (failure === undefined || isResponse(failure.error)) {
        const hasLeft = connection.departures < this.#departures;
        if (hasLeft || !connection.session.isUsable) discard(slot, connection);
        this.#onResponse(slot);
      } else {
        discard(slot, connection);
        this.#discardIdle();
        this.#release(slot);
      }
    });
  }

  /** The cause of one connection's failure may concern all. */
  #discardIdle(): void {
    for (const slot of [...this.#free]) {
      const { connection } = slot;
      if (connection === undefined) continue;
      discard(slot, connection);
      this.#moveBack(slot);
    }
  }

  /** Slots with a connection are taken first. */
  #moveBack(slot: Slot): void {
    const index = this.#free.indexOf(slot);
    if (index !== -1) this.#free.unshift(...this.#free.splice(index, 1));
  }

  #connect(slot: Slot): Connection {
    const session = this.#open(() => {
      if (slot.connection !== connection) return;
      slot.connection = undefined;
      this.#moveBack(slot);
    });
    const connection = {
      session,
      handler: handlerOf(session.sql),
      openedAt: performance.now(),
      departures: this.#departures,
    };
    slot.hasResponded = false;
    return connection;
  }

  #onResponse(slot: Slot): void {
    slot.hasResponded = true;
    this.#release(slot);
  }

  #release(slot: Slot): void {
    if (this.#hasEnded) return;
    if (slot.connection !== undefined) {
      this.#free.push(slot);
      this.#next();
    } else if (slot.hasResponded) {
      this.#releaseEmpty(slot);
    } else {
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        this.#releaseEmpty(slot);
      }, RETRY_AFTER_MS);
      this.#retries.add(retry);
    }
  }

  #releaseEmpty(slot: Slot): void {
    this.#free.unshift(slot);
    this.#next();
  }
}

function discard(slot: Slot, connection: Connection): void {
  if (slot.connection === connection) slot.connection = undefined;
  void connection.session.sql.end({ timeout: 0 });
}

import postgres from "postgres";
import { type Sql, TYPES } from "./connect.ts";

/** One connection to PostgreSQL; disposing closes it. */
export interface Session extends AsyncDisposable {
  /** Values come as those of a pool do. */
  readonly sql: Sql;
}

/** How a session behaves; times in ms. */
export interface SessionOptions {
  /** What the connection is called in `pg_stat_activity`. */
  readonly name: string;
  /** PostgreSQL gives up a statement after this long; 0: never. */
  readonly statementTimeoutMs?: number;
  /** PostgreSQL gives up waiting for a lock after this long; 0: never. */
  readonly lockTimeoutMs?: number;
  /** PostgreSQL closes a connection that says nothing for this long; 0: never. */
  readonly idleTimeoutMs?: number;
  /** Is told when the connection has ended, for whatever reason. */
  readonly onEnd?: () => void;
}

const CONNECT_TIMEOUT_S = 5;

/**
 * A connection of its own, for what goes with a connection: a lock, a temporary table, a transaction
 * of several statements (`begin` as a statement: `sql.begin` of postgres.js 3.4 ends the process when
 * the connection dies inside it, its issue 1066). It is never replaced by another one: once it is
 * lost, every statement fails.
 */
export function openSession(url: string, options: SessionOptions): Session {
  const sql: Sql = postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: CONNECT_TIMEOUT_S,
    max_lifetime: null,
    onnotice: () => {},
    types: TYPES,
    onclose: () => {
      options.onEnd?.();
      sql.end({ timeout: 0 });
    },
    connection: {
      application_name: options.name,
      TimeZone: "UTC",
      DateStyle: "ISO",
      statement_timeout: options.statementTimeoutMs ?? 0,
      lock_timeout: options.lockTimeoutMs ?? 0,
      // Spread, since the types of postgres.js don't know it; PostgreSQL does from 14 on.
      ...{ idle_session_timeout: options.idleTimeoutMs ?? 0 },
    },
  });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

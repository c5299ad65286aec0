import postgres from "postgres";
import type { Sql } from "./sql.ts";
import { collectRows, intercept, onFailure } from "./driver.ts";
import { isResponse } from "./pg_errors.ts";
import { openSocket, type Target } from "./socket.ts";
import { TYPES } from "./values.ts";

/** One connection to PostgreSQL; disposing closes it. */
export interface Session extends AsyncDisposable {
  /** Values come as those of a pool do. */
  readonly sql: Sql;
  /** Whether it takes further statements: it ends after a failure that may concern the next one. */
  readonly isUsable: boolean;
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
  /** The same while a transaction is open. */
  readonly idleInTransactionTimeoutMs?: number;
  /** How long PostgreSQL may take to let it in; 5 s unless told. */
  readonly connectTimeoutMs?: number;
  /** The connection is dropped when an answer takes longer; 0: never. */
  readonly responseTimeoutMs?: number;
  /** Whether only a transaction that says so when it begins may write. */
  readonly readOnly?: boolean;
  /** Is told when the connection has ended, for whatever reason. */
  readonly onEnd?: () => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** How long statements that are under way may take when a session ends, in s. */
const END_TIMEOUT_S = 1;

/** Thrown by a statement that was to follow others on a connection that is gone. */
class SessionLostError extends Error {
  override name = "SessionLostError";
  /** What postgres.js says of a statement that was on its way. */
  readonly code = "CONNECTION_CLOSED";
}

/** What postgres.js is to be told of connections, one or many. */
export function settingsOf(options: SessionOptions) {
  return {
    // An option of postgres.js that its types don't know.
    ...{ socket: (target: Target) => openSocket(target, options.responseTimeoutMs ?? 0) },
    fetch_types: false,
    connect_timeout: (options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS) / 1_000,
    onnotice: () => {},
    types: TYPES,
    connection: {
      application_name: options.name,
      TimeZone: "UTC",
      DateStyle: "ISO",
      statement_timeout: options.statementTimeoutMs ?? 0,
      lock_timeout: options.lockTimeoutMs ?? 0,
      // Spread, since the types of postgres.js don't know it; PostgreSQL does from 14 on.
      ...{ idle_session_timeout: options.idleTimeoutMs ?? 0 },
      idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 0,
      default_transaction_read_only: options.readOnly ?? false,
    },
  };
}

/**
 * A connection of its own, for what goes with a connection: a lock, a temporary table, a transaction
 * of several statements (`begin` as a statement: `sql.begin` of postgres.js 3.4 ends the process when
 * the connection dies inside it, its issue 1066). It is never replaced by another one: once it is
 * lost, every statement fails. It also ends after an error that came among the rows of a result, and
 * after one that isn't PostgreSQL's: what postgres.js keeps of the connection may be wrong then.
 */
export function openSession(url: string, options: SessionOptions): Session {
  const settings = settingsOf(options);
  let wasOpened = false;
  let isUsable = true;
  const connection: Sql = postgres(url, {
    ...settings,
    ...{
      // What waits when the connection is lost would be sent over a new one, out of its transaction.
      socket: (target: Target) => {
        if (wasOpened) throw new SessionLostError("the connection of a session is lost");
        wasOpened = true;
        return settings.socket(target);
      },
    },
    max: 1,
    max_lifetime: null,
    onclose: () => {
      isUsable = false;
      options.onEnd?.();
      connection.end({ timeout: 0 });
    },
  });
  const sql = intercept(connection, (query, send) => {
    const arrived = collectRows(query);
    onFailure(query, (error) => {
      if (isResponse(error) && !arrived.hasRows) return;
      isUsable = false;
      // Those behind it were sent already, and have results of their own.
      void connection.end({ timeout: END_TIMEOUT_S });
    });
    send(query);
  });
  return {
    sql,
    get isUsable() {
      return isUsable;
    },
    [Symbol.asyncDispose]: () => connection.end({ timeout: END_TIMEOUT_S }),
  };
}

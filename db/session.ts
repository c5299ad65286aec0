import net from "node:net";
import postgres from "postgres";
import type { Sql } from "./sql.ts";
import { collectRows, intercept, onFailure } from "./driver.ts";
import { isResponse, isWrongServer } from "./pg_errors.ts";
import { reportWrongServer } from "./servers.ts";
import { TYPES } from "./values.ts";

/** One connection to PostgreSQL; disposing closes it. */
export interface Session extends AsyncDisposable {
  readonly sql: Sql;
  /** False after a failure that may affect the next statement. */
  readonly isUsable: boolean;
}

/** Of PostgreSQL's settings those in ms; 0 is never. */
export interface SessionOptions {
  /** The `application_name` in `pg_stat_activity`. */
  readonly name: string;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** PostgreSQL closes an idle connection after this long. */
  readonly idleTimeoutMs?: number;
  /** The same while a transaction is open. */
  readonly idleInTransactionTimeoutMs?: number;
  /** 5 s by default. */
  readonly connectTimeoutMs?: number;
  /** The connection is dropped when a response takes longer. */
  readonly responseTimeoutMs?: number;
  /** Whether only a transaction that begins as `read write` may write. */
  readonly readOnly?: boolean;
  /** Called when the connection has ended, for whatever reason. */
  readonly onEnd?: () => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** How long running statements may take when a session ends, in s. */
const END_TIMEOUT_S = 1;

/** Thrown by a statement that was to follow others on a lost connection. */
class SessionLostError extends Error {
  override name = "SessionLostError";
  /** The code that postgres.js has for a statement that was sent. */
  readonly code = "CONNECTION_CLOSED";
}

/** The address of PostgreSQL in postgres.js's form. */
interface Target {
  readonly host: string[];
  readonly port: number[];
  readonly path: string | false;
}

/** The settings of postgres.js for these options. */
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
 * A connection of its own, for a lock, a temporary table, or a transaction of several statements
 * (`begin` as a statement: `sql.begin` of postgres.js 3.4 ends the process when the connection is lost
 * inside it, its issue 1066). Once it is lost, every statement fails. It also ends after an error among
 * the rows of a result, and after one that isn't PostgreSQL's: the state that postgres.js has of the
 * connection may be wrong then.
 */
export function openSession(url: string, options: SessionOptions): Session {
  const settings = settingsOf(options);
  let wasOpened = false;
  let isUsable = true;
  const openedAt = performance.now();
  const connection: Sql = postgres(url, {
    ...settings,
    ...{
      // Waiting statements would be sent over a new connection, outside their transaction.
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
      // A read-only session refuses writes on every server.
      if (isWrongServer(error) && !options.readOnly) reportWrongServer(url, openedAt);
      if (isResponse(error) && !arrived.hasRows) return;
      isUsable = false;
      // Those behind it were sent already and have results of their own.
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

/** @param responseTimeoutMs the connection is dropped when a response takes longer; 0: never */
function openSocket({ host, port, path }: Target, responseTimeoutMs: number): net.Socket {
  const socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0] ?? "localhost");
  let hasData = 0;
  socket.on("data", () => hasData = socket.bytesWritten);
  socket.setTimeout(responseTimeoutMs);
  // An idle connection may stay.
  socket.on("timeout", () => {
    if (socket.bytesWritten > hasData) socket.destroy();
  });
  return socket;
}

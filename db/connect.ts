import postgres from "postgres";
import { pool } from "./pool.ts";
import { openSession } from "./session.ts";
import { addressOf, type SessionOptions, settingsOf } from "./session_settings.ts";
import type { Sql } from "./sql.ts";

interface ConnectOptions {
  readonly url: string;
  /** The most connections. */
  readonly max?: number;
  /** 0: never, and a response may take as long. */
  readonly statementTimeoutMs?: number;
  /** The `application_name` in `pg_stat_activity`. */
  readonly name?: string;
}

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
export const STATEMENT_TIMEOUT_MS = 4_000;
/** For each host of the address: a dead one must not take a request's whole time. */
export const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Opens a pool, which connects with its first query. Values have the old server's forms: `numeric` is
 * text with its scale, a moment is UTC text with milliseconds, `jsonb` is parsed. A connection without
 * a response is dropped, so that a broken network can't block the pool.
 */
export function connect(options: ConnectOptions): Sql {
  const { url, max = 10, name = "lotline", statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const session: SessionOptions = {
    name,
    statementTimeoutMs,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
  // It makes the statements and never connects. Batches read its `max`.
  const open = () => Promise.reject(new Error("statements are sent by the pool"));
  const sql: Sql = postgres({ ...settingsOf(addressOf(url), {}, open), max });
  return pool(sql, {
    name,
    address: url,
    max,
    open: (onEnd) => openSession(url, { ...session, onEnd }),
  });
}

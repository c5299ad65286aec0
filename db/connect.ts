import postgres from "postgres";
import { pool } from "./pool.ts";
import { openSession, type SessionOptions, settingsOf } from "./session.ts";
import type { Sql } from "./sql.ts";

/** How the pool behaves; times in ms. */
export interface ConnectOptions {
  readonly url: string;
  /** The most connections. */
  readonly max?: number;
  /** PostgreSQL gives up a statement after this long; 0: never, and may be silent as long. */
  readonly statementTimeoutMs?: number;
  /** What the connections are called in `pg_stat_activity`. */
  readonly name?: string;
}

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** How long PostgreSQL works on one statement of a request, in ms. */
export const STATEMENT_TIMEOUT_MS = 4_000;
/** How much longer than PostgreSQL's own timeout an answer is waited for, in ms. */
const LINK_SLACK_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Opens a pool (lazily: nothing is connected until the first query). Values come as the old server
 * showed them: `numeric` as text with its scale, moments as UTC text with milliseconds, `jsonb`
 * parsed. A connection on which PostgreSQL stops answering is dropped, so that a black hole between
 * the two can't hold the pool.
 */
export function connect(options: ConnectOptions): Sql {
  const { url, max = 10, name = "lotline", statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const session: SessionOptions = {
    name,
    statementTimeoutMs,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    responseTimeoutMs: statementTimeoutMs && statementTimeoutMs + LINK_SLACK_MS,
  };
  // What makes the statements; it connects only for a transaction (`sql.begin`).
  const sql: Sql = postgres(url, { ...settingsOf(session), max });
  return pool(sql, max, (onEnd) => openSession(url, { ...session, onEnd }));
}

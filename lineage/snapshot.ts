import type { Sql } from "../db/connect.ts";
import type { Session } from "../db/session.ts";

/** Statements that all see the same moment. */
export interface Snapshot {
  readonly sql: Sql;
  /** The moment, as ISO text. */
  readonly asOf: string;
  /** The transactions that are seen, as PostgreSQL writes a snapshot. */
  readonly id: string;
}

/*
 * A walk is many small statements and a few large ones: no time is spent on compiling them, nor on
 * planning them anew for each list of ids, and their sorts get more memory than those of requests.
 * A backend whose client has gone stops within a second, where PostgreSQL can tell; else after its
 * statement.
 */
const BEGIN = `
  begin isolation level repeatable read;
  set local jit = off;
  set local plan_cache_mode = force_generic_plan;
  set local work_mem = '64MB';
  set local idle_in_transaction_session_timeout = '10s';
  do $$ begin
    set local client_connection_check_interval = '1s';
  exception when others then
    null;
  end $$;
  select pg_current_snapshot()::text as id, lotline.iso_moment(clock_timestamp()) as "asOf"`;

/**
 * Does some work in one transaction, on a session that does nothing else meanwhile. The transaction
 * is over when this returns or throws.
 *
 * @throws the signal's reason as soon as it is aborted; the session is lost then
 */
export async function inSnapshot<T>(
  { sql }: Session,
  signal: AbortSignal,
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  // Closing the connection ends its statement; even a PostgreSQL that is silent can't hold us.
  const stop = () => {
    aborted.reject(signal.reason);
    sql.end({ timeout: 0 }).catch(() => {});
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([transaction(sql, work), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function transaction<T>(
  sql: Sql,
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const results = await sql.unsafe<Pick<Snapshot, "id" | "asOf">[][]>(BEGIN).simple();
  const [moment] = results.at(-1) ?? [];
  try {
    if (moment === undefined) throw new Error("a transaction began without a snapshot");
    const result = await work({ sql, ...moment });
    await sql`commit`;
    return result;
  } catch (error) {
    // A connection that is lost has rolled back already.
    await sql`rollback`.catch(() => {});
    throw error;
  }
}

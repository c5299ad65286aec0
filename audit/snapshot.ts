import type postgres from "postgres";
import type { AuditSql } from "./check.ts";

/** A transaction in which every statement sees the database as it was at one moment. */
export interface Snapshot {
  readonly sql: AuditSql;
  /**
   * The rows of a query.
   * @throws the signal's reason when that is aborted, at once; PostgreSQL gives the query up
   */
  run<T extends readonly postgres.MaybeRow[]>(
    query: postgres.PendingQuery<T>,
  ): Promise<postgres.RowList<T>>;
}

// Bounds what one sort or hash takes of PostgreSQL's memory; what is larger goes to its disk.
const WORK_MEM = "32MB";

/**
 * Runs `work` in a transaction of the connection and commits it. When that fails the transaction
 * stays open: closing the connection, which was for this alone, rolls it back.
 */
export async function inSnapshot<T>(
  sql: AuditSql,
  signal: AbortSignal,
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const run: Snapshot["run"] = (query) => untilAborted(query, signal);
  await run(sql`begin isolation level repeatable read`);
  await run(sql`select set_config('work_mem', ${WORK_MEM}, true), set_config('jit', 'off', true)`);
  const result = await work({ sql, run });
  await run(sql`commit`);
  return result;
}

async function untilAborted<T extends readonly postgres.MaybeRow[]>(
  query: postgres.PendingQuery<T>,
  signal: AbortSignal,
): Promise<postgres.RowList<T>> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => {
    // PostgreSQL would work on, to the end of the statement, for nobody. Whether it can be told so
    // or is away itself, the answer isn't waited for.
    query.cancel();
    aborted.reject(signal.reason);
  };
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([query, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

import type postgres from "postgres";
import { STATEMENT_TIMEOUT_MS } from "./connect.ts";

/** Thrown when a query had no answer in time; PostgreSQL may be away, or the pool is full. */
export class QueryDeadlineError extends Error {
  override name = "QueryDeadlineError";
  readonly code = "QUERY_DEADLINE";
}

// Later than the statement timeout, so that PostgreSQL's own, clearer answer comes first.
const DEADLINE_MS = STATEMENT_TIMEOUT_MS + 2_000;

/**
 * The rows of `query`, or {@link QueryDeadlineError} when they don't come in time. A query that is
 * still waiting for a connection is then taken back, so that it can't run after its client was told
 * that it failed; one that is running is asked to stop.
 */
export async function inTime<T extends readonly postgres.MaybeRow[]>(
  query: postgres.PendingQuery<T>,
  deadlineMs = DEADLINE_MS,
): Promise<postgres.RowList<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new QueryDeadlineError(`no answer from PostgreSQL in ${deadlineMs} ms`));
      query.cancel();
    }, deadlineMs);
  });
  try {
    return await Promise.race([query, late]);
  } finally {
    clearTimeout(timer);
  }
}

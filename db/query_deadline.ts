import type postgres from "postgres";
import { withDeadline } from "../timing.ts";
import { STATEMENT_TIMEOUT_MS } from "./connect.ts";
import { setDeadline } from "./driver.ts";
import type { Sql } from "./sql.ts";
import { cancel } from "./pool.ts";

/** Thrown when a query had no result in time: PostgreSQL is unavailable, or the pool is full. */
export class QueryDeadlineError extends Error {
  override name = "QueryDeadlineError";
  readonly code = "QUERY_DEADLINE";
}

/**
 * How long a request waits for PostgreSQL, in ms: longer than the statement timeout, so that
 * PostgreSQL's own, clearer error comes first.
 */
export const DEADLINE_MS = STATEMENT_TIMEOUT_MS + 2_000;

/**
 * The rows of `query`, or {@link QueryDeadlineError} when they don't come in time.
 *
 * A query whose time is up before its turn in the pool never runs: nothing is stored after a failure
 * was reported. A running one is left to PostgreSQL's statement timeout, which is shorter through a
 * pooler when the query has waited: a late cancel request would hit the next statement on its
 * connection.
 */
export async function queryWithDeadline<T extends readonly postgres.MaybeRow[]>(
  sql: Sql,
  query: postgres.PendingQuery<T>,
  deadlineMs = DEADLINE_MS,
): Promise<postgres.RowList<T>> {
  // Not even begun: it would run before its timer does.
  if (deadlineMs <= 0) throw new QueryDeadlineError("the request's time was up before its turn");
  setDeadline(query, performance.now() + deadlineMs);
  return await withDeadline(query, deadlineMs, () => {
    cancel(sql, query);
    throw new QueryDeadlineError(`no answer from PostgreSQL in ${Math.round(deadlineMs)} ms`);
  });
}

/** Runs a statement whose text stays the same, with the deadline of a request. */
export function runPrepared<Row extends postgres.MaybeRow>(
  sql: Sql,
  text: string,
  parameters: readonly (string | number | null)[] = [],
  deadlineMs?: number,
): Promise<postgres.RowList<Row[]>> {
  const query = sql.unsafe<Row[]>(text, [...parameters], { prepare: true });
  return queryWithDeadline(sql, query, deadlineMs);
}

/** Makes statements as `sql` does and runs each with a deadline, that of a request by default. */
export function timed(sql: Sql, deadlineMs?: number) {
  return <T extends readonly postgres.MaybeRow[] = postgres.Row[]>(
    text: TemplateStringsArray,
    ...values: Parameters<typeof sql<T>> extends [unknown, ...infer Values] ? Values : never
  ): Promise<postgres.RowList<T>> => queryWithDeadline(sql, sql<T>(text, ...values), deadlineMs);
}

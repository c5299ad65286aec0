import { isStatementTimeout, isUnavailable } from "../db/pg_errors.ts";
import { delay } from "../timing.ts";
import { retryWithinMs } from "./lease.ts";

/** The first pause before it is tried again to store what became of a job, and the longest, in ms. */
const RETRY_MS = 300;
const MAX_RETRY_MS = 1_000;

interface Options {
  readonly leaseMs: number;
  /** Once it is aborted, nothing is tried again. */
  readonly shutdown: AbortSignal;
  /** No try begins later, by `performance.now()`. */
  readonly until?: number;
  /** Whether what took too long would take as long again; a mark on a job is always quick. */
  readonly isLong?: boolean;
}

/**
 * Stores something of a job: while PostgreSQL can't, that is tried again and again.
 * @throws what PostgreSQL says when another try is of no use or comes too late
 */
export async function untilStored<T>(
  store: () => Promise<T>,
  { leaseMs, shutdown, until = Infinity, isLong = false }: Options,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await store();
    } catch (error) {
      const retryMs = Math.min(RETRY_MS * tries, MAX_RETRY_MS, retryWithinMs(leaseMs));
      const canRetry = isUnavailable(error) && !(isLong && isStatementTimeout(error));
      if (!canRetry || shutdown.aborted || performance.now() + retryMs >= until) throw error;
      await delay(retryMs, shutdown);
    }
  }
}

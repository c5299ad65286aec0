import { isStatementTimeout, isUnavailable } from "../db/pg_errors.ts";
import { delay } from "../timing.ts";
import { retryWithinMs } from "./lease.ts";

/** The first and the longest pause before another try, in ms. */
const RETRY_MS = 300;
const MAX_RETRY_MS = 1_000;

interface Options {
  readonly leaseMs: number;
  /** Once it is aborted, there is no other try. */
  readonly shutdown: AbortSignal;
  /** No try begins later, by `performance.now()`. */
  readonly until?: number;
  /** Whether a statement that timed out would take as long again. */
  readonly isLong?: boolean;
}

/**
 * Stores the outcome of a job, with retries while PostgreSQL is unavailable.
 * @throws PostgreSQL's error when another try is useless or too late
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

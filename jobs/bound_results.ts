import type { Sql } from "../db/sql.ts";
import { deleteExcessAudits, deleteExcessKeys, deleteExcessTraces } from "../db/retention.ts";
import type { LogEvent } from "../log.ts";
import { runLoop } from "./run_loop.ts";

/** How often stored results are counted, in ms. */
const EVERY_MS = 5_000;
/** Counting keys takes longer. */
const KEYS_EVERY_MS = 60_000;
/** Requested audits; scheduled ones aren't counted. */
const MAX_AUDITS = 100;
/** Idempotency keys of an account: 2 a second, all day long. */
const MAX_KEYS = 200_000;

/**
 * Deletes the oldest results whenever there are too many, until the signal is aborted; never rejects.
 * All workers do it, which is harmless.
 *
 * @param maxTraceBytes of deep traces on the disk
 */
export async function boundStoredResults(
  sql: Sql,
  maxTraceBytes: number,
  { signal, log }: Parameters<typeof runLoop>[2],
): Promise<void> {
  const bound = (
    what: string,
    failureEvent: LogEvent,
    everyMs: number,
    deleteSome: () => Promise<number>,
  ) =>
    runLoop(failureEvent, async () => {
      let deleted = 0;
      for (let some = 1; some > 0 && !signal.aborted;) deleted += some = await deleteSome();
      if (deleted > 0) log("info", "oldest_results_deleted", { what, deleted });
      return everyMs;
    }, { signal, log });
  await Promise.all([
    bound("traces", "result_bound_failed", EVERY_MS, () => deleteExcessTraces(sql, maxTraceBytes)),
    bound("audits", "result_bound_failed", EVERY_MS, () => deleteExcessAudits(sql, MAX_AUDITS)),
    bound(
      "idempotency_keys",
      "key_bound_failed",
      KEYS_EVERY_MS,
      () => deleteExcessKeys(sql, MAX_KEYS),
    ),
  ]);
}

import type { Sql } from "../db/sql.ts";
import { deleteExcessAudits, deleteExcessKeys, deleteExcessTraces } from "../db/stored_results.ts";
import type { Log, LogEvent } from "../log.ts";
import { runLoop } from "./run_loop.ts";

/** How often stored results are counted, in ms. */
const EVERY_MS = 5_000;
/** Counting keys takes longer. */
const KEYS_EVERY_MS = 60_000;
/** Requested audits; scheduled ones aren't counted. */
const MAX_AUDITS = 100;
/** Idempotency keys of an account: 2 a second, all day long. */
const MAX_KEYS = 200_000;

interface Deps {
  readonly sql: Sql;
  /** The most bytes of deep traces on the disk. */
  readonly maxTraceBytes: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Deletes the oldest results whenever there are too many, until the signal is aborted; never rejects.
 * All workers do it, which is harmless.
 */
export async function boundStoredResults({ sql, maxTraceBytes, log, signal }: Deps): Promise<void> {
  const bound = (
    what: string,
    deleteSome: () => Promise<number>,
    everyMs: number,
    failureEvent: LogEvent,
  ) =>
    runLoop(failureEvent, async () => {
      let deleted = 0;
      for (let some = 1; some > 0 && !signal.aborted;) deleted += some = await deleteSome();
      if (deleted > 0) log("info", "oldest_results_deleted", { what, deleted });
      return everyMs;
    }, { signal, log });
  const deleteTraces = () => deleteExcessTraces(sql, maxTraceBytes);
  const deleteAudits = () => deleteExcessAudits(sql, MAX_AUDITS);
  const deleteKeys = () => deleteExcessKeys(sql, MAX_KEYS);
  await Promise.all([
    bound("traces", deleteTraces, EVERY_MS, "result_bound_failed"),
    bound("audits", deleteAudits, EVERY_MS, "result_bound_failed"),
    bound("idempotency_keys", deleteKeys, KEYS_EVERY_MS, "key_bound_failed"),
  ]);
}

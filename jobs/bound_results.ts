import type { Sql } from "../db/sql.ts";
import { deleteExcessAudits, deleteExcessKeys, deleteExcessTraces } from "../db/stored_results.ts";
import type { Log } from "../log.ts";
import { runLoop } from "./run_loop.ts";

/** How often it is looked whether stored results are too many, in ms. */
const EVERY_MS = 5_000;
/** The same for keys, which takes longer. */
const KEYS_EVERY_MS = 60_000;
/** Audits that somebody asked for; the schedule's aren't counted. */
const MAX_AUDITS = 100;
/** Idempotency keys of an account: 2 a second, all day long. */
const MAX_KEYS = 200_000;

interface Deps {
  readonly sql: Sql;
  /** What the results of deep traces may take on the disk. */
  readonly maxTraceBytes: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Deletes the oldest results whenever there are too many, until the signal is aborted; never
 * rejects. All workers do it, since it does no harm twice.
 */
export async function keepResultsBounded({ sql, maxTraceBytes, log, signal }: Deps): Promise<void> {
  const steps = {
    traces: () => deleteExcessTraces(sql, maxTraceBytes),
    audits: () => deleteExcessAudits(sql, MAX_AUDITS),
    idempotency_keys: () => deleteExcessKeys(sql, MAX_KEYS),
  };
  const bound = async (what: keyof typeof steps) => {
    let deleted = 0;
    for (let some = 1; some > 0 && !signal.aborted;) deleted += some = await steps[what]();
    if (deleted > 0) log("info", "oldest_results_deleted", { what, deleted });
  };
  const boundResults = async () => {
    await bound("traces");
    await bound("audits");
    return EVERY_MS;
  };
  const boundKeys = async () => {
    await bound("idempotency_keys");
    return KEYS_EVERY_MS;
  };
  await Promise.all([
    runLoop("result_bound_failed", boundResults, { signal, log }),
    runLoop("key_bound_failed", boundKeys, { signal, log }),
  ]);
}

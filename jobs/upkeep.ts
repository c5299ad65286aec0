import { z } from "zod";
import {
  deleteExpired,
  deleteResults,
  EXPIRING_TABLES,
  listOrphanedRuns,
  RESULT_TABLES,
  type ResultTable,
} from "../db/retention.ts";
import { defineJob } from "./define_job.ts";

/** Deletes expired rows, a batch at a time. */
export const upkeep = defineJob({
  kind: "upkeep",
  args: z.strictObject({}),
  maxAttempts: 3,
  timeoutMs: 600_000,
  concurrency: 1,
  async run(_, { sql, signal, progress, log }) {
    const deleted: Record<string, number> = {};
    const untilNone = async (table: string, deleteSome: () => Promise<number>) => {
      for (let some = 1; some > 0;) {
        signal.throwIfAborted();
        some = await deleteSome();
        deleted[table] = (deleted[table] ?? 0) + some;
        progress(deleted);
      }
    };
    for (const table of EXPIRING_TABLES) await untilNone(table, () => deleteExpired(sql, table));
    // After their owners: their results are orphans then.
    for (const table of Object.keys(RESULT_TABLES) as ResultTable[]) {
      let after: string | null = "00000000-0000-0000-0000-000000000000";
      while (after !== null) {
        const page = await listOrphanedRuns(sql, table, after);
        await untilNone(table, () => deleteResults(sql, table, page.orphans));
        after = page.last;
      }
    }
    log("info", "upkeep_finished", deleted);
  },
});

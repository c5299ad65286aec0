import { z } from "zod";
import type { Sql } from "../db/sql.ts";
import {
  deleteFound,
  deleteOldAudits,
  deleteOldCronRuns,
  deleteOldIdempotencyKeys,
  deleteOldJobs,
  deleteOldTraces,
  listOrphanedRuns,
  type Selection,
} from "../db/retention.ts";
import { defineJob, type JobContext } from "./define_job.ts";

type Work = Pick<JobContext, "sql" | "signal">;

// Owners before their results, which are orphans then.
const STEPS: Record<string, (work: Work) => Promise<number>> = {
  jobs: (work) => untilNone(work, deleteOldJobs),
  cron_runs: (work) => untilNone(work, deleteOldCronRuns),
  idempotency_keys: (work) => untilNone(work, deleteOldIdempotencyKeys),
  traces: (work) => untilNone(work, deleteOldTraces),
  audits: (work) => untilNone(work, deleteOldAudits),
  trace_chunks: (work) => deleteOrphans(work, { found: "trace_chunks", owner: "traces" }),
  audit_findings: (work) => deleteOrphans(work, { found: "audit_findings", owner: "audits" }),
};

/** Deletes expired rows, a batch at a time. */
export const upkeep = defineJob({
  kind: "upkeep",
  args: z.strictObject({}),
  maxAttempts: 3,
  timeoutMs: 600_000,
  concurrency: 1,
  async run(_, { sql, signal, progress, log }) {
    const deleted: Record<string, number> = {};
    for (const [name, step] of Object.entries(STEPS)) {
      deleted[name] = await step({ sql, signal });
      progress(deleted);
    }
    log("info", "upkeep_finished", deleted);
  },
});

async function untilNone({ sql, signal }: Work, deleteSome: (sql: Sql) => Promise<number>) {
  let all = 0;
  for (;;) {
    signal.throwIfAborted();
    const some = await deleteSome(sql);
    all += some;
    if (some === 0) return all;
  }
}

async function deleteOrphans({ sql, signal }: Work, tables: Selection): Promise<number> {
  let all = 0;
  let after: string | null = "00000000-0000-0000-0000-000000000000";
  while (after !== null) {
    signal.throwIfAborted();
    const page = await listOrphanedRuns(sql, tables, after);
    for (const run of page.orphans) {
      all += await untilNone({ sql, signal }, (sql) => deleteFound(sql, tables, run));
    }
    after = page.last;
  }
  return all;
}

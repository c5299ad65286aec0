import { z } from "zod";
import { DEEP_TRACE_KIND, findOpenTrace, finishTraceOfJob } from "../db/traces.ts";
import { inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace } from "../lineage/take_trace.ts";
import { defineJob } from "./define_job.ts";

/** Takes a trace that is too large to be answered at once. */
export const deepTrace = defineJob({
  kind: DEEP_TRACE_KIND,
  args: z.object({ traceId: z.uuid() }),
  maxAttempts: 5,
  timeoutMs: 600_000,
  concurrency: 2,
  async run({ traceId }, { sql, openSession, run, signal, progress }) {
    const trace = await findOpenTrace(sql, traceId);
    if (trace === undefined) return;
    await using session = openSession();
    const result = await inSnapshot(
      session,
      signal,
      (snapshot) => takeTrace(snapshot, trace, run, (lots, depth) => progress({ lots, depth })),
    );
    return () => finishTraceOfJob(sql, traceId, result);
  },
});

import { z } from "zod";
import { beginTrace, DEEP_TRACE_KIND, finishTraceOfJob } from "../db/traces.ts";
import { inSameSnapshot, inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";
import { defineJob } from "./define_job.ts";

const SETTINGS = {
  ...TRACE_SETTINGS,
  // The effect waits for the disk, and what was written before it is on the disk then, too.
  synchronous_commit: "off",
  // One of the two sessions is idle until the other is through.
  idle_in_transaction_session_timeout: "5min",
};

/** Takes a trace that is too large to be answered at once. */
export const deepTrace = defineJob({
  kind: DEEP_TRACE_KIND,
  args: z.object({ traceId: z.uuid() }),
  maxAttempts: 5,
  timeoutMs: 600_000,
  concurrency: 2,
  async run({ traceId }, { sql, useSession, run, signal, progress }) {
    const trace = await beginTrace(sql, traceId, run);
    if (trace === undefined) return;
    const options = { signal, settings: SETTINGS };
    const result = await useSession((session) =>
      inSnapshot(session, options, (snapshot) =>
        takeTrace(snapshot, trace, {
          run,
          onLevel: (lots, depth) => progress({ lots, depth }),
          beside: (snapshot, work) =>
            useSession((second) => inSameSnapshot(snapshot, second, options, work)),
        }))
    );
    return () => finishTraceOfJob(sql, traceId, result);
  },
});

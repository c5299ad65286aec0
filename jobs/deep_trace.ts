import { z } from "zod";
import { beginTrace, DEEP_TRACE_KIND, finishTrace } from "../db/traces.ts";
import { defineJob } from "./define_job.ts";

/** Takes a trace that is too large for an immediate response. */
export const deepTrace = defineJob({
  kind: DEEP_TRACE_KIND,
  args: z.object({ traceId: z.uuid() }),
  maxAttempts: 5,
  timeoutMs: 600_000,
  concurrency: 2,
  async run({ traceId }, { sql, onThread, attemptId, complete }) {
    const begun = await beginTrace(sql, traceId, attemptId);
    if (begun === undefined) return;
    const { trace, mark } = begun;
    const result = await onThread("takeTrace", { trace, run: attemptId }, mark);
    await complete((tx) => finishTrace(tx, traceId, result));
  },
});

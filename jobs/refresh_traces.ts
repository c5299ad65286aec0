import { z } from "zod";
import {
  boundChangedLots,
  markOutOfDate,
  MAX_CHANGED_LOTS,
  REFRESH_TRACES_KIND,
} from "../db/trace_changes.ts";
import { defineJob } from "./define_job.ts";

/** Marks traces that are out of date. Running it twice changes nothing, so it needs no effect. */
export const refreshTraces = defineJob({
  kind: REFRESH_TRACES_KIND,
  args: z.object({}),
  maxAttempts: 5,
  timeoutMs: 60_000,
  concurrency: 1,
  async run(_args, { sql }) {
    await boundChangedLots(sql, MAX_CHANGED_LOTS);
    await markOutOfDate(sql);
  },
});

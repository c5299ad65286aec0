import { z } from "zod";
import type { AuditLimits } from "../audit/kinds.ts";
import { AUDIT_JOB_KIND, finishAudit } from "../db/audits.ts";
import { defineJob } from "./define_job.ts";
import { type QuietHours, quietUntil } from "./quiet_hours.ts";

/** Audits the genealogy. A scheduled audit doesn't begin in the quiet hours. */
export const auditGenealogy = (limits: AuditLimits, quietHours: readonly QuietHours[] = []) =>
  defineJob({
    kind: AUDIT_JOB_KIND,
    args: z.object({ auditId: z.uuid() }),
    maxAttempts: 3,
    timeoutMs: 3_600_000,
    concurrency: 1,
    quietUntil: (now) => quietUntil(quietHours, now),
    async run({ auditId }, { onThread, attemptId, log, complete }) {
      const result = await onThread("audit", { attemptId, limits });
      const { lots, links, findings } = result.summary;
      const found = findings.reduce((sum, { found }) => sum + found, 0);
      log("info", "audit_finished", { audit: auditId, lots, links, found });
      await complete((tx) => finishAudit(tx, auditId, result));
    },
  });

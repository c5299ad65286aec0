import type { z } from "zod";
import { ok } from "node:assert/strict";
import type { components } from "../contract/types.gen.ts";
import type { Audit, Finding } from "../routes/audit_shapes.ts";
import type { AuditInput } from "../routes/create_audit.ts";
import type { LotInput } from "../routes/create_lot.ts";
import type { QcDecision, QcDecisionInput } from "../routes/create_qc_decision.ts";
import type { DeepTrace, DeepTraceInput } from "../routes/deep_trace_shapes.ts";
import type { AuditWithFindings } from "../routes/get_audit.ts";
import type { Health } from "../routes/get_health.ts";
import type { SigningKeySet } from "../routes/get_signing_keys.ts";
import type { Trace } from "../routes/get_traceability.ts";
import type { AuditPage } from "../routes/list_audits.ts";
import type { Credentials, Session, User } from "../routes/login.ts";
import type { Liveness, Readiness } from "../routes/probes.ts";
import type { ErrorResponse } from "../routes/responses.ts";
import type { Lot } from "../routes/schemas.ts";

type Contract = components["schemas"];

/** True when each type is assignable to the other, with the same fields, optional ones included. */
type Same<A, B> = [A, B, Names<A>, Names<B>] extends [B, A, Names<B>, Names<A>] ? true : false;
type Names<T> = keyof T & string;

// `deno check` fails on a line whose two types differ. Types of requests (input) and responses
// (output) are compared with the types generated from openapi.yaml.
const SAME: [
  Same<z.input<typeof LotInput>, Contract["LotInput"]>,
  Same<z.input<typeof QcDecisionInput>, Contract["QcDecisionInput"]>,
  Same<z.input<typeof Credentials>, Contract["Credentials"]>,
  Same<z.output<typeof Lot>, Contract["Lot"]>,
  Same<z.output<typeof Trace>, Contract["Trace"]>,
  Same<z.input<typeof DeepTraceInput>, Contract["DeepTraceInput"]>,
  Same<z.output<typeof DeepTrace>, Contract["DeepTrace"]>,
  Same<z.output<typeof QcDecision>, Contract["QcDecision"]>,
  Same<z.output<typeof User>, Contract["User"]>,
  Same<z.output<typeof Session>, Contract["Session"]>,
  Same<z.output<typeof Health>, Contract["Health"]>,
  Same<z.input<typeof AuditInput>, Contract["AuditInput"]>,
  Same<z.output<typeof Audit>, Contract["Audit"]>,
  Same<z.output<typeof AuditPage>, Contract["AuditPage"]>,
  Same<z.output<typeof AuditWithFindings>, Contract["AuditWithFindings"]>,
  Same<z.output<typeof Finding>, Contract["AuditFinding"]>,
  Same<z.output<typeof SigningKeySet>, Contract["SigningKeySet"]>,
  Same<z.output<typeof Liveness>, Contract["Liveness"]>,
  Same<z.output<typeof Readiness>, Contract["Readiness"]>,
  Same<z.input<typeof ErrorResponse>, Contract["ErrorResponse"]>,
] = [
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
];

// The comparison itself: it must distinguish similar types.
const DIFFERENT: [
  Same<{ a?: string }, { a?: string; b?: string }>,
  Same<{ a: string }, { a?: string }>,
  Same<{ a: string | null }, { a: string }>,
  Same<{ a: "x" }, { a: "x" | "y" }>,
] = [false, false, false, false];

Deno.test("the routes' schemas and the types generated from openapi.yaml are the same types", () => {
  ok(SAME.every((same) => same) && !DIFFERENT.some((same) => same));
});

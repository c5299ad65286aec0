import type { components, operations } from "../contract/types.gen.ts";

type Schemas = components["schemas"];

/*
 * The contract's types by name. Kilograms and °C come as text, with their scale; give them as text,
 * too, and no digit is lost.
 */

export type Health = Schemas["Health"];
export type LoginSession = Schemas["Session"];
export type User = Schemas["User"];
export type Lot = Schemas["Lot"];
export type LotInput = Schemas["LotInput"];
export type Trace = Schemas["Trace"];
export type QcDecision = Schemas["QcDecision"];
export type QcDecisionInput = Schemas["QcDecisionInput"];
export type DeepTrace = Schemas["DeepTrace"];
export type DeepTraceInput = Schemas["DeepTraceInput"];
export type DeepTraceLot = Schemas["DeepTraceLot"];
export type DeepTraceLink = Schemas["DeepTraceLink"];
export type DeepTraceResult = NonNullable<DeepTrace["result"]>;
export type Audit = Schemas["Audit"];
export type AuditPage = Schemas["AuditPage"];
export type AuditWithFindings = Schemas["AuditWithFindings"];
export type AuditFinding = Schemas["AuditFinding"];

/** A deep trace that is done, with a page of its result. */
export type FinishedDeepTrace = DeepTrace & { readonly result: DeepTraceResult };

/** Which part of a list. */
export type DeepTraceQuery = QueryOf<"getDeepTrace">;
export type AuditsQuery = QueryOf<"listAudits">;
export type FindingsQuery = QueryOf<"getAudit">;

type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]["parameters"]["query"]>;

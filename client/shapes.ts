import type { DeepTrace, DeepTraceResult, operations } from "../contract/types.gen.ts";

/* The contract's types, and what methods of the client take and give besides. */

export type * from "../contract/types.gen.ts";

/** A deep trace that is done, with a page of its result. */
export type FinishedDeepTrace = DeepTrace & { readonly result: DeepTraceResult };

/** Which part of a deep trace's result. */
export interface DeepTraceQuery extends QueryOf<"getDeepTrace"> {}
/** Which part of the audits. */
export interface AuditsQuery extends QueryOf<"listAudits"> {}
/** Which part of an audit's findings. */
export interface FindingsQuery extends QueryOf<"getAudit"> {}

type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]["parameters"]["query"]>;

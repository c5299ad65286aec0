import type { operations } from "../../contract/types.gen.ts";

/** An operation of the contract, by its id. */
export type Operation = keyof operations;

/** One operation of the contract: how it is asked for. */
interface OperationPath {
  readonly operation: Operation;
  readonly method: "GET" | "POST";
  /** The path as the contract writes it, such as `/api/traceability/{lotCode}`. */
  readonly path: string;
}

/**
 * The five operations of the old server. Only these can be compared; what the contract has beyond
 * them is answered by the old server with 404.
 */
export const OLD_OPERATIONS = [
  "getHealth",
  "login",
  "getTraceability",
  "createLot",
  "createQcDecision",
] as const satisfies readonly Operation[];

/** One of {@link OLD_OPERATIONS}. */
export type OldOperation = typeof OLD_OPERATIONS[number];

/** Whether the old server knows this operation. */
export function isOldOperation(operation: Operation): operation is OldOperation {
  return (OLD_OPERATIONS as readonly Operation[]).includes(operation);
}

/**
 * Whether the old server answers this without any effect, so that it may be asked again: its login
 * writes nothing.
 */
export function isHarmless(operation: OldOperation): boolean {
  return operation !== "createLot" && operation !== "createQcDecision";
}

/** Every operation of the contract. A test holds this list against openapi.yaml. */
export const OPERATIONS: readonly OperationPath[] = [
  { operation: "getHealth", method: "GET", path: "/api/health" },
  { operation: "login", method: "POST", path: "/api/login" },
  { operation: "logout", method: "POST", path: "/api/logout" },
  { operation: "getTraceability", method: "GET", path: "/api/traceability/{lotCode}" },
  { operation: "createLot", method: "POST", path: "/api/lots" },
  { operation: "createQcDecision", method: "POST", path: "/api/qc-decisions" },
  { operation: "createDeepTrace", method: "POST", path: "/api/traces" },
  { operation: "getDeepTrace", method: "GET", path: "/api/traces/{id}" },
  { operation: "createAudit", method: "POST", path: "/api/audits" },
  { operation: "listAudits", method: "GET", path: "/api/audits" },
  { operation: "getAudit", method: "GET", path: "/api/audits/{id}" },
  { operation: "getSigningKeys", method: "GET", path: "/.well-known/jwks.json" },
  { operation: "getLiveness", method: "GET", path: "/livez" },
  { operation: "getReadiness", method: "GET", path: "/readyz" },
  { operation: "getMetrics", method: "GET", path: "/metrics" },
];

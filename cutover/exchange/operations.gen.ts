// Made from contract/legacy.yaml and openapi.yaml by
// `deno run -A cutover/testing/generate_operations.ts`; edit those, not this one.

/** The operations of the old server. */
export const LEGACY = [
  { operation: "getHealth", method: "GET", path: "/api/health" },
  { operation: "login", method: "POST", path: "/api/login" },
  { operation: "getTraceability", method: "GET", path: "/api/traceability/{lotCode}" },
  { operation: "createLot", method: "POST", path: "/api/lots" },
  { operation: "createQcDecision", method: "POST", path: "/api/qc-decisions" },
] as const;

/** The operations of Lotline, including those of the old server. */
export const ALL = [
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
] as const;

/** The roles of the table `users`. */
export const ROLES = ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"] as const;

export type Role = typeof ROLES[number];

/** Who may use an operation: everyone, every valid token, or accounts with one of these roles. */
export type Access = "open" | "any token" | readonly Role[];

/**
 * The one table of who may do what in `AUTH_MODE=required`, by operation id. The guard applies it,
 * `openapi.yaml` must agree (the drift test compares them), and `docs/security.md` shows it. An
 * operation without an entry can't be registered.
 */
export const ACCESS = {
  getHealth: "open",
  login: "open",
  logout: "any token",
  getTraceability: ROLES,
  createLot: ["ADMIN", "MANAGER", "OPERATOR"],
  createQcDecision: ["ADMIN", "MANAGER", "OPERATOR", "AUDITOR"],
  createDeepTrace: ROLES,
  getDeepTrace: ROLES,
  createAudit: ["ADMIN", "MANAGER", "AUDITOR"],
  listAudits: ["ADMIN", "MANAGER", "AUDITOR"],
  getAudit: ["ADMIN", "MANAGER", "AUDITOR"],
  getSigningKeys: "open",
  getLiveness: "open",
  getReadiness: "open",
  getMetrics: ["ADMIN", "MANAGER"],
  documents: "open",
} as const satisfies Record<string, Access>;

export type OperationId = keyof typeof ACCESS;

export function isOperationId(text: string): text is OperationId {
  return Object.hasOwn(ACCESS, text);
}

/** Roles that may write under another person's id. */
export const MAY_WRITE_FOR_OTHERS: readonly Role[] = ["ADMIN", "MANAGER"];

/**
 * The access to an operation in the form of the contract: one of the requirements suffices. `{}`
 * stands for `AUTH_MODE=legacy`, where every operation is open. Roles are an extension: OpenAPI 3.1
 * allows them in a bearer requirement, but OpenAPI 3.0 and linters refuse them there.
 */
export function accessInContract(operation: OperationId): {
  readonly security: Record<string, string[]>[];
  readonly "x-roles"?: readonly Role[];
} {
  const access: Access = ACCESS[operation];
  if (access === "open") return { security: [] };
  return {
    security: [{}, { bearerAuth: [] }],
    ...(access !== "any token" && { "x-roles": access }),
  };
}

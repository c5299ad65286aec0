/** The roles that an account can have, as the table `users` knows them. */
export const ROLES = ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"] as const;

/** The role of an account. */
export type Role = typeof ROLES[number];

/** Who is let in: everyone, everyone with a valid token, or the accounts with one of these roles. */
export type Access = "open" | "any token" | readonly Role[];

/**
 * The one table of who may do what in `AUTH_MODE=required`, by operation id. The guard goes by it,
 * `openapi.yaml` must say the same (the drift test holds the two together), and
 * `docs/security.md` shows it. An operation that isn't here can't be registered.
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
  /** The contract and the page to browse it. */
  documents: "open",
} as const satisfies Record<string, Access>;

/** The name of an operation, as the contract, the metrics and the log have it. */
export type OperationId = keyof typeof ACCESS;

/** Whether this text names an operation. */
export function isOperationId(text: string): text is OperationId {
  return Object.hasOwn(ACCESS, text);
}

/** Who may use an operation. */
export function accessTo(operation: OperationId): Access {
  return ACCESS[operation];
}

/** Roles that may write in another person's name. */
export const MAY_WRITE_FOR_OTHERS: readonly Role[] = ["ADMIN", "MANAGER"];

/** One way to be let in: the name of a security scheme with the roles that it asks for. */
type SecurityRequirement = Record<string, string[]>;

/**
 * Who may use an operation, as its contract says it: any one of the requirements is enough. `{}`
 * stands for `AUTH_MODE=legacy`, in which everything is open. Roles in a requirement of a bearer
 * token: OpenAPI 3.1, https://spec.openapis.org/oas/v3.1.0#security-requirement-object
 */
export function securityOf(operation: OperationId): SecurityRequirement[] {
  const access = accessTo(operation);
  if (access === "open") return [];
  const roles = access === "any token" ? [[]] : access.map((role) => [role]);
  const scraper = operation === "getMetrics" ? [{ metricsToken: [] }] : [];
  return [{}, ...scraper, ...roles.map((role) => ({ bearerAuth: role }))];
}

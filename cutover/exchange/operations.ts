import { ALL, LEGACY } from "./operations.gen.ts";

export const OPERATIONS = ALL;

/** An operation of the contract, by its id. */
export type Operation = typeof OPERATIONS[number]["operation"];

export type LegacyOperation = typeof LEGACY[number]["operation"];

/** The operations of the old server. Only these can be compared. */
export const LEGACY_OPERATIONS: readonly LegacyOperation[] = LEGACY.map(({ operation }) =>
  operation
);

/** The same as a literal of PostgreSQL's `text[]`. */
export const OLD_OPERATIONS_ARRAY = `{${LEGACY_OPERATIONS.join(",")}}`;

export function operationById(id: unknown): Operation | undefined {
  return OPERATIONS.find(({ operation }) => operation === id)?.operation;
}

const OLD: ReadonlySet<Operation> = new Set<Operation>(LEGACY_OPERATIONS);

export function isLegacyOperation(operation: Operation): operation is LegacyOperation {
  return OLD.has(operation);
}

const SAFE: ReadonlySet<Operation> = new Set<Operation>([
  ...LEGACY.filter(({ method }) => method === "GET").map(({ operation }) => operation),
  // A POST, but the old server's login only reads an account.
  "login",
]);

/** Whether the old server executes this without any effect, so that it may be sent twice. */
export function isSafeOperation(operation: LegacyOperation): boolean {
  return SAFE.has(operation);
}

import postgres from "postgres";
import { isFatal, kindOf } from "./problems.ts";

/*
 * What is concluded from the code of an error: of PostgreSQL
 * (https://www.postgresql.org/docs/17/errcodes-appendix.html), postgres.js or the operating system.
 */

/** The code of postgres.js and of our pool for a statement after the end of the pool. */
const ENDED = "CONNECTION_ENDED";

/** Errors and their causes are followed so far. */
const MAX_DEPTH = 10;

/**
 * Whether the database is unavailable, too slow or set up wrongly: 53 resources, 57 shutdown or
 * statement timeout, 55P03 lock timeout, 40 deadlock or serialization, no connection, or a problem of
 * `problems.ts`, such as a refused login.
 */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  return kindOf(error) !== undefined || /^(53|57|40)/.test(code) || ["55P03", ENDED].includes(code);
}

/**
 * Whether the database couldn't do what it can at other times, so that the same statement may succeed
 * later. The first known code decides, from the error inwards through its causes.
 */
export function isOutage(error: unknown): boolean {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < MAX_DEPTH; depth++) {
    const code = codeOf(at);
    if (/^(?!EPIPE)[0-9A-Z]{5}$/.test(code)) return isFatal(at) || isOutageState(code);
    if (kindOf(at) !== undefined || code === ENDED) return true;
    // Each address of a host has an error of its own.
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return false;
}

/**
 * Class 08, a connection; class 28 and 3D000, a refused login; class 53, resources, except 53200 and
 * 53400, which the statement itself may cause (memory, a limit that was set for it); 57P01 to 57P05,
 * shutdown or startup; 25006, read-only; 40001 and 40P01, other transactions. Never 57014: the
 * statement would take as long again.
 */
function isOutageState(sqlState: string): boolean {
  return /^(?:(?:08|28)...|3D000|53(?!200|400)...|57P0[1-5]|25006|40001|40P01)$/.test(sqlState);
}

/**
 * Whether nothing of the statement was stored, while parts of it may be storable: a wrong value or
 * row, a deadlock, a lock. After a lost connection nothing is known.
 */
export function wasRolledBack(error: unknown): boolean {
  return /^(?:2[23]|40)[0-9A-Z]{3}$|^55P03$/.test(codeOf(error));
}

/**
 * Whether the server no longer serves, so that another one may have taken over: 25006, read-only; 57P01
 * to 57P05, it stops, starts, lost the database or ends the connection.
 */
export function isWrongServer(error: unknown): boolean {
  return /^(?:25006|57P0[1-5])$/.test(codeOf(error));
}

/** Whether PostgreSQL stopped a statement that took too long. */
export function isStatementTimeout(error: unknown): boolean {
  return codeOf(error) === "57014";
}

/** Whether PostgreSQL stopped waiting for a lock. */
export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === "55P03";
}

/** Whether PostgreSQL ended a transaction that waited for another one, which waited for it. */
export function isDeadlock(error: unknown): boolean {
  return codeOf(error) === "40P01";
}

/**
 * Whether a table was changed after a session had prepared a statement of a transaction. postgres.js
 * then sends that statement again, so that the one behind it fails first: 25P02, the transaction has
 * failed already.
 */
export function isStaleStatement(error: unknown): boolean {
  return ["0A000", "25P02"].includes(codeOf(error));
}

/** Whether a prepared statement is missing, or a table was changed after it was prepared. */
export function isForgottenStatement(error: unknown): boolean {
  return ["26000", "0A000"].includes(codeOf(error));
}

/** Whether a connection goes through another pooler than it seemed. */
export function isOtherPooler(error: unknown): boolean {
  return codeOf(error) === "26000" || kindOf(error) === "pooler_parameter";
}

/**
 * Whether a value can't be stored: 22 data exceptions, 23502 not null, 23514 check, 54000 longer than
 * an index entry can be.
 */
export function isRefusedValue(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith("22") || ["23502", "23514", "54000"].includes(code);
}

/** Whether a row can never be stored as it is: data exceptions and violated constraints. */
export function isRefusedRow(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error));
}

/** Whether the user lacks a right. */
export function isMissingRight(error: unknown): boolean {
  return codeOf(error) === "42501";
}

/** Whether a table or its schema is missing. */
export function isMissingTable(error: unknown): boolean {
  return ["42P01", "3F000"].includes(codeOf(error));
}

/**
 * Whether a statement names what the database doesn't have, such as a column or a function. A database
 * that lacks a migration is one cause, a fault of this code another.
 */
export function isMissingObject(error: unknown): boolean {
  return ["42703", "42704", "42883", "42P10"].includes(codeOf(error));
}

/** The name of the constraint that a statement violated. */
export function constraintOf(error: unknown): string | undefined {
  return error instanceof postgres.PostgresError ? error.constraint_name : undefined;
}

/** Whether an error is PostgreSQL's response to the statement; a fatal one ends its connection. */
export function isResponse(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError && !isFatal(error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

import { isLostConnection } from "../errors.ts";

// The codes are from https://www.postgresql.org/docs/17/errcodes-appendix.html.

/** Errors and their causes are followed so far. */
const MAX_DEPTH = 10;

/**
 * Whether an error says that the database couldn't do just now what it can at other times: its disk
 * or its connections are used up, it is shut down, read-only or out of reach, or another transaction
 * was in the way. The statement is not to blame, and the same one may succeed later.
 *
 * The first code that is known decides, from the error inwards through its causes.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < MAX_DEPTH; depth++) {
    const code = "code" in at ? String(at.code) : "";
    if (isLostConnection(code)) return true;
    if (/^[0-9A-Z]{5}$/.test(code)) return isStateOfDatabase(code);
    // Of several addresses of a host each has its error.
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return false;
}

/**
 * Class 08, a connection; class 53, resources, but for 53200 and 53400, which may be the statement's
 * own doing: memory, and a limit that was set for it; 57P01 to 57P05, PostgreSQL is shut down or not
 * there yet; 25006, read-only; 40001 and 40P01, other transactions. Never 57014: a statement that was
 * given up for its time would take as long again.
 */
function isStateOfDatabase(sqlState: string): boolean {
  return /^(?:08...|53(?!200|400)...|57P0[1-5]|25006|40001|40P01)$/.test(sqlState);
}

// The codes are from https://www.postgresql.org/docs/17/errcodes-appendix.html.

/**
 * Whether an error says that nothing of the statement was stored and that parts of it may be: a value
 * or a row that isn't right, a deadlock, a lock. Of a lost connection nothing is known.
 */
export function wasRolledBack(error: unknown): boolean {
  return /^(?:2[23]|40)[0-9A-Z]{3}$|^55P03$/.test(codeOf(error));
}

/** Whether PostgreSQL gave a statement up since it took too long. */
export function isStatementTimeout(error: unknown): boolean {
  return codeOf(error) === "57014";
}

/**
 * Whether a table was changed after a session had prepared a statement of a transaction. postgres.js
 * sends that anew then, which is why the one behind it is the first to fail: 25P02, the transaction
 * has failed already.
 */
export function isOutOfDate(error: unknown): boolean {
  return /^(0A000|25P02)$/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Whether an error says that nothing of the statement was stored and that parts of it may be: a value
 * or a row that isn't right, a deadlock, a lock or the statement's time
 * (https://www.postgresql.org/docs/17/errcodes-appendix.html). Of a lost connection nothing is known.
 */
export function isUndone(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^(?:2[23]|40)[0-9A-Z]{3}$|^55P03$|^57014$/.test(error.code);
}

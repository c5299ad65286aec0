/** How deep lists and objects of a request may be nested; the body itself is level one. */
export const JSON_DEPTH_LIMIT = 32;

/** Why a JSON document can't be stored as it stands, and where in it. */
export interface JsonFault {
  /** The keys and positions that lead there; none for the document itself. */
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * Whether lists and objects in `value` are nested deeper than {@link JSON_DEPTH_LIMIT}. Goes level
 * by level, so that a hostile document can't overflow the stack as a recursive walk would.
 */
export function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    const deeper: unknown[] = [];
    for (const item of level) {
      if (typeof item !== "object" || item === null) continue;
      if (depth >= JSON_DEPTH_LIMIT) return true;
      for (const child of Object.values(item)) deeper.push(child);
    }
    level = deeper;
  }
  return false;
}

/**
 * The first thing in a JSON document that PostgreSQL can't store or that would be stored as
 * something else: NUL, half a surrogate pair, a number beyond the largest double (which JSON.parse
 * makes Infinity and JSON.stringify null). The document must not be too deep ({@link isTooDeep}).
 */
export function unstorable(value: unknown, path: readonly string[] = []): JsonFault | undefined {
  if (typeof value === "string") return unstorableText(value, path);
  if (typeof value === "number") {
    return Number.isFinite(value) ? undefined : { path, message: "is too large a number" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, child] of Object.entries(value)) {
    const fault = unstorableText(key, path) ?? unstorable(child, [...path, key]);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function unstorableText(text: string, path: readonly string[]): JsonFault | undefined {
  if (text.includes("\0")) return { path, message: "holds a NUL character" };
  if (!text.isWellFormed()) return { path, message: "holds half of a surrogate pair" };
  return undefined;
}

/** Why a JSON document can't be stored unchanged, and where. */
export interface JsonFault {
  /** Keys and list positions; empty for the document itself. */
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * The first value that PostgreSQL can't store, or would store as another: NUL, half a surrogate
 * pair, a number beyond the largest double (which JSON.parse makes Infinity and JSON.stringify
 * null). The document must not be too deep (`contract/json_depth.ts`).
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

/** A text of at most `max` UTF-16 units that text and jsonb take, whatever `text` holds. */
export function storable(text: string, max: number): string {
  const cut = text.length <= max ? text : `${text.slice(0, max - 1)}…`;
  return cut.replaceAll("\0", "\ufffd").toWellFormed();
}

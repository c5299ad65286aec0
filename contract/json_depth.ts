/** The deepest nesting of lists and objects in a request; the body is level one. */
export const JSON_DEPTH_LIMIT = 32;

/**
 * Whether `value` is nested deeper than {@link JSON_DEPTH_LIMIT}. It works level by level: a
 * recursive walk of a hostile document could overflow the stack.
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

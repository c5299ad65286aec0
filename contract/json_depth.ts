/** How deep lists and objects of a request may be nested; the body itself is level one. */
export const JSON_DEPTH_LIMIT = 32;

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

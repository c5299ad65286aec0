/**
 * A list as PostgreSQL reads `text[]` (https://www.postgresql.org/docs/17/arrays.html#ARRAYS-IO).
 * `null` stays null; a text that says so stays a text.
 */
export function textArray(items: readonly (string | null)[]): string {
  const written = items.map((item) =>
    item === null ? "null" : `"${item.replaceAll(/["\\]/g, "\\$&")}"`
  );
  return `{${written}}`;
}

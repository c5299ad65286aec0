import { parseAccept } from "hono/utils/accept";

/** The ranges of `Accept` that name a type, the most exact one first (RFC 9110, 12.5.1). */
const HTML = ["text/html", "text/*", "*/*"];
const JSON_TYPE = ["application/json", "application/*", "*/*"];

/**
 * Whether a client wants a page rather than JSON. A browser names HTML; a program names JSON, any
 * type, or nothing.
 */
export function prefersHtml(accept: string | null): boolean {
  if (accept === null) return false;
  const accepted = parseAccept(accept);
  const quality = (ranges: readonly string[]): number => {
    for (const range of ranges) {
      const found = accepted.find(({ type }) => type.toLowerCase() === range);
      if (found !== undefined) return found.q;
    }
    return 0;
  };
  return quality(HTML) > quality(JSON_TYPE);
}

import { RESPONSE_HEADERS } from "../../contract/response_headers.ts";

/** The response headers that clients rely on; the others depend on the server software. */
export const COMPARED_HEADERS: readonly string[] = [
  "content-type",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-max-age",
  "access-control-expose-headers",
  "access-control-allow-credentials",
  "vary",
  "allow",
  "location",
  "cache-control",
  "www-authenticate",
  "retry-after",
];

/**
 * Names that don't count in a list of names. Contents are compared without their codings. Lotline
 * exposes its headers to scripts of other sites; the old server exposed none.
 */
const IGNORED_NAMES: ReadonlyMap<string, readonly string[]> = new Map([
  ["vary", ["accept-encoding"]],
  ["access-control-expose-headers", RESPONSE_HEADERS.map((name) => name.toLowerCase())],
]);

/** A header's value for comparing. A list of names has neither order nor case. */
export function comparedValue(name: string, value: string | undefined): string | undefined {
  const ignored = IGNORED_NAMES.get(name);
  if (ignored === undefined || value === undefined) return value;
  const listed = new Set(
    value.toLowerCase().split(",").map((one) => one.trim()).filter((one) => one !== ""),
  );
  if (listed.has("*")) return "*";
  for (const one of ignored) listed.delete(one);
  return listed.size === 0 ? undefined : [...listed].sort().join(", ");
}

/** Whether this is a weak ETag, as all of the old server's are. */
export function isWeakEtag(value: string | undefined): boolean {
  return value !== undefined && /^W\/"[^"]+"$/.test(value);
}

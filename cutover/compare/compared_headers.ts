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
 * A header's value for comparing. The list in `Vary` has neither order nor case. `Accept-Encoding` is
 * left out, since contents are compared without their codings.
 */
export function comparedValue(name: string, value: string | undefined): string | undefined {
  if (name !== "vary" || value === undefined) return value;
  const listed = new Set(
    value.toLowerCase().split(",").map((one) => one.trim()).filter((one) => one !== ""),
  );
  if (listed.has("*")) return "*";
  listed.delete("accept-encoding");
  return listed.size === 0 ? undefined : [...listed].sort().join(", ");
}

/** Whether this is a weak ETag, as all of the old server's are. */
export function isWeakEtag(value: string | undefined): boolean {
  return value !== undefined && /^W\/"[^"]+"$/.test(value);
}

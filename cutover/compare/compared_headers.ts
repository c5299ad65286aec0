/** The headers of an answer that clients rely on; the others depend on what the server runs on. */
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
 * A header's value as it is compared. What a Vary lists has neither order nor case, and whether an
 * answer is compressed is the client's choice and the server's: the content is compared without it.
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

/** Whether this is an ETag that clients may compare weakly, as all of the old server's are. */
export function isWeakEtag(value: string | undefined): boolean {
  return value !== undefined && /^W\/"[^"]+"$/.test(value);
}

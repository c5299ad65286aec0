/** The headers of an answer that clients rely on; the others depend on what the server runs on. */
export const KEPT_HEADERS: readonly string[] = [
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

/** Whether this is an ETag that clients may compare weakly, as all of the old server's are. */
export function isWeakEtag(value: string | undefined): boolean {
  return value !== undefined && /^W\/"[^"]+"$/.test(value);
}

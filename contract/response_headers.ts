/** The response headers that the contract names. Scripts of other sites may read them. */
export const RESPONSE_HEADERS: readonly string[] = [
  "Allow",
  "ETag",
  "Idempotency-Replayed",
  "Location",
  "Retry-After",
  "WWW-Authenticate",
  "X-Request-Id",
];

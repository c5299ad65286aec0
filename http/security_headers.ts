/** For answers that are data: a browser that is made to show one runs and loads nothing of it. */
const POLICY_OF_DATA = "default-src 'none'; frame-ancestors 'none'";
/** A year: what https://hstspreload.org asks for. */
const ONE_YEAR_OF_TLS = "max-age=31536000";

/**
 * Puts on an answer what keeps browsers from guessing its type, framing it and telling others its
 * address (OWASP REST Security Cheat Sheet). A page with a content policy of its own keeps it.
 *
 * @param secure whether the client came over TLS; a plain one would ignore the promise of TLS, and
 *   a plant without TLS must not be locked out of its own host name
 */
export function setSecurityHeaders(headers: Headers, secure: boolean): void {
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  if (!headers.has("content-security-policy")) {
    headers.set("content-security-policy", POLICY_OF_DATA);
  }
  if (secure) headers.set("strict-transport-security", ONE_YEAR_OF_TLS);
}

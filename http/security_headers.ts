/** For data: a browser that displays it runs and loads nothing. */
const POLICY_OF_DATA = "default-src 'none'; frame-ancestors 'none'";
/** One year, as https://hstspreload.org requires. */
const ONE_YEAR_OF_TLS = "max-age=31536000";

/**
 * Sets headers that stop browsers from guessing the type, framing the response and leaking its URL
 * (OWASP REST Security Cheat Sheet). A page keeps its own content policy.
 *
 * @param secure whether the client used TLS. Browsers ignore HSTS without TLS, and a plant without
 * TLS must stay reachable under its host name
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

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { setSecurityHeaders } from "./security_headers.ts";

const PLAIN = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

function headersOf(secure: boolean, before: HeadersInit = {}) {
  const headers = new Headers(before);
  setSecurityHeaders(headers, secure);
  return Object.fromEntries(headers);
}

Deno.test("a response can't be framed, sniffed or run, and sends no referrer", () => {
  deepStrictEqual(headersOf(false), PLAIN);
});

Deno.test("only a client over TLS gets the header that requires TLS", () => {
  deepStrictEqual(headersOf(true), { ...PLAIN, "strict-transport-security": "max-age=31536000" });
});

Deno.test("a page's own content policy stays", () => {
  const own = headersOf(false, { "content-security-policy": "default-src 'self'" });
  strictEqual(own["content-security-policy"], "default-src 'self'");
});

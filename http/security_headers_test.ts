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

Deno.test("an answer can't be framed, guessed at, run, or tell where it was asked for", () => {
  deepStrictEqual(headersOf(false), PLAIN);
});

Deno.test("only who came over TLS is told to come back over TLS", () => {
  deepStrictEqual(headersOf(true), { ...PLAIN, "strict-transport-security": "max-age=31536000" });
});

Deno.test("a page's own content policy stays", () => {
  const own = headersOf(false, { "content-security-policy": "default-src 'self'" });
  strictEqual(own["content-security-policy"], "default-src 'self'");
});

import { ok } from "node:assert/strict";
import { UUID_PATTERN } from "../contract/request_values.ts";
import { isVulnerable, testForeignBytes } from "./foreign_bytes_checks.ts";

/* Whatever meets bytes of a client or of an upstream is linear, and stands in docs/foreign-bytes.md. */

// Not measured: recheck would take ten times as long, and reaches no other code.

await testForeignBytes({
  isOurs: (file) => !file.startsWith("cutover/"),
  putTogether: {
    "cache/valkey.ts": [/^(?:ERR Error running script .{0,500}? -)?(READONLY|LOADING|OOM|BUSY)\b/s],
    "contract/moments.ts": [
      /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?$/,
    ],
    "contract/request_values.ts": [
      UUID_PATTERN,
      /^[\t-\r ]*[+-]?(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|0[xX](?:_?[0-9A-Fa-f])+)[\t-\r ]*$/,
      /^1[eE][+-]?(?:0_?)*[0-9](?:_?[0-9]){0,3}$/,
    ],
    "http/paths.ts": [/^\/api\/traceability\/([^/]+)\/?$/i],
  },
  beyondRecheck: [
    String.raw`(?<=:)\w+`,
  ],
});

Deno.test("recheck finds the expressions that were here before", () => {
  const before = [/^bearer +(.*?) *$/i, /\s*,\s*/, /\bat .*\.m?[jt]s/, / \(.*\)$/, /\/+$/];
  for (const pattern of before) ok(isVulnerable(pattern), String(pattern));
});

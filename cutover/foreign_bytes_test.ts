import { testForeignBytes } from "../contract-tests/foreign_bytes_checks.ts";
import { PSEUDONYM_FORM } from "./redact/pseudonyms.ts";

/*
 * Every reader of client or upstream bytes at the gateway is linear, and is listed in
 * docs/foreign-bytes.md.
 */

// Not measured: recheck would take ten times as long, and reaches no other code.

await testForeignBytes({
  isOurs: (file) => file.startsWith("cutover/"),
  putTogether: {
    "cutover/compare/conditions.ts": [
      /^null value in column .* violates not-null constraint/,
      /violates check constraint/,
      /out of range/,
      /^time zone .* not recognized/,
    ],
    "cutover/shadow/confirm.ts": [/^Connection terminated|^connect E[A-Z]+ |^read ECONNRESET/],
    "cutover/parity/recorded_pair.ts": [/^[0-9a-f]{8}-[0-9a-f]{4}$/],
    "cutover/redact/pseudonyms.ts": [
      new RegExp(`\\b${PSEUDONYM_FORM}\\b`),
      new RegExp(`^${PSEUDONYM_FORM}$`),
    ],
  },
  beyondRecheck: [
    String.raw`\[\d*\]|\.\d+(?=\.|$)`,
    String.raw`(?!\n)[\p{C}\u2028\u2029]`,
    String.raw`^(\s*)(\d+)([.)])(?=\s|$)`,
    String.raw`(https?|ftp)(?=:)|www(?=\.)`,
  ],
});

import { testForeignBytes } from "../contract-tests/foreign_bytes_checks.ts";
import { PSEUDONYM_FORM } from "./redact/pseudonym_form.ts";

/*
 * Every reader of client or upstream bytes at the gateway is linear, and is listed in
 * docs/foreign-bytes.md.
 */

await testForeignBytes({
  isOurs: (file) => file.startsWith("cutover/"),
  putTogether: {
    "cutover/compare/conditions.ts": [
      /^null value in column .* violates not-null constraint/,
      /violates check constraint/,
      /out of range/,
      /^time zone .* not recognized/,
    ],
    "cutover/shadow/no_response.ts": [/^Connection terminated|^connect E[A-Z]+ |^read ECONNRESET/],
    "cutover/redact/pseudonyms.ts": [new RegExp(`^${PSEUDONYM_FORM}$`)],
    "cutover/parity/recorded_pair.ts": [/^[0-9a-f]{8}-[0-9a-f]{4}$/],
    "cutover/redact/pseudonym_form.ts": [new RegExp(`\\b${PSEUDONYM_FORM}\\b`)],
  },
  beyondRecheck: [
    String.raw`\[\d*\]|\.\d+(?=\.|$)`,
    String.raw`\b(Bearer|Basic|Digest|Negotiate)([ \t]+)([\w.~+/=-]{6,})`,
    String
      .raw`^[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}[\p{L}\p{N}-]*|^localhost(?![\p{L}\p{N}])`,
    String.raw`(?<![\w-])eyJ[\w-]{5,}(?:\.[\w-]*){1,4}|eyJ[\w-]{5,600}(?:\.[\w-]*){1,4}`,
    String.raw`(?!\n)[\p{C}\u2028\u2029]`,
    String.raw`(["']?)([\p{L}_][\p{L}\p{N}_ -]{0,40}?)\1[ \t]{0,10}[:=](?![:=])[ \t]{0,10}`,
    String.raw`^(\s*)(\d+)([.)])(?=\s|$)`,
    String.raw`(https?|ftp)(?=:)|www(?=\.)`,
  ],
});

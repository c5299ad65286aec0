import { deepStrictEqual, ok } from "node:assert/strict";
import process from "node:process";
import { UUID_PATTERN } from "../contract/request_values.ts";
import { PSEUDONYM_FORM } from "../cutover/redact/pseudonym_form.ts";
import { growth, LINEAR, TIMES } from "../testing/growth.ts";
import { type Reading, readings } from "./foreign_bytes.ts";

/* Whatever meets bytes of a client or of an upstream is linear, and stands in docs/foreign-bytes.md. */

// Else it looks for Java, and for programs of its own.
Deno.env.set("RECHECK_BACKEND", "pure");
const { checkSync } = await import("recheck");

const ALL = await readings();
const PAGE = await Deno.readTextFile(new URL("../docs/foreign-bytes.md", import.meta.url));

const lineOf = ({ file, text }: Reading) => `${file}  ${text}`;

function listed(): string[] {
  return [...PAGE.matchAll(/^```text\n(.*?)^```$/gms)].flatMap(([, block = ""]) =>
    block.trimEnd().split("\n").map((line) => line.replace(/^(\S+) +/, "$1  "))
  );
}

Deno.test("every place that reads text is listed with its bound, once, and none that is gone", () => {
  const [page, source] = [listed(), new Set(ALL.map(lineOf))];
  deepStrictEqual(
    {
      missing: [...source].filter((line) => !page.includes(line)),
      gone: page.filter((line) => !source.has(line)),
      twice: page.filter((line, at) => page.indexOf(line) !== at),
    },
    { missing: [], gone: [], twice: [] },
    "docs/foreign-bytes.md",
  );
});

/** Expressions that are put together, by their file. */
const PUT_TOGETHER: Record<string, RegExp[]> = {
  "cache/valkey.ts": [/^(?:ERR Error running script .{0,500}? -)?(READONLY|LOADING|OOM|BUSY)\b/s],
  "contract/moments.ts": [
    /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?$/,
  ],
  "contract/request_values.ts": [
    UUID_PATTERN,
    /^[\t-\r ]*[+-]?(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|0[xX](?:_?[0-9A-Fa-f])+)[\t-\r ]*$/,
    /^1[eE][+-]?(?:0_?)*[0-9](?:_?[0-9]){0,3}$/,
  ],
  "cutover/compare/conditions.ts": [
    /^null value in column .* violates not-null constraint/,
    /violates check constraint/,
    /out of range/,
    /^time zone .* not recognized/,
  ],
  "cutover/shadow/no_response.ts": [/^Connection terminated|^connect E[A-Z]+ |^read ECONNRESET/],
  "cutover/redact/pseudonyms.ts": [new RegExp(`^${PSEUDONYM_FORM}$`)],
  "http/paths.ts": [/^\/api\/traceability\/([^/]+)\/?$/i],
  "cutover/parity/comparison.ts": [/^[0-9a-f]{8}-[0-9a-f]{4}$/],
  "cutover/redact/pseudonym_form.ts": [new RegExp(`\\b${PSEUDONYM_FORM}\\b`)],
};

/** What recheck can't judge (look-around, or too large for it); the worst inputs below judge these. */
const BEYOND_RECHECK = [
  String.raw`\[\d*\]|\.\d+(?=\.|$)`,
  String.raw`\b(Bearer|Basic|Digest|Negotiate)([ \t]+)([\w.~+/=-]{6,})`,
  String.raw`^[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}[\p{L}\p{N}-]*|^localhost(?![\p{L}\p{N}])`,
  String.raw`(?<![\w-])eyJ[\w-]{5,}(?:\.[\w-]*){1,4}|eyJ[\w-]{5,600}(?:\.[\w-]*){1,4}`,
  String.raw`(?!\n)[\p{C}\u2028\u2029]`,
  String.raw`(["']?)([\p{L}_][\p{L}\p{N}_ -]{0,40}?)\1[ \t]{0,10}[:=](?![:=])[ \t]{0,10}`,
  String.raw`^(\s*)(\d+)([.)])(?=\s|$)`,
  String.raw`(https?|ftp)(?=:)|www(?=\.)`,
  String.raw`(?<=:)\w+`,
  String.raw`^\/api\/(health|login|traceability|lots|qc-decisions)(?=[/?]|$)`,
];

function patterns(): Map<string, RegExp> {
  const files = ALL.filter(({ text }) => text === "RegExp").map(({ file }) => file);
  deepStrictEqual([...new Set(files)].sort(), Object.keys(PUT_TOGETHER).sort());
  const all = [
    ...ALL.flatMap(({ pattern }) => pattern ?? []),
    ...Object.values(PUT_TOGETHER).flat(),
  ];
  return new Map(all.map((pattern) => [String(pattern), pattern]));
}

Deno.test("no expression takes more than linear time, as far as recheck can judge it", () => {
  const faults: string[] = [];
  for (const [text, { source, flags }] of patterns()) {
    if (BEYOND_RECHECK.includes(source)) continue;
    const found = checkSync(source, flags, { checker: "automaton", timeout: 60_000 });
    if (found.status === "vulnerable") faults.push(`${text}: ${found.complexity.summary}`);
    if (found.status === "unknown") faults.push(`${text}: ${JSON.stringify(found.error)}`);
  }
  deepStrictEqual(faults, []);
});

Deno.test("recheck finds the expressions that were here before", () => {
  const before = [/^bearer +(.*?) *$/i, /\s*,\s*/, /\bat .*\.m?[jt]s/, / \(.*\)$/, /\/+$/];
  for (const { source, flags } of before) {
    ok(checkSync(source, flags, { checker: "automaton", timeout: 60_000 }).status === "vulnerable");
  }
});

const BYTES = 65_536;

/** Rows of each thing that an expression speaks of, alone and behind what it begins with. */
function worstInputs({ source }: RegExp): ((length: number) => string)[] {
  const plain = source.replaceAll(/\\[bBdDwWsSpP](?:\{[^}]*\})?|\\(.)/g, "$1");
  const words = plain.match(/[\w<>=/:"@.$ -]{2,}/g) ?? [];
  const letters = new Set([...plain, ..." \t\n\"'\\aA0é.-,;=([{</"]);
  const starts = new Set(["", words[0] ?? "", plain.slice(0, 1)]);
  return [...letters, ...words, ...words.map((word) => `${word} `)].flatMap((row) =>
    [...starts].map((start) => (length: number) =>
      start + row.repeat(Math.ceil((length - start.length) / row.length)) + "\u0001!"
    )
  );
}

function search(pattern: RegExp, text: string): void {
  pattern.lastIndex = 0;
  if (pattern.global) text.replaceAll(pattern, "");
  else pattern.exec(text);
}

Deno.test("64 kB of the worst input take each expression about 32 times as long as 2 kB, not 1,024 times", async () => {
  const faults: string[] = [];
  for (const [name, pattern] of patterns()) {
    for (const inputOf of worstInputs(pattern)) {
      const whole = inputOf(BYTES);
      const { user } = process.cpuUsage();
      search(pattern, whole);
      // The square of 64 kB are four thousand million steps: what is quick takes fewer.
      if (process.cpuUsage().user - user < 20_000) continue;
      const times = await growth((text) => search(pattern, text), inputOf(BYTES / TIMES), whole);
      if (times > LINEAR) faults.push(`${name}: ${times.toFixed(1)} on ${whole.slice(0, 20)}…`);
    }
  }
  deepStrictEqual(faults, []);
});

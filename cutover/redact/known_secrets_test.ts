import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createSecretReplacer } from "./known_secrets.ts";

const replace = (secrets: Record<string, string>, text: string) =>
  createSecretReplacer(new Map(Object.entries(secrets)))(text);

const CASES: [what: string, secrets: Record<string, string>, text: string, clean: string][] = [
  ["none", {}, "abcd", "abcd"],
  ["one, wherever it stands", { abcd: "1" }, "abcdxabcdabc", "1x1abc"],
  ["the longest of those that begin at one place", { abcd: "1", abcdef: "2" }, "abcdefg", "2g"],
  ["the first of two that overlap", { abcd: "1", cdef: "2" }, "abcdef", "1ef"],
  ["the longer one that begins before another ends", { bc: "1", abcd: "2" }, "abcd", "2"],
  ["the inner one when the outer isn't whole", { bcd: "1", abcde: "2" }, "abcdx", "a1x"],
  ["the next one right after it", { abab: "1" }, "ababababx", "11x"],
  ["signs that mean something in expressions", { "a.*(": "1", "[$^]": "2" }, "a.*([$^]", "12"],
  ["halves of surrogate pairs", { "\ud83dabc": "1" }, "😀\ud83dabc", "😀1"],
  ["nothing of what it was replaced with", { abcd: "bcde", bcde: "x" }, "abcde", "bcdee"],
];

for (const [what, secrets, text, clean] of CASES) {
  Deno.test(`secrets in a text are replaced: ${what}`, () => {
    strictEqual(replace(secrets, text), clean);
  });
}

Deno.test("a secret of any length is replaced, and what a cut has left of it, too", () => {
  const secret = "s".repeat(255) + "ecret".repeat(10_000);
  deepStrictEqual(
    [
      replace({ [secret]: "1" }, `a${secret}b`),
      replace({ [secret]: "1" }, secret.slice(0, 20_000)),
    ],
    ["a1b", "1"],
  );
});

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { formsOf, isTooLong } from "./typed_password.ts";

const [COMPOSED, DECOMPOSED] = ["p\u00e4ss", "pa\u0308ss"];

const CASES: [what: string, typed: string, forms: string[]][] = [
  ["ASCII", "pass", ["pass"]],
  ["composed", COMPOSED, [COMPOSED, DECOMPOSED]],
  ["decomposed", DECOMPOSED, [DECOMPOSED, COMPOSED]],
  ["half composed, as a Vietnamese keyboard sends it", "\u00ea\u0301", [
    "\u00ea\u0301",
    "\u1ebf",
    "e\u0302\u0301",
  ]],
  ["a sign that both forms replace", "\u212b", ["\u212b", "\u00c5", "A\u030a"]],
  ["a script without marks", "密码", ["密码"]],
  ["Hangul", "한", ["한", "\u1112\u1161\u11ab"]],
  ["nothing", "", []],
];

for (const [what, typed, forms] of CASES) {
  Deno.test(`a typed password is tried in its forms: ${what}`, () => {
    deepStrictEqual(formsOf(typed), forms);
    strictEqual(isTooLong(typed), false);
  });
}

Deno.test("only forms of at most 72 bytes are tried, none is truncated", () => {
  strictEqual(formsOf("x".repeat(72)).length, 1);
  deepStrictEqual(formsOf("\u00fc".repeat(36)), ["\u00fc".repeat(36)]);
  // 90 bytes as typed, 60 as stored.
  deepStrictEqual(formsOf("u\u0308".repeat(30)), ["\u00fc".repeat(30)]);
  // 24 letters of 3 bytes, each two of 2 bytes in both forms.
  deepStrictEqual(formsOf("\ufb1d".repeat(24)), ["\ufb1d".repeat(24)]);
  for (const long of ["x".repeat(73), "\u00fc".repeat(40), "u\u0308".repeat(40), "😀".repeat(19)]) {
    deepStrictEqual([formsOf(long), isTooLong(long)], [[], true]);
  }
});

Deno.test("normalising shortens no character to less than a quarter of its bytes", () => {
  const bytesOf = (character: string) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  };
  /** Characters that are normalised to others, with those. */
  const normalised = new Map<string, string[]>();
  for (let code = 0; code < 0x110000; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    const parts = character.normalize("NFD");
    if (parts !== character) normalised.set(character, [...parts]);
  }
  ok(normalised.size > 10_000, `${normalised.size}`);
  /** The bytes of the longest character that is normalised to this one alone. */
  const max = new Map<string, number>();
  for (const [character, [part = "", ...others]] of normalised) {
    if (others.length > 0) continue;
    max.set(part, Math.max(max.get(part) ?? bytesOf(part), bytesOf(character)));
  }
  let shrinking = 0;
  // Any other character stays as it is.
  for (const character of new Set([...normalised.keys(), ...max.keys()])) {
    if (character.normalize("NFC") !== character) continue;
    const parts = normalised.get(character) ?? [character];
    const typed = parts.reduce((sum, part) => sum + (max.get(part) ?? bytesOf(part)), 0);
    shrinking = Math.max(shrinking, typed / bytesOf(character));
  }
  ok(shrinking > 1 && shrinking <= 4, `${shrinking}`);
});

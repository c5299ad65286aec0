import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parseJson } from "../json.ts";
import { findJsonError } from "./json_error.ts";

type Case = [what: string, text: string, place: [line: number, column: number]];

const BROKEN: Case[] = [
  ["a trailing comma in an object", '{"email":"x",}', [1, 14]],
  ["a trailing comma in a list", "[1,]", [1, 4]],
  ["single quotes", "{'email':'x'}", [1, 2]],
  ["a bare key", "{email:1}", [1, 2]],
  ["a bare value", '{"a": yes}', [1, 7]],
  ["a missing comma", '{"a": 1\n "b": 2}', [2, 2]],
  ["a missing colon", '{"a" 1}', [1, 6]],
  ["a key without value", '{"a"}', [1, 5]],
  ["a key that is a number", "{1: 2}", [1, 2]],
  ["two documents", "{}{}", [1, 3]],
  ["a bracket for a brace", '{"a": 1]', [1, 8]],
  ["a brace for a bracket", "[1}", [1, 3]],
  ["a bracket too many", "[]]", [1, 3]],
  ["a comma first", "[,1]", [1, 2]],
  ["a line break in a string", '{"a": "b\nc"}', [1, 9]],
  ["an unknown escape", '["\\x41"]', [1, 4]],
  ["an escape with a bad digit", '["\\u12g4"]', [1, 7]],
  ["a number with a zero in front", "[01]", [1, 3]],
  ["a number with a sign in front", "[+1]", [1, 2]],
  ["a number without digits behind the point", "[1.]", [1, 3]],
  ["NaN", '{"a":NaN}', [1, 6]],
  ["half a literal", "[tru]", [1, 2]],
  ["a space that JSON doesn't know", "\u00a0{}", [1, 1]],
  ["a BOM inside", '{"a":\ufeff1}', [1, 6]],
  ["a comment", '{\n  // note\n  "a": 1\n}', [2, 3]],
  ["Windows line ends", '{\r\n  "a": 1,\r\n}', [3, 1]],
  ["a lone letter", "x", [1, 1]],
];

const ENDED: Case[] = [
  ["only white space", " \n ", [2, 2]],
  ["half an object", '{"email":', [1, 10]],
  ["half a string", '{"a": "b', [1, 9]],
  ["a string that ends in an escape", '["\\', [1, 4]],
  ["a string that ends in an escape with digits", '["\\u00', [1, 7]],
  ["a list without its end", "[[1, 2]\n", [2, 1]],
  ["an object after its comma", '{"a": 1,', [1, 9]],
];

for (const [cases, isEnd] of [[BROKEN, false], [ENDED, true]] as const) {
  for (const [what, text, [line, column]] of cases) {
    Deno.test(`${what} is found at line ${line}, column ${column}`, () => {
      strictEqual(parseJson(text), undefined);
      deepStrictEqual(findJsonError(text), { line, column, isEnd });
    });
  }
}

const WHOLE = JSON.stringify(
  {
    a: [1, -2.5e-3, 0, true, false, null, [], {}],
    'b\\"\n\u0007ü': { c: "d\\/\ud800", e: [[["f"]]] },
  },
  null,
  2,
);

/** What a document may be changed by. */
const CHANGES = ["", ...',:"{}[]\\0-.ex\n '];

Deno.test("every document that is broken at one place is found broken there or behind it", () => {
  let broken = 0;
  for (let at = 0; at < WHOLE.length; at++) {
    for (const change of CHANGES) {
      const text = WHOLE.slice(0, at) + change + WHOLE.slice(at + 1);
      if (parseJson(text) !== undefined) continue;
      broken++;
      const { line, column, isEnd } = findJsonError(text);
      const lines = text.split("\n");
      const index = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0) + column - 1;
      // A literal that is broken in the middle is named by its first letter.
      ok(index >= at - 4, `${change} at ${at} is found at ${index}: ${text}`);
      strictEqual(isEnd, index === text.length, text);
    }
  }
  ok(broken > 500, String(broken));
});

Deno.test("a document of JSON is right to its end", () => {
  for (const text of [WHOLE, "[]", " {} ", '"a"', "-0.5E+7", "null"]) {
    ok(parseJson(text) !== undefined);
    ok(findJsonError(text).isEnd, text);
  }
});

Deno.test("a hundred thousand brackets are read without recursion", () => {
  deepStrictEqual(findJsonError("[".repeat(100_000)), { line: 1, column: 100_001, isEnd: true });
});

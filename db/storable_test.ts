import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { isTooDeep } from "../contract/json_depth.ts";
import { storable, unstorable } from "./storable.ts";

/** `[[[…]]]`, this many levels. */
const lists = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));

Deno.test("32 levels of lists or objects are allowed, 33 are too deep", () => {
  strictEqual(isTooDeep(lists(32)), false);
  strictEqual(isTooDeep(lists(33)), true);
  const objects = (levels: number) => JSON.parse('{"a":'.repeat(levels) + "1" + "}".repeat(levels));
  strictEqual(isTooDeep(objects(32)), false);
  strictEqual(isTooDeep(objects(33)), true);
});

Deno.test("one deep place among many shallow ones is found", () => {
  const wide = Array.from({ length: 1_000 }, () => ({ a: [1, "x", null] }));
  strictEqual(isTooDeep(wide), false);
  strictEqual(isTooDeep([...wide, lists(32)]), true);
});

Deno.test("10,000 levels are too deep, and don't overflow the stack", () => {
  strictEqual(isTooDeep(lists(10_000)), true);
});

Deno.test("a key called __proto__ can't hide what is below it", () => {
  strictEqual(isTooDeep(JSON.parse(`{"__proto__":${JSON.stringify(lists(32))}}`)), true);
  deepStrictEqual(unstorable(JSON.parse('{"__proto__":"\\u0000"}')), {
    path: ["__proto__"],
    message: "holds a NUL character",
  });
});

Deno.test("plain values have no depth", () => {
  for (const value of ["text", 1, true, null]) strictEqual(isTooDeep(value), false);
});

const STORABLE = [
  "null",
  "0",
  "-0.5",
  "1.7976931348623157e308",
  '""',
  '"é 💩 \\n \\u0001 \\uffff"',
  '"\\ud83d\\ude00"',
  "[]",
  "{}",
  '{"":[null,{"a":[true]}]}',
];

for (const text of STORABLE) {
  Deno.test(`${text} can be stored`, () => strictEqual(unstorable(JSON.parse(text)), undefined));
}

const NUL = "holds a NUL character";
const SURROGATE = "holds half of a surrogate pair";
const NUMBER = "is too large a number";

const UNSTORABLE: [text: string, path: string, message: string][] = [
  ['"\\u0000"', "", NUL],
  ['["a","b\\u0000"]', "1", NUL],
  ['{"a":{"b":[1,{"c":"\\u0000"}]}}', "a.b.1.c", NUL],
  ['{"a":{"\\u0000":1}}', "a", NUL],
  ['"\\ud800"', "", SURROGATE],
  ['["\\ude00\\ud83d"]', "0", SURROGATE],
  ['{"\\udfff":1}', "", SURROGATE],
  ["1e400", "", NUMBER],
  ["[1,-1e400]", "1", NUMBER],
  ['{"a":[1e309]}', "a.0", NUMBER],
];

for (const [text, path, message] of UNSTORABLE) {
  Deno.test(`${text} ${message}, at "${path}"`, () => {
    const fault = unstorable(JSON.parse(text));
    deepStrictEqual([fault?.path.join("."), fault?.message], [path, message]);
  });
}

for (
  const [text, stored] of [
    ["plain", "plain"],
    ["12345678", "12345678"],
    ["123456789", "1234567…"],
    ["a\0\ud800b", "a\ufffd\ufffdb"],
    ["123456😀9", "123456\ufffd…"],
  ] as const
) {
  Deno.test(`of ${JSON.stringify(text)} eight units are stored as ${JSON.stringify(stored)}`, () => {
    deepStrictEqual(storable(text, 8), stored);
  });
}

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { fieldOf, formatLosslessJson, parseLosslessJson } from "./lossless_json.ts";

const KEPT = [
  '{"weight_kg":540.0,"a":1e2,"b":-0,"c":12345678901234567890.10}',
  '{"2":1,"1":2,"x":null,"x":true}',
  '["é","\\"","\\\\","\\n",[],{},[[]],""]',
  '"text"',
  "0.50",
  "false",
];

for (const text of KEPT) {
  Deno.test(`JSON is written back unchanged: ${text}`, () => {
    const parsed = parseLosslessJson(text);
    strictEqual(parsed && formatLosslessJson(parsed), text);
  });
}

Deno.test("spaces and escapes are no part of a document", () => {
  const parsed = parseLosslessJson(' { "a" : [ 1 , "\\u0041" ] }\n');
  strictEqual(parsed && formatLosslessJson(parsed), '{"a":[1,"A"]}');
});

const NONE = [
  ...["", "{", "[1,]", '{"a":1,}', "{a:1}", "01", "1.", ".5", "+1", "NaN", "'a'", '"a', '"\t"'],
  ...['"\\x"', '"\\u00g0"', "[1] x", "\uFEFF{}", "[".repeat(201) + "]".repeat(201), "nul"],
];

for (const text of NONE) {
  Deno.test(`no JSON: ${text.slice(0, 20)}`, () => {
    deepStrictEqual(parseLosslessJson(text), undefined);
  });
}

Deno.test("the last value of a duplicate key counts", () => {
  deepStrictEqual(fieldOf(parseLosslessJson('{"a":1,"a":2}'), "a"), { kind: "plain", text: "2" });
});

Deno.test("a document of 256 kB with one long text, or of many short ones, is read", () => {
  const long = JSON.stringify(["x".repeat(260_000), '\\"'.repeat(1_000)]);
  const many = JSON.stringify(Array.from({ length: 40_000 }, (_, i) => `${i}`));
  for (const text of [long, many]) {
    const parsed = parseLosslessJson(text);
    strictEqual(parsed && formatLosslessJson(parsed), text);
  }
});

import { ok, strictEqual } from "node:assert/strict";
import { JsonValueInput } from "../routes/schemas.ts";
import { readContract } from "./documents.ts";
import { asObject, type Json } from "./normal_form.ts";

/* What `JsonValueInput` says under its double `not`, which the drift test leaves out. */

const schemas = asObject(asObject(asObject(readContract()).components ?? {}).schemas ?? {});
const within = (schema: Json | undefined): { [key: string]: Json } =>
  asObject(asObject(asObject(schema ?? {}).not ?? {}).not ?? {});
const input = within(schemas.JsonValueInput);
const pattern = new RegExp(String(input.pattern), "u");

const FLAT = [
  "null",
  " true\n",
  "-0.5e+12",
  '""',
  '"döner\u{1f95a}"',
  "[]",
  '[1, "a",null]',
  "{}",
  '{"a":1, "b": "c"}',
];
for (const text of FLAT) {
  Deno.test(`the pattern of metadata as text has ${JSON.stringify(text)}, and it is accepted`, () => {
    ok(pattern.test(text));
    strictEqual(JsonValueInput.parse(text), text);
  });
}

const REFUSED = [
  "",
  "a",
  "{",
  "01",
  "1.",
  "NaN",
  "Infinity",
  "'a'",
  '"\\u0000"',
  "[1,]",
  "{1:2}",
  '"\0"',
];
for (const text of REFUSED) {
  Deno.test(`metadata as the text ${JSON.stringify(text)} is refused, and not in the pattern`, () => {
    ok(!pattern.test(text));
    ok(!JsonValueInput.safeParse(text).success);
  });
}

Deno.test("inside metadata every text and every key is without NUL, at any depth", () => {
  const inside = { $ref: "#/components/schemas/StorableJson" };
  const { pattern: _, ...outside } = input;
  const { pattern: text, ...nested } = within(schemas.StorableJson);
  for (const rules of [outside, nested]) {
    strictEqual(JSON.stringify(rules.items), JSON.stringify(inside));
    strictEqual(JSON.stringify(rules.additionalProperties), JSON.stringify(inside));
    ok(!new RegExp(String(asObject(rules.propertyNames ?? {}).pattern)).test("a\0"));
  }
  ok(!new RegExp(String(text)).test("a\0"));
  for (const value of [{ a: ["\0"] }, { a: { "\0": 1 } }, ["\0"]]) {
    ok(!JsonValueInput.safeParse(value).success);
  }
});

import { strictEqual } from "node:assert/strict";
import type { Json } from "./normal_form.ts";
import { isShownBy, isTextShownBy } from "./shown.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const OTHER_ID = "5b0c3c2e-4f52-4d6f-8a54-0f6f6d1c9a10";

type Case = [what: string, example: Json, response: Json, shown: boolean];

const CASES: Case[] = [
  ["the same", { a: 1, b: [null, "x"] }, { b: [null, "x"], a: 1 }, true],
  ["another value", { a: "1.0" }, { a: "1.00" }, false],
  ["a number for text", { a: "1" }, { a: 1 }, false],
  ["a field more", { a: 1 }, { a: 1, b: null }, false],
  ["a field less", { a: 1, b: null }, { a: 1 }, false],
  ["another id", { id: ID }, { id: OTHER_ID }, true],
  ["a time for an id", { id: ID }, { id: "2026-01-18T06:02:00.000Z" }, false],
  ["null for an id", { id: ID }, { id: null }, false],
  ["a part of a list", [{ a: 2 }], [{ a: 1 }, { a: 2 }], true],
  ["an item that isn't in the list", [{ a: 3 }], [{ a: 1 }, { a: 2 }], false],
  ["nothing of a list", [], [1], false],
  ["an empty list", [], [], true],
  ["an object for a list", [], {}, false],
  ["a list for an object", {}, [], false],
];

for (const [what, example, response, shown] of CASES) {
  Deno.test(`an example ${shown ? "matches" : "doesn't match"} a response with ${what}`, () => {
    strictEqual(isShownBy(example, response), shown);
  });
}

const TEXTS: [what: string, example: string, response: string, shown: boolean][] = [
  ["another count", 'logins{of="x"} 3\n', '# HELP\nlogins{of="x"} 12\n', true],
  ["another name", 'logins{of="x"} 3\n', 'logins{of="y"} 3\n', false],
  ["lines of JSON", '{"a":1}\n', '{"b":2}\n{"a":1}\n', true],
  ["other lines of JSON", '{"a":1}\n', '{"b":2}\n{"a":2}\n', false],
];

for (const [what, example, response, shown] of TEXTS) {
  Deno.test(`an example ${shown ? "matches" : "doesn't match"} a text with ${what}`, () => {
    strictEqual(isTextShownBy(example, response), shown);
  });
}

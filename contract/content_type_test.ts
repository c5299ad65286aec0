import { strictEqual } from "node:assert/strict";
import { firstContentType } from "./content_type.ts";

const TYPES: [value: string, first: string][] = [
  ["application/json", "application/json"],
  ["application/json, text/plain", "application/json"],
  ["text/plain,application/json", "text/plain"],
  ['a/b; c="d, e"; f', 'a/b; c="d, e"; f'],
  ['a/b; c="d\\", e", f/g', 'a/b; c="d\\", e"'],
  ['a/b; c="d, e', 'a/b; c="d, e'],
  [", a/b", ""],
  ["", ""],
];
for (const [value, first] of TYPES) {
  Deno.test(`of ${JSON.stringify(value)} ${JSON.stringify(first)} comes first`, () => {
    strictEqual(firstContentType(value), first);
  });
}

import { strictEqual } from "node:assert/strict";
import { parseLosslessJson } from "../exchange/lossless_json.ts";
import { findPseudonym, fitsPseudonyms } from "./pseudonyms.ts";

Deno.test("a pseudonym is a kind and hex digits, not any word with a hyphen", () => {
  strictEqual(findPseudonym('{"email":"email-3f9a0c125b71"}'), "email-3f9a0c125b71");
  for (const text of ["RAW-BEEF-001", "name-tag", "email-3f9", "surname-3f9a0c125b71x"]) {
    strictEqual(findPseudonym(text), undefined, text);
  }
});

const FITS: [recorded: string, actual: string, fits: boolean | undefined][] = [
  ["text-3f9a0c125b71", '"Anna"', true],
  ["text-3f9a0c125b71", '""', false],
  ["text-3f9a0c125b71", "7", false],
  ["number-3f9a0c125b71", "7", true],
  ["object-3f9a0c125b71", '{"a":1}', true],
  ["object-3f9a0c125b71", "[1]", false],
  ["list-3f9a0c125b71", "[1]", true],
  ["list-3f9a0c125b71", "{}", false],
  ["by text-3f9a0c125b71", '"by Anna"', true],
  ["by text-3f9a0c125b71", '"of Anna"', false],
  ["by number-3f9a0c125b71", "7", false],
  ["by Anna", '"by Anna"', undefined],
];

for (const [recorded, actual, fits] of FITS) {
  Deno.test(`${actual} in the place of "${recorded}" ${fits ? "fits" : "doesn't fit"}`, () => {
    strictEqual(
      fitsPseudonyms(recorded, parseLosslessJson(actual) ?? { kind: "list", items: [] }),
      fits,
    );
  });
}

import { strictEqual } from "node:assert/strict";
import { findPseudonym, withPseudonymsOf } from "./pseudonym_form.ts";

Deno.test("a pseudonym is a kind and hex digits, not any word with a hyphen", () => {
  strictEqual(findPseudonym('{"email":"email-3f9a0c125b71"}'), "email-3f9a0c125b71");
  for (const text of ["RAW-BEEF-001", "name-tag", "email-3f9", "surname-3f9a0c125b71x"]) {
    strictEqual(findPseudonym(text), undefined, text);
  }
});

const CASES: [what: string, recorded: string, actual: string, expected: string][] = [
  [
    "a text stands for a pseudonym, whatever it is",
    '{"id":1,"email":"email-3f9a0c125b71","token":"token-000000000000"}',
    '{"id":1,"email":"anna@plant.example","token":"a.b.c"}',
    '{"id":1,"email":"email-3f9a0c125b71","token":"token-000000000000"}',
  ],
  [
    "the same text elsewhere stays",
    '{"code":"X","name":"name-3f9a0c125b71"}',
    '{"code":"Y","name":"Y"}',
    '{"code":"Y","name":"name-3f9a0c125b71"}',
  ],
  [
    "an empty text doesn't stand for one",
    '{"name":"name-3f9a0c125b71"}',
    '{"name":""}',
    '{"name":""}',
  ],
  ["nor does a number", '{"name":"name-3f9a0c125b71"}', '{"name":7}', '{"name":7}'],
  ["nor does nothing", '{"name":"name-3f9a0c125b71"}', "{}", "{}"],
  [
    "lists are gone through by position",
    '[{"name":"name-3f9a0c125b71"},["name-3f9a0c135b71"]]',
    '[{"name":"Anna"},["Béla \\"B\\""]]',
    '[{"name":"name-3f9a0c125b71"},["name-3f9a0c135b71"]]',
  ],
  [
    "numbers keep their digits",
    '{"a":540.0,"b":"name-3f9a0c125b71"}',
    '{"a":540.0,"b":"c"}',
    '{"a":540.0,"b":"name-3f9a0c125b71"}',
  ],
  ["what is no JSON stays", "<p>name-3f9a0c125b71</p>", "<p>Anna</p>", "<p>Anna</p>"],
];

for (const [what, recorded, actual, expected] of CASES) {
  Deno.test(`in a body: ${what}`, () => {
    strictEqual(withPseudonymsOf(recorded, actual), expected);
  });
}

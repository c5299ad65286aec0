import { strictEqual } from "node:assert/strict";
import { findPseudonym } from "./pseudonym_form.ts";

Deno.test("a pseudonym is a kind and hex digits, not any word with a hyphen", () => {
  strictEqual(findPseudonym('{"email":"email-3f9a0c125b71"}'), "email-3f9a0c125b71");
  for (const text of ["RAW-BEEF-001", "name-tag", "email-3f9", "surname-3f9a0c125b71x"]) {
    strictEqual(findPseudonym(text), undefined, text);
  }
});

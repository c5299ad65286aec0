import { createConfig, lintFromString } from "@redocly/openapi-core";
import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert/strict";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import { set, unset } from "./document_edits.ts";
import { readContract } from "./documents.ts";
import { type Json, promisesOf } from "./normal_form.ts";
import { readAs31 } from "./openapi_30_form.ts";

/* `/openapi-3.0.json` makes the same promises as openapi.yaml, in OpenAPI 3.0. */

const converted = (document: Json = readContract()): Json =>
  JSON.parse(JSON.stringify(toOpenapi30(document)));

Deno.test("the converted document is valid OpenAPI 3.0, with nothing of 3.1", async () => {
  const config = await createConfig({
    extends: ["recommended-strict"],
    rules: {
      // What may be null is `allOf` a reference, the form that generators read. It has no type beside
      // `nullable`, which these rules refuse; contract_test.ts checks the examples.
      "nullable-type-sibling": "off",
      "no-invalid-media-type-examples": "off",
      "no-invalid-schema-examples": "off",
    },
  });
  const problemsOf = async (document: Json) => {
    const source = JSON.stringify(document);
    const problems = await lintFromString({ source, absoluteRef: "/openapi-3.0.json", config });
    return problems.map(({ ruleId, message }) => `${ruleId}: ${message}`);
  };
  deepStrictEqual(await problemsOf(converted()), []);
  const wrong = converted();
  set(wrong, "components|schemas|Uuid|examples", ["x"]);
  set(wrong, "components|schemas|User|properties|full_name|type", ["string", "null"]);
  set(wrong, "info|summary", "x");
  ok((await problemsOf(wrong)).length >= 3, "the linter must know what 3.0 lacks");
});

Deno.test("the converted document makes the same promises, operation by operation and schema by schema", () => {
  const contract = promisesOf(readContract());
  const read = promisesOf(readAs31(converted()));
  ok(contract.size > 1_000);
  deepStrictEqual({
    "only in openapi.yaml": [...contract.difference(read)],
    "only in 3.0": [...read.difference(contract)],
  }, { "only in openapi.yaml": [], "only in 3.0": [] });
});

const EDITS: [what: string, edit: (document: Json) => void][] = [
  ["a status less", (d) => unset(d, "paths|/api/lots|post|responses|409")],
  ["a field that can't be null", (d) => {
    set(d, "components|schemas|Lot|properties|lot_type|nullable", false);
  }],
  ["text that can't be null", (d) => {
    unset(d, "components|schemas|User|properties|full_name|nullable");
  }],
  ["a type more", (d) => {
    set(d, "components|schemas|TextInput|not|anyOf", [{ type: "object" }]);
  }],
  ["another pattern of a text", (d) => {
    set(d, "components|schemas|TextInput|not|anyOf|2|not|pattern", "^a");
  }],
  ["another reference", (d) => {
    set(d, "components|schemas|Lot|properties|id|allOf", [{
      $ref: "#/components/schemas/Decimal",
    }]);
  }],
  ["a role less", (d) => set(d, "paths|/api/lots|post|x-roles", ["ADMIN"])],
];

for (const [what, edit] of EDITS) {
  Deno.test(`the comparison finds ${what}`, () => {
    const document = converted();
    edit(document);
    notDeepStrictEqual(promisesOf(readAs31(document)), promisesOf(readContract()));
  });
}

import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert/strict";
import { set, unset } from "./document_edits.ts";
import { documentOfRoutes, readContract } from "./documents.ts";
import { asObject, type Json, promisesOf, promisesOfSchema } from "./normal_form.ts";

Deno.test("the document that the routes generate makes the same promises as openapi.yaml", () => {
  const published = promisesOf(readContract());
  const generated = promisesOf(documentOfRoutes());
  ok(published.size > 1_000, "the comparison must see the whole document");
  deepStrictEqual({
    "only in openapi.yaml": [...published.difference(generated)],
    "only in the routes": [...generated.difference(published)],
  }, { "only in openapi.yaml": [], "only in the routes": [] });
});

Deno.test("a schema that the routes name has the same name and promises in openapi.yaml", () => {
  const schemasOf = (document: Json) =>
    asObject(asObject(asObject(document).components ?? {}).schemas ?? {});
  const [published, generated] = [readContract(), documentOfRoutes()];
  const names = Object.keys(schemasOf(generated));
  ok(names.length > 20);
  for (const name of names) {
    ok(name in schemasOf(published), `${name} isn't in openapi.yaml`);
    deepStrictEqual(
      withoutNull(promisesOfSchema(generated, name)),
      withoutNull(promisesOfSchema(published, name)),
      name,
    );
  }
});

// The generator lets a schema itself be null where each reference to it may be.
function withoutNull(lines: Set<string>): string[] {
  return [...lines].filter((line) => line !== '/type[] = "null"')
    .map((line) => line.replace(/^\/type\[\]/, "/type")).sort();
}

// Each of these is one small edit of one document; the comparison must find it in either direction.
const EDITS: [what: string, edit: (document: Json) => void][] = [
  ["an operation's id", (d) => set(d, "paths|/api/lots|post|operationId", "makeLot")],
  ["a status less", (d) => unset(d, "paths|/api/lots|post|responses|409")],
  ["a status more", (d) => set(d, "paths|/api/lots|post|responses|418", { description: "no" })],
  ["a header less", (d) => unset(d, "paths|/api/health|get|responses|200|headers|ETag")],
  ["a header's schema", (d) => set(d, "components|headers|Allow|schema|type", "integer")],
  ["a header that may be absent", (d) => set(d, "components|headers|ETag|required", false)],
  ["a field less", (d) => unset(d, "components|schemas|Lot|properties|weight_kg")],
  ["a field named like prose", (d) => set(d, "components|schemas|Lot|properties|summary", {})],
  ["an optional field more", (d) => set(d, "components|schemas|LotInput|properties|x", {})],
  ["a field no longer required", (d) => set(d, "components|schemas|Trace|required", ["central"])],
  ["a pattern", (d) => set(d, "components|schemas|Decimal|pattern", "^.*$")],
  ["a format", (d) => unset(d, "components|schemas|Uuid|format")],
  ["a limit", (d) => set(d, "components|schemas|TextInput|maxLength", 10)],
  ["a value of a list", (d) => set(d, "components|schemas|LotType|enum", ["RAW"])],
  ["unknown fields let in", (d) => set(d, "components|schemas|Lot|additionalProperties", true)],
  ["a body that may be absent", (d) => set(d, "paths|/api/lots|post|requestBody|required", false)],
  ["a parameter's schema", (d) => {
    set(d, "paths|/api/traceability/{lotCode}|get|parameters|0|schema|minLength", 2);
  }],
  ["an operation that needs a token", (d) => set(d, "paths|/api/health|get|security", [{ b: [] }])],
  ["another kind of token", (d) => set(d, "components|securitySchemes|bearerAuth|scheme", "basic")],
  ["a response without its body", (d) => unset(d, "components|responses|NotFound|content")],
];

for (const [what, edit] of EDITS) {
  Deno.test(`the drift check finds ${what}`, () => {
    const before = readContract();
    const after = readContract();
    edit(after);
    notDeepStrictEqual(promisesOf(after), promisesOf(before));
  });
}
